# SPDX-License-Identifier: GPL-2.0-only
"""Predicts the map of the next link: the last map, with removed names taken out and new ones inserted.

The sizes of the tables depend only on type letters and names. So a map with the right names, at any
addresses, gives tables of the right sizes, which the linker can use at once. The last link shows what becomes
of symbols of a class (section, binding, type): their letter in the map, or that the map lacks them. A
prediction need not be right: it is compared with what was linked.
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

#: If more symbols are removed or added, there is no prediction: it would be slow and probably wrong.
MOST_CHANGED = 20000
#: Symbols of a class that are looked up in the last map.
_SAMPLES = 24


class Prediction(NamedTuple):
    """A predicted map.

    text     the map
    removed  number of lines removed from the last map
    added    number of lines inserted
    """

    text: bytes
    removed: int
    added: int


class UnpredictableError(Exception):
    """The map cannot be predicted; the text says why."""


def name_filter(dialect: Dialect) -> Callable[[bytes], bool]:
    """A function that tells whether mksysmap of ``dialect`` drops a name."""
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
    """A line of the last map: its offset, its address in hex, its type letter."""

    start: int
    address: bytes
    letter: bytes


def predict(old: Inputs, old_map: bytes, new: Inputs, is_dropped: Callable[[bytes], bool]) -> Prediction:
    """The map that a link of ``new`` gives, after a link of ``old`` gave ``old_map``.

    ``is_dropped`` tells whether mksysmap drops a name. UnpredictableError if the inputs differ too much, or
    for a class of symbols that the last link did not have.
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
                f"the last link had no symbol like {name.decode('ascii', 'replace')} in section "
                f"{new.classes.describe(cls).decode('ascii', 'replace')}"
            )
        like = model[cls]
        if like is not None:
            end = old_map.index(b"\n", like.start) + 1
            edits.append((end, end, b"%b %b %b\n" % (like.address, like.letter, name)))
            inserted += 1
    return Prediction(_edited(old_map, edits), len(gone), inserted)


def _difference(old: Inputs, new: Inputs) -> tuple[list[bytes], list[bytes]]:
    """The removed and the added strings (class and name)."""
    if len(old.parts) != len(new.parts):
        raise UnpredictableError(f"{len(new.parts)} input files instead of {len(old.parts)}")
    gone: Counter[bytes] = Counter()
    fresh: Counter[bytes] = Counter()
    for old_strings, strings in zip(old.parts, new.parts, strict=True):
        pairs = align(old_strings, strings)
        changed = (len(pairs.removed) + len(pairs.added)) // 4
        if changed > MOST_CHANGED:
            raise UnpredictableError(f"{changed} symbols of the linker's inputs were removed or added")
        gone.update(old_strings.select(pairs.removed).split(b"\0")[:-1])
        fresh.update(strings.select(pairs.added).split(b"\0")[:-1])
    # A symbol that moved to another file is neither.
    return sorted((gone - fresh).elements()), sorted((fresh - gone).elements())


def _samples(old: Inputs, cls: bytes, is_dropped: Callable[[bytes], bool]) -> list[bytes]:
    """Names of a class in the last link."""
    names = []
    for strings in old.parts:
        for position in of_class(strings, cls, _SAMPLES):
            name = strings[position][2:]
            if not is_dropped(name):
                names.append(name)
    return names


def _lines(old_map: bytes, names: Iterable[bytes]) -> dict[bytes, list[_Line]]:
    """The lines of the map for each of these names."""
    ordered = sorted(names)
    hits = memoryview(lines_of(old_map, Strings.of(ordered))).cast("I")
    lines: dict[bytes, list[_Line]] = defaultdict(list)
    for position, start in zip(hits[::2], hits[1::2], strict=True):
        space = old_map.index(b" ", start)
        lines[ordered[position]].append(_Line(start, old_map[start:space], old_map[space + 1 : space + 2]))
    return lines


def _line_of_class(sampled: list[bytes], lines: dict[bytes, list[_Line]]) -> _Line | None:
    """A typical line of a class; None for a class whose symbols are not in the map."""
    # A name that occurs once is better evidence than one that occurs often.
    outcomes = [lines[name] for name in sampled if len(lines[name]) <= 1] or [lines[name] for name in sampled]
    letters = Counter(found[0].letter if found else b"" for found in outcomes)
    usual = letters.most_common(1)[0][0]
    return (
        next((found[0] for found in outcomes if found and found[0].letter == usual), None) if usual else None
    )


def _line_to_remove(candidates: list[_Line], like: _Line | None, gone: set[int]) -> _Line | None:
    """The line, among those with a name, of a symbol whose class has lines like ``like``."""
    left = [line for line in candidates if line.start not in gone]
    if like is None:
        return None
    return next((line for line in left if line.letter == like.letter), left[0] if len(left) == 1 else None)


def _edited(text: bytes, edits: list[tuple[int, int, bytes]]) -> bytes:
    """``text`` after edits (start, end, replacement); ranges may touch but not overlap."""
    pieces = []
    at = 0
    for start, end, replacement in sorted(edits):
        pieces += [text[at:start], replacement]
        at = end
    return b"".join((*pieces, text[at:]))
