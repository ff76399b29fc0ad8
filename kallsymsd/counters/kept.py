# SPDX-License-Identifier: GPL-2.0-only
"""The file in the cache directory that keeps what was counted across restarts."""

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

#: Its name.
FILENAME = "counters.json"

_MAX_FILE = 1 << 22


class Kept(NamedTuple):
    """What the file says, and the daemon when it is asked for it.

    figures       everything counted since zero
    marks         what it was at earlier moments, oldest first
    last_request  when the last request came, 0 for never
    zero          when everything was set to zero, 0 for never
    cold_each     seconds of a cold run for each symbol, as last known; 0 for unknown. Zero leaves it alone
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
    """What a file or message says; whatever makes no sense in it counts as nothing.

    ``stock`` is what a pass costs without us, for what an earlier version counted.
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
    """What an earlier version kept, with the time saved as that version would have told it today.

    It told it anew each time, by what was known then; from now on it stands.
    """
    known = Costs(kept.cold_each, stock)

    def earned(figures: Figures) -> Figures:
        return figures._replace(counters={**figures.counters, **costs.of_sums(figures.counters, known)})

    return kept._replace(
        figures=earned(kept.figures),
        marks=[mark._replace(figures=earned(mark.figures)) for mark in kept.marks],
    )


def save(directory: Path, kept: Kept) -> None:
    """Write the file, whole or not at all; OSError when that fails."""
    jsonfile.save(directory / FILENAME, kept.message())


def load(directory: Path) -> Kept | None:
    """What :func:`save` wrote last; None if there is nothing, it cannot be read, or is not ours alone."""
    try:
        check_private(directory)
    except NotPrivateError:
        return None
    message = jsonfile.load(directory / FILENAME, _MAX_FILE)
    return read(message, costs.load(directory)) if isinstance(message, dict) else None
