# SPDX-License-Identifier: GPL-2.0-only
"""How much time the daemon has saved, estimated from what was measured on this machine."""

from pathlib import Path
from typing import NamedTuple

from kallsymsd.service import jsonfile
from kallsymsd.service.figures import Figures
from kallsymsd.service.stats import Counter

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


class Saved(NamedTuple):
    """Estimated seconds saved; None where the costs were never measured.

    cold   against a cold run for each answer
    stock  against the kernel's own tool for each answer
    """

    cold: float | None
    stock: float | None


def estimate(figures: Figures, stock: Stock | None) -> Saved:
    """The time that the answers in ``figures`` would have taken, less what they took."""
    counters = figures.counters
    cold = against_stock = None
    if counters[Counter.COLD_SYMBOLS]:
        each = counters[Counter.COLD_SECONDS] / counters[Counter.COLD_SYMBOLS]
        cold = max(0.0, counters[Counter.WARM_SYMBOLS] * each - counters[Counter.WARM_SECONDS])
    if stock is not None:
        each = (stock.tool + stock.assembly - stock.ours) / stock.symbols
        against_stock = max(0.0, counters[Counter.SYMBOLS] * each - counters[Counter.SECONDS])
    return Saved(cold, against_stock)


def save(directory: Path, stock: Stock) -> None:
    """Keep what was measured; OSError when that fails."""
    jsonfile.save(directory / FILENAME, stock._asdict())


def load(directory: Path) -> Stock | None:
    """What save() wrote last; None if there is nothing, or nothing that makes sense."""
    values = jsonfile.load(directory / FILENAME, _MAX_FILE)
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
