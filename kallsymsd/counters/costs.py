# SPDX-License-Identifier: GPL-2.0-only
"""Estimates how much time each answer saved, from costs measured on this machine.

The estimate is made when the answer is given, from the costs known at that time, and added to the counters
(table.py). Later measurements do not change it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from kallsymsd.counters import jsonfile
from kallsymsd.counters.table import Counter

if TYPE_CHECKING:
    from pathlib import Path

    from kallsymsd.counters.table import Snapshot

#: File in the cache directory with the costs of the kernel's own tool.
FILENAME = "stock.json"

_MAX_FILE = 1 << 12


class Stock(NamedTuple):
    """What one pass costs with the kernel's own tool, measured by ``kallsymsctl verify`` on this machine.

    symbols   symbols in the map used for the measurement
    tool      seconds that the kernel's own tool took
    assembly  seconds to assemble that tool's output
    ours      seconds to assemble our output; a build with the daemon pays these, too
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
    """The costs known at one time.

    cold   seconds per symbol of a cold run, 0 if unknown
    stock  cost of a pass with the kernel's own tool, None if unknown
    """

    cold: float
    stock: Stock | None


def saved_cold(known: Costs, symbols: float, seconds: float) -> float:
    """Seconds saved compared with cold runs, for answers of ``symbols`` symbols that took ``seconds``.

    0 if the answers took longer than cold runs, or if the cost of a cold run is unknown.
    """
    return max(0.0, symbols * known.cold - seconds) if known.cold else 0.0


def saved_stock(known: Costs, symbols: float, seconds: float) -> float:
    """Like :func:`saved_cold`, compared with the kernel's own tool."""
    return max(0.0, symbols * known.stock.each - seconds) if known.stock is not None else 0.0


def of_sums(counters: Snapshot, known: Costs) -> Snapshot:
    """The counters of saved time, estimated from sums where the single answers are no longer known."""
    warm = counters[Counter.WARM_SYMBOLS], counters[Counter.WARM_SECONDS]
    every = counters[Counter.SYMBOLS], counters[Counter.SECONDS]
    return {
        Counter.SAVED_COLD.value: saved_cold(known, *warm),
        Counter.SAVED_STOCK.value: saved_stock(known, *every),
    }


def save(directory: Path, stock: Stock) -> None:
    """Save the measured costs; OSError on failure."""
    jsonfile.save(directory / FILENAME, stock._asdict())


def load(directory: Path) -> Stock | None:
    """The costs that save() wrote last; None if there are none or they are invalid."""
    return read(jsonfile.load(directory / FILENAME, _MAX_FILE))


def read(values: object) -> Stock | None:
    """The costs in a file or message; None if they are invalid."""
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
