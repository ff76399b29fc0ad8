# SPDX-License-Identifier: GPL-2.0-only
"""Latency: a small histogram for each stage of a computation, from which percentiles are estimated."""

from collections.abc import Mapping, Sequence
from itertools import accumulate, pairwise
from typing import Any, NamedTuple, Self, TypeGuard

from kallsymsd.protocol.wire import STAGES

#: What is timed: each stage of a computation, and whole requests.
TIMED = (*STAGES, "request")

# Two buckets for each power of two, up to 134 s.
_OCTAVES = 27

#: Upper bounds of the buckets in microseconds; the last bucket also takes everything above it.
BOUNDS = tuple(bound for octave in range(_OCTAVES) for bound in (3 << octave >> 1, 2 << octave))


class Histogram(NamedTuple):
    """A histogram of times.

    total   sum of all times, in microseconds
    counts  events per bucket, without trailing zeros
    """

    total: int = 0
    counts: tuple[int, ...] = ()

    @property
    def events(self) -> int:
        """Number of events."""
        return sum(self.counts)

    def percentile(self, part: float) -> float:
        """Seconds that ``part`` (0 to 1) of all events took at most; 0 without events.

        Events are taken as evenly spread within their bucket.
        """
        wanted = part * self.events
        edges = pairwise((0, *BOUNDS))
        for (lower, upper), count, seen in zip(edges, self.counts, accumulate(self.counts), strict=False):
            if count and seen >= wanted:
                inside = (wanted - (seen - count)) / count
                return (lower + (upper - lower) * inside) / 1e6
        return 0.0

    def minus(self, earlier: Self) -> "Histogram":
        """What was counted since ``earlier``, never below 0."""
        padded = [*earlier.counts, *[0] * len(BOUNDS)]
        counts = [max(0, count - before) for count, before in zip(self.counts, padded, strict=False)]
        return Histogram(max(0, self.total - earlier.total), _trimmed(counts))

    def message(self) -> dict[str, Any]:
        """The form for files and messages."""
        return {"microseconds": self.total, "counts": list(self.counts)}


#: Histograms by the names of TIMED.
Latencies = Mapping[str, Histogram]


class LatencyCounts:
    """Collects the histograms. Not thread-safe."""

    def __init__(self, kept: Latencies | None = None) -> None:
        """Start empty, or from ``kept``."""
        self._counts = {name: [0] * len(BOUNDS) for name in TIMED}
        self._totals = dict.fromkeys(TIMED, 0)
        for name, histogram in (kept or {}).items():
            self._counts[name][: len(histogram.counts)] = histogram.counts
            self._totals[name] = histogram.total

    def add(self, name: str, microseconds: int) -> None:
        """Count one event."""
        self._counts[name][_bucket(microseconds)] += 1
        self._totals[name] += microseconds

    def snapshot(self) -> Latencies:
        """All histograms as they are now."""
        return {
            name: Histogram(self._totals[name], _trimmed(counts)) for name, counts in self._counts.items()
        }


def read(value: object) -> Latencies:
    """Histograms from a file or message; an invalid one counts as empty."""
    known = value if isinstance(value, dict) else {}
    return {name: _read(known.get(name)) for name in TIMED}


def _read(value: object) -> Histogram:
    if not isinstance(value, dict):
        return Histogram()
    total, counts = value.get("microseconds"), value.get("counts")
    if not isinstance(counts, list | tuple) or len(counts) > len(BOUNDS):
        return Histogram()
    if not _is_count(total) or not all(_is_count(count) for count in counts):
        return Histogram()
    return Histogram(total, _trimmed(counts))


def _is_count(value: object) -> TypeGuard[int]:
    return type(value) is int and 0 <= value < 2**63


def _bucket(microseconds: int) -> int:
    if microseconds < 1:
        return 0
    octave = (microseconds - 1).bit_length() - 1 if microseconds > 1 else 0
    upper_half = microseconds > BOUNDS[2 * octave] if octave < _OCTAVES else True
    return min(2 * octave + upper_half, len(BOUNDS) - 1)


def _trimmed(counts: Sequence[int]) -> tuple[int, ...]:
    end = len(counts)
    while end and not counts[end - 1]:
        end -= 1
    return tuple(counts[:end])
