# SPDX-License-Identifier: GPL-2.0-only
"""The file in the cache directory that keeps the counters across restarts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from kallsymsd.counters import costs, figures, jsonfile, marks
from kallsymsd.counters.costs import Costs
from kallsymsd.counters.table import Counter
from kallsymsd.protocol.private import NotPrivateError, check_private

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from kallsymsd.counters.costs import Stock
    from kallsymsd.counters.figures import Figures
    from kallsymsd.counters.marks import Mark

#: Name of that file.
FILENAME = "counters.json"

_MAX_FILE = 1 << 22


class Kept(NamedTuple):
    """The contents of the file, and the daemon's answer to "stats".

    figures       everything counted since the last reset
    marks         the figures at earlier times, oldest first
    last_request  time of the last request, 0 for never
    zero          time of the last reset, 0 for never
    cold_each     seconds per symbol of a cold run, as last measured; 0 if unknown. A reset keeps it
    """

    figures: Figures
    marks: list[Mark]
    last_request: float = 0.0
    zero: float = 0.0
    cold_each: float = 0.0

    def message(self) -> dict[str, Any]:
        """The form for files and messages; read() is its inverse."""
        return {
            **self.figures.message(),
            "last_request": self.last_request,
            "zero": self.zero,
            "cold_each": self.cold_each,
            "marks": [mark.message() for mark in self.marks],
        }


def read(message: Mapping[str, object], stock: Stock | None = None) -> Kept:
    """The contents of a file or message; invalid parts count as 0.

    ``stock`` is the cost of a pass with the kernel's own tool; it is used for files of older versions.
    """
    counted = figures.read(message)
    kept = Kept(
        counted,
        marks.read(message.get("marks")),
        marks.read_time(message.get("last_request")),
        marks.read_time(message.get("zero")),
        counted.counters[Counter.COLD_SECONDS] / counted.counters[Counter.COLD_SYMBOLS]
        if counted.counters[Counter.COLD_SYMBOLS]
        else marks.read_time(message.get("cold_each")),
    )
    return kept if Counter.SAVED_COLD in message else _with_savings(kept, stock)


def _with_savings(kept: Kept, stock: Stock | None) -> Kept:
    """Add the saved time to counters of an older version, which computed it anew for each report."""
    known = Costs(kept.cold_each, stock)

    def earned(figures: Figures) -> Figures:
        return figures._replace(counters={**figures.counters, **costs.of_sums(figures.counters, known)})

    return kept._replace(
        figures=earned(kept.figures),
        marks=[mark._replace(figures=earned(mark.figures)) for mark in kept.marks],
    )


def save(directory: Path, kept: Kept) -> None:
    """Replace the file atomically; OSError on failure."""
    jsonfile.save(directory / FILENAME, kept.message())


def load(directory: Path) -> Kept | None:
    """What :func:`save` wrote last; None if missing, unreadable, or in a directory that is not private."""
    try:
        check_private(directory)
    except NotPrivateError:
        return None
    message = jsonfile.load(directory / FILENAME, _MAX_FILE)
    return read(message, costs.load(directory)) if isinstance(message, dict) else None
