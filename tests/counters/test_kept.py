# SPDX-License-Identifier: GPL-2.0-only
"""What is counted stands in one file, whole or not at all, and survives restarts."""

import json
from pathlib import Path

import pytest

from kallsymsd.counters import figures
from kallsymsd.counters.kept import FILENAME, Kept, load, read, save
from kallsymsd.counters.marks import Mark
from kallsymsd.service.tally import Tally
from tests.service.peer import request

REQUEST = request(Path("/m"))
LATENCIES = {"parse": {"microseconds": 8, "counts": [0, 2, 1]}}
SOME = figures.read({"requests": 3, "seconds": 1.5, "latencies": LATENCIES})


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    kept = Kept(
        SOME,
        [Mark(1.0, 2.5, is_build=True, figures=SOME), Mark(3.0, 9.0, is_build=False, figures=SOME)],
        99.5,
        0.5,
    )
    save(tmp_path, kept)
    assert load(tmp_path) == kept


def test_a_restart_goes_on_counting(tmp_path: Path) -> None:
    first = Tally(lambda kept: save(tmp_path, kept), 0.0, clock=lambda: 1000.0)
    first.failure(REQUEST)
    first.take_save(0.0, None)()
    second = Tally(lambda kept: save(tmp_path, kept), 0.0, load(tmp_path), clock=lambda: 1010.0)
    second.failure(REQUEST)
    kept = second.snapshot(None)
    assert kept.figures.counters["requests"] == 2
    assert [(mark.since, mark.until) for mark in kept.marks] == [(0.0, 1000.0)]
    assert kept.last_request == 1010.0


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"null", b"\xff\xff", b"[" * 50_000, b'"requests"', b"1e999"]
)
def test_a_damaged_file_is_no_file(tmp_path: Path, content: bytes) -> None:
    (tmp_path / FILENAME).write_bytes(content)
    assert load(tmp_path) is None


@pytest.mark.parametrize(
    "wrong",
    [
        {"latencies": 3},
        {"latencies": {"parse": [0, 1]}},
        {"latencies": {"parse": {"microseconds": 1, "counts": [0, -1]}}},
        {"latencies": {"parse": {"microseconds": 1, "counts": [0.5]}}},
        {"latencies": {"parse": {"microseconds": 1, "counts": [1] * 1000}}},
        {"latencies": {"parse": {"microseconds": "1", "counts": [1]}}},
        {"marks": "none"},
        {"marks": [3, None]},
        {"last_request": "yesterday"},
        {"last_request": -1},
        {"zero": float("nan")},
    ],
)
def test_what_makes_no_sense_counts_as_nothing(wrong: dict[str, object]) -> None:
    assert read({"requests": 3, **wrong}) == read({"requests": 3})


def test_without_a_file_there_is_nothing_kept(tmp_path: Path) -> None:
    assert load(tmp_path) is None


def test_saving_leaves_no_other_file(tmp_path: Path) -> None:
    for _ in range(2):
        save(tmp_path, Kept(SOME, []))
    assert [path.name for path in tmp_path.iterdir()] == [FILENAME]
    assert json.loads((tmp_path / FILENAME).read_text())["requests"] == 3
