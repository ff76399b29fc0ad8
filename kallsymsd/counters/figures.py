# SPDX-License-Identifier: GPL-2.0-only
"""Everything that is counted, at one moment or between two, and its one form for files and messages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from kallsymsd.counters import latency, table

if TYPE_CHECKING:
    from collections.abc import Mapping

_GAUGES = frozenset(row.counter.value for row in table.TABLE if row.gauge)


class Figures(NamedTuple):
    """What was counted.

    counters   numbers by the keys of table.TABLE
    latencies  histograms by the names of latency.TIMED
    """

    counters: table.Snapshot
    latencies: latency.Latencies

    def message(self) -> dict[str, Any]:
        """The form for files and messages; read() is its inverse."""
        return {**self.counters, "latencies": {name: each.message() for name, each in self.latencies.items()}}

    def minus(self, earlier: Figures) -> Figures:
        """What was counted since ``earlier``; what says how things are now stays."""
        counters: table.Snapshot = {
            key: value if key in _GAUGES else max(0, value - earlier.counters[key])
            for key, value in self.counters.items()
        }
        latencies = {
            name: histogram.minus(earlier.latencies[name]) for name, histogram in self.latencies.items()
        }
        return Figures(counters, latencies)


def read(message: Mapping[str, object]) -> Figures:
    """Figures from a file or message; what is missing or impossible counts as 0."""
    return Figures(table.read(message), latency.read(message.get("latencies")))
