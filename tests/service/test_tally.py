# SPDX-License-Identifier: GPL-2.0-only
"""Only builds count as builds, and what an answer saved is reckoned when it is given."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kallsymsd.core.assembly import Assembly
from kallsymsd.counters import costs, kept
from kallsymsd.counters.costs import Stock
from kallsymsd.counters.kept import Kept
from kallsymsd.counters.marks import QUIET
from kallsymsd.counters.table import TABLE, Counter
from kallsymsd.engine.answer import Answer
from kallsymsd.engine.engine import Engine
from kallsymsd.engine.result import BuildResult
from kallsymsd.protocol.wire import ADDRESSES, COLD, HIT, STAGES, How
from kallsymsd.service.tally import Tally
from kallsymsd.service.ticket import Outcome
from tests.interpreter import python
from tests.service.peer import Daemon, Peer, request, serving

MAP = b"ffffffff81000000 T _text\nffffffff81000010 T start\n"
BUILD = request(Path("/m"))
VERIFY = request(Path("/m"), verify=True)
# What stands apart from builds, or says how things are.
APART = {Counter.VERIFY_REQUESTS, Counter.EMPTY_REQUESTS, *(row.counter for row in TABLE if row.gauge)}


def outcome(made: int, symbols: int, microseconds: int = 0, *, is_empty: bool = False) -> Outcome:
    how = How(made, symbols=symbols, stages=(microseconds, *(0,) * (len(STAGES) - 1)))
    return Outcome(Answer.of(BuildResult(how, Assembly(b"x", []))), how, is_empty=is_empty)


class Clock:
    """Tells what a test has set."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def tally(clock: Clock) -> Tally:
    return Tally(lambda _: None, 0.0, clock=clock)


def counted(tally: Tally) -> dict[str, Any]:
    return tally.snapshot(None).figures.counters


# Whose requests count.


@pytest.mark.parametrize(
    "happen",
    [
        lambda tally: tally.outcome(VERIFY, outcome(HIT, 5), 1.0),
        lambda tally: tally.outcome(VERIFY, outcome(COLD, 5, 10), 1.0),
        lambda tally: tally.outcome(VERIFY, Outcome(None, How(), failure="no"), 1.0),
        lambda tally: tally.failure(VERIFY),
        lambda tally: tally.hangup(VERIFY),
        lambda tally: tally.outcome(BUILD, outcome(HIT, 0, is_empty=True), 1.0),
        lambda tally: tally.outcome(BUILD, outcome(COLD, 0, 10, is_empty=True), 1.0),
    ],
)
def test_what_is_no_build_is_in_no_number_of_builds(tally: Tally, happen: Callable[[Tally], None]) -> None:
    tally.learn(Stock(1, 100.0, 0.0, 0.0))
    happen(tally)
    snapshot = tally.snapshot(None)
    assert sum(snapshot.figures.counters[key] for key in APART) == 1
    assert not any(value for key, value in snapshot.figures.counters.items() if key not in APART)
    assert not any(histogram.events for histogram in snapshot.figures.latencies.values())
    assert (snapshot.marks, snapshot.last_request) == ([], 0.0)


def test_it_begins_no_build_either(tally: Tally, clock: Clock) -> None:
    for each, answer in ((BUILD, outcome(HIT, 5)), (VERIFY, outcome(HIT, 5))):
        clock.now += 10 * QUIET
        tally.outcome(each, answer, 0.1)
        tally.outcome(BUILD, outcome(HIT, 0, is_empty=True), 0.1)
    assert len(tally.snapshot(None).marks) == 1


def ask(daemon: Daemon, path: Path, **changes: Any) -> None:  # noqa: ANN401  fields of a request
    with daemon.peer() as peer:
        peer.build(path, **changes)
        peer.reply()


def test_the_daemon_tells_them_apart(tmp_path: Path) -> None:
    whole, empty = tmp_path / "m", tmp_path / "e"
    whole.write_bytes(MAP)
    empty.touch()
    with serving(tmp_path / "run" / "s", lambda: Engine(None)) as daemon:
        for path, changes in (
            (whole, {}),
            (empty, {}),
            (whole, {"verify": True}),
            (empty, {}),
            (whole, {}),
            (empty, {"verify": True}),
        ):
            ask(daemon, path, **changes)
        stats = daemon.stats()
    assert (stats["requests"], stats["hits"], stats["misses"], stats["cold"]) == (2, 1, 1, 1)
    assert (stats["verify_requests"], stats["empty_requests"]) == (2, 2)
    assert sum(stats["latencies"]["request"]["counts"]) == 2


def test_the_client_says_that_it_verifies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "m").write_bytes(MAP)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    with serving(tmp_path / "run" / "s", lambda: Engine(None)) as daemon:
        monkeypatch.setenv("KALLSYMSD_SOCKET", str(daemon.path))
        for policy in ("require", "verify", "verify"):
            monkeypatch.setenv("KALLSYMSD", policy)
            arguments = ["kallsyms", "--dialect=v6.11", "--all-symbols", "--format=asm", "m"]
            python(
                f"import sys; sys.argv = {arguments}; from kallsyms_client.main import main; sys.exit(main())"
            )
        stats = daemon.stats()
    assert (stats["requests"], stats["misses"], stats["hits"], stats["verify_requests"]) == (1, 1, 0, 2)


def test_an_empty_map_that_the_dialect_does_not_take_is_bad_input(tmp_path: Path) -> None:
    (tmp_path / "e").touch()
    with serving(tmp_path / "run" / "s", lambda: Engine(None)) as daemon:
        ask(daemon, tmp_path / "e", dialect="v6.1.y")
        stats = daemon.stats()
    assert (stats["requests"], stats["bad_input"], stats["empty_requests"]) == (1, 1, 0)


# What was saved.


def saved(tally: Tally) -> tuple[float, float]:
    counters = counted(tally)
    return counters["saved_seconds_cold"], counters["saved_seconds_stock"]


def test_an_answer_saves_what_it_would_have_cost_by_what_is_known_then(tally: Tally) -> None:
    tally.outcome(BUILD, outcome(HIT, 1000), 0.5)
    assert saved(tally) == (0, 0)  # nothing was measured yet
    tally.outcome(BUILD, outcome(COLD, 1000, 2_000_000), 2.5)
    assert saved(tally) == (0, 0)  # a cold run saves nothing against itself
    tally.outcome(BUILD, outcome(HIT, 1000), 0.5)
    assert saved(tally) == (1.5, 0)
    tally.learn(Stock(1000, 5.0, 4.0, 1.0))
    assert saved(tally) == (1.5, 0)  # not for answers that were given before
    tally.outcome(BUILD, outcome(ADDRESSES, 1000), 0.5)
    assert saved(tally) == (3.0, 7.5)
    tally.learn(Stock(1000, 500.0, 4.0, 1.0))
    tally.outcome(BUILD, outcome(COLD, 1000, 200_000_000), 1000.0)
    assert saved(tally) == (3.0, 7.5)


def test_an_answer_that_took_longer_saves_nothing_and_costs_nothing_either(tally: Tally) -> None:
    tally.learn(Stock(1, 1.0, 0.0, 0.0))
    tally.outcome(BUILD, outcome(COLD, 1, 1_000_000), 0.25)
    tally.outcome(BUILD, outcome(HIT, 1), 9.0)
    assert saved(tally) == (0, 0.75)


def test_what_a_cold_run_costs_is_known_across_zero_and_restarts(tmp_path: Path, tally: Tally) -> None:
    tally.outcome(BUILD, outcome(COLD, 1000, 2_000_000), 2.5)
    tally.zero()
    kept.save(tmp_path, tally.snapshot(None))
    after = Tally(lambda _: None, 0.0, kept.load(tmp_path))
    after.outcome(BUILD, outcome(HIT, 1000), 0.5)
    assert saved(after) == (1.5, 0)


def test_the_daemon_is_told_what_was_measured(tmp_path: Path) -> None:
    with serving(tmp_path / "run" / "s", lambda: Engine(None)) as daemon:
        for message in ({"symbols": 1, "tool": 100.0, "assembly": 0.0, "ours": 0.0}, {"symbols": 0}):
            with Peer(daemon.path) as peer:
                peer.control({"command": "stock", **message})
                answer = peer.answer()
            assert bool(answer) == (message["symbols"] == 0)
        (tmp_path / "m").write_bytes(MAP)
        ask(daemon, tmp_path / "m")
        assert daemon.stats()["saved_seconds_stock"] > 100


# Files of earlier versions.


def test_what_an_earlier_version_counted_is_all_there(tmp_path: Path) -> None:
    old: dict[str, float] = {row.counter.value: 7 for row in TABLE if row.counter not in APART}
    old |= {"symbols": 4000, "seconds": 3.0, "cold_symbols": 1000, "cold_seconds": 2.0}
    old |= {"warm_symbols": 3000, "warm_seconds": 0.5}
    del old["saved_seconds_cold"], old["saved_seconds_stock"]
    mark = {**old, "symbols": 2000, "seconds": 1.0, "warm_symbols": 1000, "since": 1.0, "until": 2.0}
    latencies = {"parse": {"microseconds": 8, "counts": [0, 2, 1]}}
    message = {**old, "latencies": latencies, "marks": [mark], "last_request": 9.0, "zero": 3.0}
    (tmp_path / kept.FILENAME).write_text(json.dumps(message))
    costs.save(tmp_path, Stock(1000, 3.0, 2.0, 1.0))
    read = kept.load(tmp_path)
    assert read is not None
    counters = read.figures.counters
    assert {key: counters[key] for key in old} == old
    # As that version told it: 3 thousand at 2 s less 0.5 s, 4 thousand at 4 s less 3 s.
    assert (counters["saved_seconds_cold"], counters["saved_seconds_stock"]) == (5.5, 13.0)
    since = read.figures.minus(read.marks[0].figures).counters
    assert (since["saved_seconds_cold"], since["saved_seconds_stock"]) == (4.0, 6.0)
    assert (read.last_request, read.zero, len(read.figures.latencies["parse"].counts)) == (9.0, 3.0, 3)
    # Once: then it stands, whatever is measured.
    kept.save(tmp_path, read)
    costs.save(tmp_path, Stock(1000, 300.0, 2.0, 1.0))
    assert kept.load(tmp_path) == read


def test_without_costs_nothing_was_saved_but_all_else_is_there() -> None:
    read = kept.read({"requests": 3, "symbols": 100, "seconds": 1.0})
    assert read == Kept(read.figures, [])
    assert {key for key, value in read.figures.counters.items() if value} == {
        "requests",
        "symbols",
        "seconds",
    }
