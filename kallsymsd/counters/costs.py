# SPDX-License-Identifier: GPL-2.0-only
"""What an answer would have cost otherwise, as measured on this machine, and so how much time it saved.

That is reckoned when the answer is given, with what is known then, and added up (stats.py). What is measured
later changes nothing of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from kallsymsd.counters import jsonfile
from kallsymsd.counters.table import Counter

if TYPE_CHECKING:
    from pathlib import Path

    from kallsymsd.counters.table import Snapshot

#: Name of the file in the cache directory with the costs of the kernel's own tool.
FILENAME = "stock.json"

_MAX_FILE = 1 << 12


class Stock(NamedTuple):
    """What one pass costs without kallsymsd, measured by ``kallsymsctl verify`` on this machine.

    symbols   of the map it was measured with
    tool      seconds that the kernel's own tool took for it
    assembly  seconds that assembling that tool's output took
    ours      seconds that assembling our output takes, which is to be paid with the daemon too
    """

    symbols: int
    tool: float
    assembly: float
    ours: float

    @property
    def each(self) -> float:
        """Seconds for each symbol."""
        return (self.tool + self.assembly - self.ours) / self.symbols


class Costs(NamedTuple):
    """What is known at a moment.

    cold   seconds of a cold run for each symbol, 0 for unknown
    stock  what a pass costs without us, None for unknown
    """

    cold: float
    stock: Stock | None


def saved_cold(known: Costs, symbols: float, seconds: float) -> float:
    """Seconds saved against cold runs by answers about so many symbols, which took so long.

    Nothing for what took longer than that, or where nothing is known.
    """
    return max(0.0, symbols * known.cold - seconds) if known.cold else 0.0


def saved_stock(known: Costs, symbols: float, seconds: float) -> float:
    """As :func:`saved_cold`, against the kernel's own tool."""
    return max(0.0, symbols * known.stock.each - seconds) if known.stock is not None else 0.0


def of_sums(counters: Snapshot, known: Costs) -> Snapshot:
    """The counters of the time saved, for sums of which single answers are not known any more."""
    warm = counters[Counter.WARM_SYMBOLS], counters[Counter.WARM_SECONDS]
    every = counters[Counter.SYMBOLS], counters[Counter.SECONDS]
    return {
        Counter.SAVED_COLD.value: saved_cold(known, *warm),
        Counter.SAVED_STOCK.value: saved_stock(known, *every),
    }


def save(directory: Path, stock: Stock) -> None:
    """Keep what was measured; OSError when that fails."""
    jsonfile.save(directory / FILENAME, stock._asdict())


def load(directory: Path) -> Stock | None:
    """What save() wrote last; None if there is nothing, or nothing that makes sense."""
    return read(jsonfile.load(directory / FILENAME, _MAX_FILE))


def read(values: object) -> Stock | None:
    """What a file or message says; None if that makes no sense."""
    if not isinstance(values, dict):
        return None
    try:
        tool, assembly, ours = (float(values[name]) for name in Stock._fields[1:])
        stock = Stock(int(values["symbols"]), tool, assembly, ours)
    except (ValueError, TypeError, KeyError, OverflowError):
        return None
    return stock if _makes_sense(stock) else None


def _makes_sense(stock: Stock) -> bool:
    return stock.symbols >= 1 and all(0 <= seconds < 1e6 for seconds in stock[1:])
