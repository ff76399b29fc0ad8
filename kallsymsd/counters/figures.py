# SPDX-License-Identifier: GPL-2.0-only
"""All counters and histograms at one time, or between two times, and their form in files and messages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from kallsymsd.counters import latency, table

if TYPE_CHECKING:
    from collections.abc import Mapping

_GAUGES = frozenset(row.counter.value for row in table.TABLE if row.gauge)


class Figures(NamedTuple):
    """Counters and histograms.

    counters   values by the keys of table.TABLE
    latencies  histograms by the names in latency.TIMED
    """

    counters: table.Snapshot
    latencies: latency.Latencies

    def message(self) -> dict[str, Any]:
        """The form for files and messages; read() is its inverse."""
        return {**self.counters, "latencies": {name: each.message() for name, each in self.latencies.items()}}

    def minus(self, earlier: Figures) -> Figures:
        """What was counted since ``earlier``; gauges keep their present value."""
        counters: table.Snapshot = {
            key: value if key in _GAUGES else max(0, value - earlier.counters[key])
            for key, value in self.counters.items()
        }
        latencies = {
            name: histogram.minus(earlier.latencies[name]) for name, histogram in self.latencies.items()
        }
        return Figures(counters, latencies)


def read(message: Mapping[str, object]) -> Figures:
    """Figures from a file or message; missing or impossible values count as 0."""
    return Figures(table.read(message), latency.read(message.get("latencies")))
