# SPDX-License-Identifier: GPL-2.0-only
"""Maps that look real, and what a developer's day does to them.

Each edit makes a new list of lines from an old one. Chance comes from the ``random.Random`` that the caller
gives, so that a sequence of edits is repeated by repeating its seeds.
"""

import random
from collections.abc import Callable
from functools import partial

from tests.strategies import TYPES, Line

#: Makes new lines of old ones.
Edit = Callable[[random.Random, list[Line]], list[Line]]

WORDS = (b"dev", b"irq", b"init", b"probe", b"get", b"put", b"map", b"io", b"tx", b"rx", b"a", b"aa", b"read")
SUFFIXES = (b"",) * 8 + (b".cold", b".llvm.17", b".llvm.4", b".constprop.0", b"_start", b"_end")
PREFIXES = (b"",) * 8 + (b"_", b"__", b"__start_", b"__stop_")
#: Types as often as kernels have them; W and w rank behind others at one address.
KINDS = b"tttttTTTTddDDbBrRWwA"

#: Bytes that a name may have and that leave a map's lines plain.
_VISIBLE = bytes(byte for byte in range(33, 256) if byte not in b'"\\*')
_BOUNDS = (b"_text", b"_stext", b"_etext", b"_sinittext", b"_einittext", b"__per_cpu_start", b"__per_cpu_end")


def name(rng: random.Random) -> bytes:
    """A name of a few words: many pairs of letters are equally frequent."""
    words = [rng.choice(WORDS) for _ in range(rng.choice((1, 1, 2, 2, 3, 5)))]
    return rng.choice(PREFIXES) + b"_".join(words) + rng.choice(SUFFIXES)


def filler(rng: random.Random) -> bytes:
    """A name of nearly all bytes, which leaves codes for few tokens only: frequent ones, as in a kernel."""
    missing = set(rng.sample(_VISIBLE, rng.randrange(2, 30)))
    return bytes(byte for byte in _VISIBLE if byte not in missing)


def new_map(rng: random.Random, size: int) -> list[Line]:
    """About ``size`` symbols in the order of their addresses, of which some are equal."""
    low = rng.random() < 0.5
    base = rng.choice((0x100000, 0xC1000000)) if low else 0xFFFFFFFF81000000
    lines = [Line(base, ord("T"), b"_text"), Line(base, ord("T"), b"_stext")]
    if rng.random() < 0.5:
        # Before the image, where absolute symbols fit; or within it.
        start = 0 if low else base + 16 * (size // 2)
        lines += [
            Line(start, ord("D"), b"__per_cpu_start"),
            Line(start + 16 * (size // 8), ord("D"), b"__per_cpu_end"),
        ]
        if low:
            lines += [Line(16 * rng.randrange(size // 8 + 1), ord("D"), name(rng)) for _ in range(size // 8)]
    at = base
    for _ in range(size):
        at += rng.choice((0, 16, 16, 16, 16, 16, 48))
        lines.append(Line(at, rng.choice(KINDS), name(rng)))
    if rng.random() < 0.6:
        lines.append(Line(at, ord("t"), filler(rng)))
    lines.append(Line(at, ord("T"), b"_etext"))
    return in_order(lines)


def in_order(lines: list[Line]) -> list[Line]:
    """The lines as nm -n prints them, but that those at one address keep their order."""
    return sorted(lines, key=lambda line: line.address)


def _near(rng: random.Random, lines: list[Line]) -> int:
    """The address of some line, or a little behind it."""
    at = rng.choice(lines).address if lines else 0x100000
    return min(at + rng.choice((0, 0, 4, 8, 16)), (1 << 64) - 1)


def _some(rng: random.Random, lines: list[Line], most: int) -> list[int]:
    """Positions of a few lines."""
    return rng.sample(range(len(lines)), min(len(lines), rng.randint(1, most)))


def add(rng: random.Random, lines: list[Line]) -> list[Line]:
    new = [Line(_near(rng, lines), rng.choice(KINDS), name(rng)) for _ in range(rng.randint(1, 4))]
    return in_order(lines + new)


def remove(rng: random.Random, lines: list[Line]) -> list[Line]:
    gone = set(_some(rng, lines, 4))
    return [line for at, line in enumerate(lines) if at not in gone]


def _replace(rng: random.Random, lines: list[Line], most: int, other: Callable[[Line], Line]) -> list[Line]:
    changed = list(lines)
    for at in _some(rng, lines, most):
        changed[at] = other(lines[at])
    return changed


def rename(rng: random.Random, lines: list[Line]) -> list[Line]:
    return _replace(rng, lines, 3, lambda line: Line(line.address, line.type, name(rng)))


def respell(rng: random.Random, lines: list[Line]) -> list[Line]:
    """Names of the same letters in another order: the alphabet stands, pairs change."""

    def shuffled(line: Line) -> Line:
        letters = list(line.name)
        i, j = rng.randrange(len(letters)), rng.randrange(len(letters))
        letters[i], letters[j] = letters[j], letters[i]
        return Line(line.address, line.type, bytes(letters))

    return _replace(rng, lines, 3, shuffled)


def exchange_names(rng: random.Random, lines: list[Line]) -> list[Line]:
    """Two symbols have each other's names: the bag of strings may stand, the orders do not."""
    if not lines:
        return lines
    changed = list(lines)
    i, j = rng.randrange(len(lines)), rng.randrange(len(lines))
    changed[i] = Line(lines[i].address, lines[i].type, lines[j].name)
    changed[j] = Line(lines[j].address, lines[j].type, lines[i].name)
    return changed


def rename_many(rng: random.Random, lines: list[Line]) -> list[Line]:
    return _replace(rng, lines, len(lines) or 1, lambda line: Line(line.address, line.type, name(rng)))


def crowd(rng: random.Random, lines: list[Line]) -> list[Line]:
    """One pair of letters becomes the most frequent of all, or one that was is no more."""
    crowded = [line for line in lines if line.name[:2] * 5 == line.name[:10]]
    if crowded:
        return [line for line in lines if line not in crowded]
    pair = bytes((rng.choice(b"abdegimnoprtx"), rng.choice(b"abdegimnoprtx")))
    new = [Line(_near(rng, lines), ord("t"), pair * rng.randrange(5, 60)) for _ in range(rng.randint(1, 8))]
    return in_order(lines + new)


def new_letter(rng: random.Random, lines: list[Line]) -> list[Line]:
    """A symbol with any visible byte: the alphabet may grow."""
    word = name(rng) + bytes((rng.choice(_VISIBLE),))
    return in_order([*lines, Line(_near(rng, lines), ord("t"), word)])


def drop_oddest(_rng: random.Random, lines: list[Line]) -> list[Line]:
    """Without the symbol of most different bytes: the alphabet may shrink."""
    oddest = max(lines, key=lambda line: len(set(line.name)), default=None)
    return [line for line in lines if line is not oddest]


def retype(rng: random.Random, lines: list[Line]) -> list[Line]:
    return _replace(rng, lines, 3, lambda line: Line(line.address, rng.choice(TYPES), line.name))


def duplicate(rng: random.Random, lines: list[Line]) -> list[Line]:
    again = [lines[at] for at in _some(rng, lines, 3)]
    return in_order(lines + [Line(_near(rng, lines), line.type, line.name) for line in again])


def move_one(rng: random.Random, lines: list[Line]) -> list[Line]:
    return in_order(_replace(rng, lines, 1, lambda line: Line(_near(rng, lines), line.type, line.name)))


def _shifted(lines: list[Line], first: int, last: int, distance: int) -> list[Line]:
    """Lines ``first`` to before ``last`` some way up, as far as that leaves addresses of 64 bits."""
    if any(line.address + distance >= 1 << 64 for line in lines[first:last]):
        return lines
    moved = [Line(line.address + distance, line.type, line.name) for line in lines[first:last]]
    return lines[:first] + moved + lines[last:]


def shift_rest(rng: random.Random, lines: list[Line]) -> list[Line]:
    """A body grew: all behind it moves up."""
    return _shifted(lines, rng.randrange(len(lines) + 1), len(lines), rng.choice((1, 16, 16, 64, 4096)))


def move_range(rng: random.Random, lines: list[Line]) -> list[Line]:
    first, last = sorted((rng.randrange(len(lines) + 1), rng.randrange(len(lines) + 1)))
    return in_order(_shifted(lines, first, last, rng.choice((1, 16, 64))))


def move_bound(rng: random.Random, lines: list[Line]) -> list[Line]:
    """A range of text or of per-cpu symbols begins or ends elsewhere; where there is none, one comes."""
    bounds = [line for line in lines if line.name in _BOUNDS]
    old = rng.choice(bounds) if bounds else None
    kept = [line for line in lines if line is not old]
    label = old.name if old else rng.choice(_BOUNDS)
    return in_order([*kept, Line(_near(rng, lines), ord("D"), label)])


def swap_equals(rng: random.Random, lines: list[Line]) -> list[Line]:
    """Two neighbours change places in the file; mostly two at one address."""
    ties = [at for at in range(len(lines) - 1) if lines[at].address == lines[at + 1].address]
    at = rng.choice(ties or list(range(len(lines) - 1)) or [0])
    return lines[:at] + lines[at : at + 2][::-1] + lines[at + 2 :]


def shuffle(rng: random.Random, lines: list[Line]) -> list[Line]:
    return rng.sample(lines, len(lines))


def empty(_rng: random.Random, _lines: list[Line]) -> list[Line]:
    return []


def several(edits: tuple[Edit, ...], rng: random.Random, lines: list[Line]) -> list[Line]:
    """A few edits at once, as between two real builds."""
    for _ in range(rng.randint(2, 5)):
        lines = rng.choice(edits)(rng, lines)
    return lines


ADDRESS_EDITS: tuple[Edit, ...] = (shift_rest, shift_rest, move_range, move_one, move_bound, swap_equals)
NAME_EDITS: tuple[Edit, ...] = (add, remove, rename, respell, exchange_names, retype, duplicate)
RARE_EDITS: tuple[Edit, ...] = (
    rename_many,
    crowd,
    crowd,
    new_letter,
    drop_oddest,
    shuffle,
    empty,
    partial(several, NAME_EDITS),
    partial(several, ADDRESS_EDITS + NAME_EDITS),
)
