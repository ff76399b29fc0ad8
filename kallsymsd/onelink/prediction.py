# SPDX-License-Identifier: GPL-2.0-only
"""The next map before its link: the last one, without the names that are gone and with those that are new.

The sizes of the tables depend on type letters and names only. So a map with the right names, at whatever
addresses, gives tables of the right sizes, and the linker can be given those at once. What has become of
symbols of one class (section, binding, type) is learned from the last link: their letter in the map, or that
they are not in it. Nobody relies on a prediction; it is compared with what was linked.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from typing import TYPE_CHECKING, NamedTuple

from kallsymsd.core.native.alignment import align
from kallsymsd.core.native.strings import Strings
from kallsymsd.elf.native.inputs import lines_of, of_class

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from kallsymsd.core.dialects import Dialect
    from kallsymsd.onelink.inputs import Inputs

#: More symbols than this gone or new: no prediction. It would be wrong for some, and dear.
MOST_CHANGED = 20000
#: Symbols of a class that are looked up to learn what becomes of it.
_SAMPLES = 24


class Prediction(NamedTuple):
    """A map that was made before its link.

    text     the map
    removed  lines of the last map that are not in it
    added    lines that are new
    """

    text: bytes
    removed: int
    added: int


class UnpredictableError(Exception):
    """There is no telling; the text says why, for a person."""


def name_filter(dialect: Dialect) -> Callable[[bytes], bool]:
    """Whether the maps of ``dialect`` never have a symbol of a name."""
    forms = {
        "^": "%s.*",
        "$": ".*%s",
        "*": ".*%s.*",
        "=": "%s",
        "#": "%s[0-9]*",
        "~": "%s[A-Za-z0-9]*Thunk_.*",
    }
    rules = (forms[rule[0]] % re.escape(rule[1:]) for rule in dialect.mksysmap.rules)
    pattern = re.compile("|".join(rules).encode())
    return lambda name: pattern.fullmatch(name) is not None


class _Line(NamedTuple):
    """A line of the last map: its place there, its address in hex, its type letter."""

    start: int
    address: bytes
    letter: bytes


def predict(old: Inputs, old_map: bytes, new: Inputs, is_dropped: Callable[[bytes], bool]) -> Prediction:
    """The map of a link of ``new``, when a link of ``old`` gave ``old_map``.

    ``is_dropped`` says whether the dialect's maps never have a symbol of that name. UnpredictableError for
    inputs too different, or a class of symbols that was not there before.
    """
    removed, added = _difference(old, new)
    samples = {cls: _samples(old, cls, is_dropped) for cls in {string[:2] for string in (*added, *removed)}}
    names = {string[2:] for string in removed}
    names.update(name for sampled in samples.values() for name in sampled)
    lines = _lines(old_map, names)
    model = {cls: _line_of_class(sampled, lines) for cls, sampled in samples.items() if sampled}
    edits: list[tuple[int, int, bytes]] = []
    gone: set[int] = set()
    for string in removed:
        line = _line_to_remove(lines[string[2:]], model.get(string[:2]), gone)
        if line is not None:
            gone.add(line.start)
            edits.append((line.start, old_map.index(b"\n", line.start) + 1, b""))
    inserted = 0
    for string in added:
        cls, name = string[:2], string[2:]
        if is_dropped(name):
            continue
        if cls not in model:
            raise UnpredictableError(
                f"no symbol like {name.decode('ascii', 'replace')} in section "
                f"{new.classes.describe(cls).decode('ascii', 'replace')} was there in the last link"
            )
        like = model[cls]
        if like is not None:
            end = old_map.index(b"\n", like.start) + 1
            edits.append((end, end, b"%b %b %b\n" % (like.address, like.letter, name)))
            inserted += 1
    return Prediction(_edited(old_map, edits), len(gone), inserted)


def _difference(old: Inputs, new: Inputs) -> tuple[list[bytes], list[bytes]]:
    """Strings (class and name) that are gone, and that are new."""
    if len(old.parts) != len(new.parts):
        raise UnpredictableError(f"{len(new.parts)} input files instead of {len(old.parts)}")
    gone: Counter[bytes] = Counter()
    fresh: Counter[bytes] = Counter()
    for old_strings, strings in zip(old.parts, new.parts, strict=True):
        pairs = align(old_strings, strings)
        changed = (len(pairs.removed) + len(pairs.added)) // 4
        if changed > MOST_CHANGED:
            raise UnpredictableError(f"{changed} symbols of the linker's inputs are gone or new")
        gone.update(old_strings.select(pairs.removed).split(b"\0")[:-1])
        fresh.update(strings.select(pairs.added).split(b"\0")[:-1])
    # What only went from one file to another is neither.
    return sorted((gone - fresh).elements()), sorted((fresh - gone).elements())


def _samples(old: Inputs, cls: bytes, is_dropped: Callable[[bytes], bool]) -> list[bytes]:
    """Names of that class in the last link."""
    names = []
    for strings in old.parts:
        for position in of_class(strings, cls, _SAMPLES):
            name = strings[position][2:]
            if not is_dropped(name):
                names.append(name)
    return names


def _lines(old_map: bytes, names: Iterable[bytes]) -> dict[bytes, list[_Line]]:
    """The lines of the map with these names."""
    ordered = sorted(names)
    hits = memoryview(lines_of(old_map, Strings.of(ordered))).cast("I")
    lines: dict[bytes, list[_Line]] = defaultdict(list)
    for position, start in zip(hits[::2], hits[1::2], strict=True):
        space = old_map.index(b" ", start)
        lines[ordered[position]].append(_Line(start, old_map[start:space], old_map[space + 1 : space + 2]))
    return lines


def _line_of_class(sampled: list[bytes], lines: dict[bytes, list[_Line]]) -> _Line | None:
    """A line as those of a class look; None for a class whose symbols are not in the map."""
    # A name that stands once says more than one of which there are many.
    outcomes = [lines[name] for name in sampled if len(lines[name]) <= 1] or [lines[name] for name in sampled]
    letters = Counter(found[0].letter if found else b"" for found in outcomes)
    usual = letters.most_common(1)[0][0]
    return (
        next((found[0] for found in outcomes if found and found[0].letter == usual), None) if usual else None
    )


def _line_to_remove(candidates: list[_Line], like: _Line | None, gone: set[int]) -> _Line | None:
    """Which of the lines with a name is that of a symbol of a class whose lines look like ``like``."""
    left = [line for line in candidates if line.start not in gone]
    if like is None:
        return None
    return next((line for line in left if line.letter == like.letter), left[0] if len(left) == 1 else None)


def _edited(text: bytes, edits: list[tuple[int, int, bytes]]) -> bytes:
    """``text`` with (start, end, replacement) put in; the ranges may touch, not overlap."""
    pieces = []
    at = 0
    for start, end, replacement in sorted(edits):
        pieces += [text[at:start], replacement]
        at = end
    return b"".join((*pieces, text[at:]))
