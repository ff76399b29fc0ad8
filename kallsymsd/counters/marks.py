# SPDX-License-Identifier: GPL-2.0-only
"""Marks: the figures at earlier times, for questions about what was counted since then."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from kallsymsd.counters import figures

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from kallsymsd.counters.figures import Figures

#: After this many seconds without a request, the next request starts a new build.
QUIET = 30.0
#: Seconds between marks, but for the last two.
SPACING = 1800.0
#: Number of marks kept: two days of uninterrupted work.
MOST = 100


class Mark(NamedTuple):
    """The figures during a period in which nothing was counted.

    since, until  the period, in seconds since the epoch
    is_build      a build started at its end
    figures       everything counted before
    """

    since: float
    until: float
    is_build: bool
    figures: Figures

    def message(self) -> dict[str, Any]:
        """The form for files and messages; read() is its inverse."""
        return {"since": self.since, "until": self.until, "build": self.is_build, **self.figures.message()}


class Marks:
    """The list of marks, oldest first. Not thread-safe."""

    def __init__(self, kept: Iterable[Mark] = (), last_request: float = 0.0) -> None:
        """Continue from ``kept``; ``last_request`` is the time of the last request, 0 for never."""
        self._marks = list(kept)
        self.last_request = last_request

    def request(self, now: float, before: Callable[[], Figures]) -> None:
        """Register a request; ``before`` returns the figures without it."""
        is_build = not self.last_request <= now < self.last_request + QUIET
        if is_build or now >= self._marks[-1].until + SPACING:
            self._add(Mark(self.last_request, now, is_build, before()))
        self.last_request = now

    def clear(self) -> None:
        """Drop all marks, when the figures are reset."""
        self._marks.clear()
        self.last_request = 0.0

    def __iter__(self) -> Iterator[Mark]:
        return iter(self._marks)

    def _add(self, mark: Mark) -> None:
        # Always keep the start of the last build; keep others only at a distance from their neighbours.
        marks = self._marks
        if mark.is_build and len(marks) > 1 and marks[-1].until < marks[-2].until + SPACING:
            marks.pop()
        marks.append(mark)
        del marks[:-MOST]


def read(value: object) -> list[Mark]:
    """Marks from a file or message; invalid ones are skipped."""
    items = value if isinstance(value, list | tuple) else ()
    return [_mark(item) for item in items if isinstance(item, dict)][-MOST:]


def read_time(value: object) -> float:
    """A time from a file or message; 0 if it is invalid."""
    return float(value) if isinstance(value, int | float) and 0 <= value < 2**53 else 0.0


def _mark(item: dict[str, object]) -> Mark:
    return Mark(
        read_time(item.get("since")),
        read_time(item.get("until")),
        item.get("build") is True,
        figures.read(item),
    )
