# SPDX-License-Identifier: GPL-2.0-only
"""Counters: one table, fixed keys."""

import pytest

from kallsymsd.counters.table import TABLE, Counter, Counters, Unit, noted, read
from kallsymsd.protocol.notes import LINKED, REASONS, Fallback, Linked

# Scripts read these; they never change.
FIXED = {"requests", "hits", "misses", "bytes", "seconds", "cache_entries", "cache_bytes", "cache_limit"}


def test_the_fixed_keys_are_there() -> None:
    assert set(Counters().snapshot()) >= FIXED


def test_every_counter_is_in_the_table_once_and_explained() -> None:
    assert sorted(row.counter for row in TABLE) == sorted(Counter)
    assert all(row.help for row in TABLE)


def test_counters_count() -> None:
    counters = Counters()
    counters.add(Counter.REQUESTS)
    counters.add(Counter.REQUESTS)
    counters.add(Counter.SECONDS, 0.25)
    counters.set(Counter.CACHE_LIMIT, 100)
    snapshot = counters.snapshot()
    assert (snapshot["requests"], snapshot["seconds"], snapshot["cache_limit"]) == (2, 0.25, 100)
    assert counters[Counter.REQUESTS] == 2


def test_sums_go_on_and_what_is_there_now_does_not() -> None:
    after = Counters({row.counter.value: 7 for row in TABLE}).snapshot()
    assert {after[row.counter.value] for row in TABLE if row.gauge} == {0}
    assert {after[row.counter.value] for row in TABLE if not row.gauge} == {7}


@pytest.mark.parametrize("value", ["text", None, True, [], -1, 1.5, 2**64, float("inf"), float("nan")])
def test_an_impossible_number_counts_as_zero(value: object) -> None:
    values = read({"requests": value, "hits": 3, "other": 5})
    assert (values["requests"], values["hits"]) == (0, 3)
    assert set(values) == set(Counter)


def test_seconds_have_fractions() -> None:
    assert next(row for row in TABLE if row.counter is Counter.SECONDS).unit is Unit.SECONDS
    assert read({"seconds": 1.5})["seconds"] == 1.5


def test_links_are_counted_by_how_they_went() -> None:
    ways = {"right": 1, "wrong": 2, "unknown": 3, "stock": 0, "failed": 0}
    assert list(ways) == list(LINKED)
    added = noted([Linked(how, links, 0.5, 0, (0, 0)) for how, links in ways.items()])
    assert {added[f"linked_{how}"] for how in LINKED} == {1}
    assert (added["linked"], added["links"], added["links_saved"]) == (5, 6, 2 + 1 + 0)
    assert (added["links_saved_seconds"], added["fallbacks"]) == (2.5, 0)


def test_every_reason_of_clients_has_a_counter() -> None:
    added = noted([Fallback(reason, 0.25, 0, (0, 0)) for reason in REASONS])
    assert {added[f"fallback_{reason}"] for reason in REASONS} == {1}
    assert (added["fallbacks"], added["fallback_seconds"]) == (len(REASONS), 0.25 * len(REASONS))
