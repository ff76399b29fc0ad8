# SPDX-License-Identifier: GPL-2.0-only
"""How long things take: a small histogram for each stage, from which percentiles are read."""

from collections.abc import Mapping, Sequence
from itertools import accumulate, pairwise

from kallsyms_client.wire import STAGES

#: What is timed: each stage of a computation, and requests as a whole.
TIMED = (*STAGES, "request")

# Two buckets for each power of two, up to 134 s.
_OCTAVES = 27

#: Upper bounds of the buckets in microseconds; what is above the last one counts for it.
BOUNDS = tuple(bound for octave in range(_OCTAVES) for bound in (3 << octave >> 1, 2 << octave))

#: Counts of a histogram, bucket by bucket; the zeros at its end may be missing.
Histogram = Sequence[int]

#: Histograms by what they time.
Latencies = Mapping[str, Histogram]


class LatencyCounts:
    """The histograms. Used by one thread."""

    def __init__(self, kept: Latencies | None = None) -> None:
        """Begin empty, or where ``kept`` left off."""
        self._counts = {name: [0] * len(BOUNDS) for name in TIMED}
        for name, histogram in (kept or {}).items():
            self._counts[name][: len(histogram)] = histogram

    def add(self, name: str, microseconds: int) -> None:
        """Count one that took so long."""
        self._counts[name][_bucket(microseconds)] += 1

    def snapshot(self) -> Latencies:
        """All histograms as they are now."""
        return {name: _trimmed(counts) for name, counts in self._counts.items()}


def percentile(histogram: Histogram, part: float) -> float:
    """Seconds within which ``part`` (0 to 1) of all stayed; 0 if there are none.

    Those in one bucket count as evenly spread between its bounds.
    """
    wanted = part * sum(histogram)
    edges = pairwise((0, *BOUNDS))
    for (lower, upper), count, seen in zip(edges, histogram, accumulate(histogram), strict=False):
        if count and seen >= wanted:
            inside = (wanted - (seen - count)) / count
            return (lower + (upper - lower) * inside) / 1e6
    return 0.0


def minus(later: Histogram, earlier: Histogram) -> Histogram:
    """What was counted between two moments; nothing in a bucket is less than 0."""
    padded = [*earlier, *[0] * len(BOUNDS)]
    return _trimmed([max(0, count - before) for count, before in zip(later, padded, strict=False)])


def read(value: object) -> Latencies:
    """Histograms from a file or message; what is none is empty."""
    known = value if isinstance(value, dict) else {}
    return {name: _read(known.get(name)) for name in TIMED}


def _read(value: object) -> Histogram:
    if not isinstance(value, list | tuple) or len(value) > len(BOUNDS):
        return []
    return list(value) if all(type(count) is int and 0 <= count < 2**63 for count in value) else []


def _bucket(microseconds: int) -> int:
    if microseconds < 1:
        return 0
    octave = (microseconds - 1).bit_length() - 1 if microseconds > 1 else 0
    upper_half = microseconds > BOUNDS[2 * octave] if octave < _OCTAVES else True
    return min(2 * octave + upper_half, len(BOUNDS) - 1)


def _trimmed(counts: Sequence[int]) -> Histogram:
    end = len(counts)
    while end and not counts[end - 1]:
        end -= 1
    return list(counts[:end])
