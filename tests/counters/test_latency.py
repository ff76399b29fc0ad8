# SPDX-License-Identifier: GPL-2.0-only
"""Histograms: every time falls into the one bucket whose bounds hold it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kallsymsd.counters.latency import BOUNDS, Histogram, LatencyCounts


def one(microseconds: int) -> Histogram:
    counts = LatencyCounts()
    counts.add("parse", microseconds)
    return counts.snapshot()["parse"]


@given(st.integers(0, 2 * BOUNDS[-1]))
def test_a_time_is_counted_between_its_bounds(microseconds: int) -> None:
    histogram = one(microseconds)
    bucket = len(histogram.counts) - 1
    assert histogram == (microseconds, (0,) * bucket + (1,))
    assert microseconds <= BOUNDS[bucket] or bucket == len(BOUNDS) - 1
    assert bucket == 0 or microseconds > BOUNDS[bucket - 1]


def test_bounds_grow() -> None:
    assert list(BOUNDS) == sorted(set(BOUNDS))


@given(st.lists(st.integers(1, BOUNDS[-1]), min_size=1, max_size=200), st.sampled_from((0.5, 0.9, 0.99)))
def test_a_percentile_is_off_by_no_more_than_its_bucket(times: list[int], part: float) -> None:
    counts = LatencyCounts()
    for time in times:
        counts.add("parse", time)
    exact = sorted(times)[max(0, -int(-part * len(times) // 1) - 1)]
    lower = max((bound for bound in BOUNDS if bound < exact), default=0)
    upper = min(bound for bound in BOUNDS if bound >= exact)
    assert lower <= round(counts.snapshot()["parse"].percentile(part) * 1e6, 3) <= upper


def test_without_times_there_is_no_percentile() -> None:
    assert Histogram().percentile(0.5) == 0


def test_counting_goes_on_from_what_was_kept() -> None:
    counts = LatencyCounts({"parse": one(1000)})
    counts.add("parse", 1000)
    both = counts.snapshot()["parse"]
    assert (both.events, both.total) == (2, 2000)
    assert both.minus(one(1000)) == one(1000)


@pytest.mark.parametrize(("later", "earlier"), [((1,), (2,)), ((), (0, 5)), ((1,), (1,))])
def test_a_difference_is_never_less_than_nothing(later: tuple[int, ...], earlier: tuple[int, ...]) -> None:
    assert Histogram(3, later).minus(Histogram(4, earlier)) == (0, ())
