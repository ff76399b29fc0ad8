# SPDX-License-Identifier: GPL-2.0-only
"""Counters: one table, fixed keys, kept across restarts."""

import json
from pathlib import Path

import pytest

from kallsymsd.service.stats import FILENAME, TABLE, Counter, Counters, Unit, load, save

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


def test_sums_are_kept_and_what_is_there_now_is_not(tmp_path: Path) -> None:
    save(tmp_path, {row.counter.value: 7 for row in TABLE})
    after = Counters(load(tmp_path)).snapshot()
    assert {after[row.counter.value] for row in TABLE if row.gauge} == {0}
    assert {after[row.counter.value] for row in TABLE if not row.gauge} == {7}


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"null", b"\xff\xff", b"[" * 50_000, b'"requests"', b"1e999"]
)
def test_a_damaged_file_is_no_file(tmp_path: Path, content: bytes) -> None:
    (tmp_path / FILENAME).write_bytes(content)
    assert load(tmp_path) is None


def test_without_a_file_there_is_nothing_kept(tmp_path: Path) -> None:
    assert load(tmp_path) is None


@pytest.mark.parametrize("value", ["text", None, True, [], -1, 1.5, 2**64, float("inf"), float("nan")])
def test_an_impossible_number_counts_as_zero(tmp_path: Path, value: object) -> None:
    (tmp_path / FILENAME).write_text(json.dumps({"requests": value, "hits": 3, "other": 5}))
    kept = load(tmp_path)
    assert kept is not None
    assert (kept["requests"], kept["hits"]) == (0, 3)
    assert set(kept) == set(Counter)


def test_seconds_have_fractions(tmp_path: Path) -> None:
    assert next(row for row in TABLE if row.counter is Counter.SECONDS).unit is Unit.SECONDS
    save(tmp_path, {**Counters().snapshot(), "seconds": 1.5})
    kept = load(tmp_path)
    assert kept is not None
    assert kept["seconds"] == 1.5


def test_saving_leaves_no_other_file(tmp_path: Path) -> None:
    save(tmp_path, Counters().snapshot())
    save(tmp_path, Counters().snapshot())
    assert [path.name for path in tmp_path.iterdir()] == [FILENAME]
