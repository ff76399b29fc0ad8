# SPDX-License-Identifier: GPL-2.0-only
"""What the figures were at earlier moments, so that one can ask what was counted since."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from kallsymsd.counters import figures

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from kallsymsd.counters.figures import Figures

#: Seconds without a request after which the next one begins a build.
QUIET = 30.0
#: Seconds between marks, but for the last two.
SPACING = 1800.0
#: Marks kept: those of two days of uninterrupted work.
MOST = 100


class Mark(NamedTuple):
    """The figures from one moment to another, between which nothing was counted.

    since, until  these moments, in seconds of the epoch
    is_build      a build began at the second
    figures       what had been counted by then
    """

    since: float
    until: float
    is_build: bool
    figures: Figures

    def message(self) -> dict[str, Any]:
        """The form for files and messages; read() is its inverse."""
        return {"since": self.since, "until": self.until, "build": self.is_build, **self.figures.message()}


class Marks:
    """Marks, oldest first. Used by one thread."""

    def __init__(self, kept: Iterable[Mark] = (), last_request: float = 0.0) -> None:
        """Go on from ``kept``; ``last_request`` is when the last request came, 0 for never."""
        self._marks = list(kept)
        self.last_request = last_request

    def request(self, now: float, before: Callable[[], Figures]) -> None:
        """A request comes; ``before`` tells what was counted before it."""
        is_build = not self.last_request <= now < self.last_request + QUIET
        if is_build or now >= self._marks[-1].until + SPACING:
            self._add(Mark(self.last_request, now, is_build, before()))
        self.last_request = now

    def clear(self) -> None:
        """Forget all: the figures begin at zero again."""
        self._marks.clear()
        self.last_request = 0.0

    def __iter__(self) -> Iterator[Mark]:
        return iter(self._marks)

    def _add(self, mark: Mark) -> None:
        # The begin of the last build is always there, others only where they are not close to another.
        marks = self._marks
        if mark.is_build and len(marks) > 1 and marks[-1].until < marks[-2].until + SPACING:
            marks.pop()
        marks.append(mark)
        del marks[:-MOST]


def read(value: object) -> list[Mark]:
    """Marks from a file or message; what is none is left out."""
    items = value if isinstance(value, list | tuple) else ()
    return [_mark(item) for item in items if isinstance(item, dict)][-MOST:]


def read_time(value: object) -> float:
    """A moment from a file or message; what is none is 0."""
    return float(value) if isinstance(value, int | float) and 0 <= value < 2**53 else 0.0


def _mark(item: dict[str, object]) -> Mark:
    return Mark(
        read_time(item.get("since")),
        read_time(item.get("until")),
        item.get("build") is True,
        figures.read(item),
    )
