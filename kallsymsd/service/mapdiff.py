# SPDX-License-Identifier: GPL-2.0-only
"""Finds where two maps begin to differ. Compares in bulk: a map has a hundred thousand lines."""

from typing import NamedTuple

# Lines from the first difference that are searched for a differing name; more would take too long.
_SEARCHED = 2000


class Difference(NamedTuple):
    """The first lines that differ; empty at the end of a map.

    number    of the line, from 1
    old, new  the lines, without their ends
    """

    number: int
    old: bytes
    new: bytes


def first(old: bytes, new: bytes) -> Difference | None:
    """The first difference of two maps, None if there is none.

    A differing name soon after the first differing line is preferred: a moved address says little.
    """
    at = _common(old, new)
    if at == max(len(old), len(new)):
        return None
    start = old.rfind(b"\n", 0, at) + 1
    number = old.count(b"\n", 0, start) + 1
    lines = _Lines(old, start), _Lines(new, start)
    found = None
    for ahead in range(_SEARCHED):
        pair = lines[0].next(), lines[1].next()
        if pair == (b"", b""):
            break
        if found is None and pair[0] != pair[1]:
            found = Difference(number + ahead, *pair)
        if _name(pair[0]) != _name(pair[1]):
            return Difference(number + ahead, *pair)
    return found


def _common(old: bytes, new: bytes) -> int:
    """Length of the longest common prefix, by bisection: comparing in bulk is a memcmp."""
    low, high = 0, min(len(old), len(new))
    view = memoryview(new)
    while low < high:
        middle = (low + high + 1) // 2
        # Not "==", which compares a memoryview item by item.
        if old.startswith(view[low:middle], low):
            low = middle
        else:
            high = middle - 1
    return low


class _Lines:
    """Reads a text line by line from an offset on."""

    def __init__(self, text: bytes, at: int) -> None:
        self._text = text
        self._at = at

    def next(self) -> bytes:
        end = self._text.find(b"\n", self._at)
        end = len(self._text) if end < 0 else end
        line = self._text[self._at : end]
        self._at = end + 1
        return line


def _name(line: bytes) -> bytes:
    """The line without its address."""
    return line.partition(b" ")[2]
