# SPDX-License-Identifier: GPL-2.0-only
"""Maps that were asked about before are computed when they are written, and found ready."""

import os
from pathlib import Path
from typing import Any

import pytest

from kallsymsd.engine.engine import Engine
from kallsymsd.protocol import wire
from kallsymsd.protocol.wire import COLD, HIT, BuildReply, How
from kallsymsd.service.ahead import directories, precompute
from kallsymsd.service.ahead.buildfiles import PREDICTED, Event, Kind, kind_of, map_of
from kallsymsd.service.ahead.precompute import Precomputer
from kallsymsd.service.ahead.unused import Unused
from kallsymsd.service.tally import Tally
from kallsymsd.service.ticket import Outcome, Ticket
from tests.service.peer import PATIENCE, Daemon, FakeCore, request, serving
from tests.service.test_server import wait_for


def build(daemon: Daemon, path: Path, **changes: Any) -> tuple[BuildReply, bytes]:  # noqa: ANN401  fields
    with daemon.peer() as peer:
        peer.build(path, **changes)
        return peer.reply()


def counted(daemon: Daemon, name: str) -> int:
    count: int = daemon.stats()[name]
    return count


def status(daemon: Daemon) -> dict[str, Any]:
    with daemon.peer() as peer:
        peer.control({"command": "status"})
        return peer.answer()


def watched(daemon: Daemon) -> list[dict[str, Any]]:
    """The trees, as status shows them."""
    trees: list[dict[str, Any]] = status(daemon)["watch"]["trees"]
    return trees


def idle(daemon: Daemon) -> bool:
    return not daemon.server._workers.busy


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    tree = tmp_path / "tree"
    tree.mkdir()
    return tree


@pytest.fixture
def a_map(tree: Path, daemon: Daemon) -> Path:
    """A map that was asked about, in a tree that is watched by now."""
    path = tree / "a.syms"
    path.write_bytes(b"first\n")
    build(daemon, path)
    wait_for(lambda: [each["watched"] for each in watched(daemon)] == [True])
    return path


def test_a_map_that_is_written_again_is_ready(daemon: Daemon, a_map: Path, core: FakeCore) -> None:
    a_map.write_bytes(b"second\n")
    wait_for(lambda: counted(daemon, "ahead") == 1)
    assert core.calls == 2
    reply, content = build(daemon, a_map)
    assert (reply.how.made, reply.precomputed, content) == (COLD, True, b"\ndnoces")
    assert reply.message == b"a warning\n"
    again, _ = build(daemon, a_map)
    assert (again.how.made, again.precomputed) == (HIT, False)
    assert core.calls == 2
    assert (counted(daemon, "ahead_used"), counted(daemon, "ahead_wasted")) == (1, 0)


@pytest.mark.parametrize("elsewhere", [False, True])
def test_a_map_that_is_renamed_into_place_is_ready(daemon: Daemon, a_map: Path, *, elsewhere: bool) -> None:
    new = (a_map.parent.parent if elsewhere else a_map.parent) / "new"
    new.write_bytes(b"second\n")
    new.replace(a_map)
    wait_for(lambda: counted(daemon, "ahead") == 1)
    assert build(daemon, a_map)[0].precomputed


def test_a_request_joins_the_work_ahead(daemon: Daemon, a_map: Path, core: FakeCore) -> None:
    a_map.write_bytes(b"wait for it\n")
    wait_for(lambda: core.started.acquire(blocking=False))
    busy = status(daemon)["busy"]
    assert [(each["what"], each["ahead"]) for each in busy] == [(str(a_map), True)]
    peers = [daemon.peer() for _ in range(2)]
    for peer in peers:
        peer.build(a_map)
    wait_for(lambda: sum(map(len, daemon.server.builds._running.values())) == 3)
    core.release.set()
    for peer in peers:
        reply, content = peer.reply()
        peer.close()
        assert (reply.how.made, reply.precomputed, content) == (COLD, True, b"\nti rof tiaw")
    assert core.calls == 2
    assert build(daemon, a_map)[0].how.made == HIT
    assert counted(daemon, "shared") == 1
    assert (counted(daemon, "ahead"), counted(daemon, "ahead_wasted")) == (1, 0)


def test_work_ahead_joins_a_request(daemon: Daemon, a_map: Path, core: FakeCore, tmp_path: Path) -> None:
    # Without a last newline: that it was created is no reason to begin.
    (tmp_path / "new").write_bytes(b"wait for it")
    (tmp_path / "new").replace(a_map)
    with daemon.peer() as peer:
        peer.build(a_map)
        assert core.started.acquire(timeout=PATIENCE)
        with a_map.open("ab"):
            pass
        wait_for(lambda: sum(map(len, daemon.server.builds._running.values())) == 2)
        core.release.set()
        reply, _ = peer.reply()
    assert (reply.how.made, reply.precomputed) == (COLD, False)
    wait_for(lambda: idle(daemon))
    assert core.calls == 2
    assert counted(daemon, "ahead") == 0


def test_what_the_last_request_asked_for_is_computed(daemon: Daemon, a_map: Path) -> None:
    build(daemon, a_map, dialect="v6.1.y", options=3)
    a_map.write_bytes(b"second\n")
    wait_for(lambda: counted(daemon, "ahead") == 1)
    assert not build(daemon, a_map)[0].precomputed
    assert build(daemon, a_map, dialect="v6.1.y", options=3)[0].precomputed


def test_each_name_has_its_own_last_request(daemon: Daemon, a_map: Path, core: FakeCore) -> None:
    other = a_map.with_name("b.syms")
    other.write_bytes(b"other\n")
    build(daemon, other, options=3)
    for path in (a_map, other):
        path.write_bytes(b"second\n")
    wait_for(lambda: counted(daemon, "ahead") == 2)
    assert build(daemon, a_map)[0].precomputed
    assert build(daemon, other, options=3)[0].precomputed
    assert core.calls == 4


def test_a_system_map_that_equals_the_last_map_is_recognised(
    daemon: Daemon, a_map: Path, core: FakeCore
) -> None:
    final = a_map.with_name("System.map")
    final.write_bytes(a_map.read_bytes())
    build(daemon, final)
    a_map.write_bytes(b"second\n")
    wait_for(lambda: counted(daemon, "ahead") == 1)
    final.write_bytes(b"second\n")
    a_map.with_name("never asked about.syms").write_bytes(b"third\n")
    a_map.write_bytes(b"fourth\n")  # comes after the others
    wait_for(lambda: counted(daemon, "ahead") == 2 and idle(daemon))
    assert core.calls == 3


def test_what_is_replaced_before_it_is_asked_for_is_wasted(daemon: Daemon, a_map: Path) -> None:
    a_map.write_bytes(b"second\n")
    wait_for(lambda: counted(daemon, "ahead") == 1)
    a_map.write_bytes(b"third\n")
    wait_for(lambda: counted(daemon, "ahead") == 2)
    assert counted(daemon, "ahead_wasted") == 1
    a_map.unlink()
    wait_for(lambda: counted(daemon, "ahead_wasted") == 2)


def test_an_event_proves_nothing(daemon: Daemon, a_map: Path) -> None:
    a_map.write_bytes(b"second\n")
    wait_for(lambda: counted(daemon, "ahead") == 1)
    # A store through a mapping, for one, raises no event when it is done.
    daemon.server._precomputer._directories.close()
    a_map.write_bytes(b"THIRD!\n")
    reply, content = build(daemon, a_map)
    assert (reply.how.made, reply.precomputed, content) == (COLD, False, b"\n!DRIHT")


@pytest.mark.parametrize("content", [b"bad\n", b"crash\n"])
def test_what_fails_ahead_is_told_to_who_asks(daemon: Daemon, a_map: Path, content: bytes) -> None:
    a_map.write_bytes(content)
    wait_for(lambda: not status(daemon)["busy"] and idle(daemon))
    with daemon.peer() as peer:
        peer.build(a_map)
        if content == b"bad\n":
            assert peer.reply()[0].status == wire.BAD_INPUT
        else:
            assert "ZeroDivisionError" in peer.failure()
    a_map.write_bytes(b"good again\n")
    wait_for(lambda: counted(daemon, "ahead") >= 1)
    wait_for(lambda: build(daemon, a_map)[0].status == wire.OK)


def test_what_only_has_the_name_of_a_map_does_no_harm(daemon: Daemon, a_map: Path) -> None:
    os.mkfifo(a_map.with_name("pipe"))
    a_map.with_name("pipe").replace(a_map)
    a_map.unlink()
    a_map.mkdir()
    a_map.rmdir()
    a_map.with_name("new").write_bytes(b"second\n")
    a_map.with_name("new").replace(a_map)  # at once: whoever comes late for the pipe finds no empty map
    wait_for(lambda: counted(daemon, "ahead") == 1)
    assert build(daemon, a_map)[0].precomputed


def test_a_directory_deleted_and_made_again_is_watched_from_the_next_request_on(
    daemon: Daemon, a_map: Path
) -> None:
    a_map.unlink()
    a_map.parent.rmdir()
    wait_for(lambda: not watched(daemon)[0]["watched"])
    a_map.parent.mkdir()
    a_map.write_bytes(b"second\n")
    build(daemon, a_map)
    wait_for(lambda: bool(watched(daemon)[0]["watched"]))
    a_map.write_bytes(b"third\n")
    wait_for(lambda: counted(daemon, "ahead") == 1)
    assert build(daemon, a_map)[0].precomputed


def test_a_directory_that_was_deleted_is_not_watched(daemon: Daemon, a_map: Path) -> None:
    a_map.unlink()
    a_map.parent.rmdir()
    wait_for(lambda: not watched(daemon)[0]["watched"])
    assert watched(daemon)[0]["problem"] == "No such file or directory"


def test_where_watching_is_off_or_impossible_answers_are_right(
    tmp_path: Path, tree: Path, core: FakeCore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kallsymsd.service.ahead.watcher.filesystem_type", lambda _: "nfs4")
    with serving(tmp_path / "run" / "s", lambda: Engine(None, core)) as daemon:
        path = tree / "a.syms"
        for content in (b"first\n", b"second\n"):
            path.write_bytes(content)
            reply, made = build(daemon, path)
            assert (reply.how.made, reply.precomputed, made) == (COLD, False, content[::-1])
        wait_for(lambda: "nfs4" in watched(daemon)[0]["problem"])
        assert not watched(daemon)[0]["watched"]


# The rules, without threads.


class Bench:
    """A precomputer whose workers run when told, and whose watcher only records."""

    refusal = ""

    def __init__(self) -> None:
        self.jobs: list[Any] = []
        self.tickets: list[Ticket] = []
        self.calls: list[tuple[str, ...]] = []
        self.wakes = 0
        self.tally = Tally(lambda _: None, 0.0)
        self.unused = Unused()
        self.precomputer = Precomputer(
            lambda _: self,  # type: ignore[arg-type,return-value]  # a stand-in
            self.unused,
            submit=self.jobs.append,
            serve=self.tickets.append,
            tally=self.tally,
            wake=self._wake,
        )

    def _wake(self) -> None:
        self.wakes += 1

    def watch(self, directory: str) -> str:
        self.calls.append(("watch", directory))
        return ""

    def release(self, directory: str) -> None:
        self.calls.append(("release", directory))

    def close(self) -> None:
        self.calls.append(("close",))

    def work(self, now: float = 0.0) -> list[tuple[str, ...]]:
        """Run all jobs, and a turn of the loop; what the watcher was told."""
        self.precomputer.turn(now)
        while self.jobs:
            self.jobs.pop(0)()
        self.precomputer.turn(now)
        called, self.calls = self.calls, []
        return called

    def ask(self, path: str, now: float = 0.0, answer: Any = None, **changes: Any) -> None:  # noqa: ANN401  fields
        ticket = Ticket(request(Path(path), **changes), -1, now, path=path)
        outcome = Outcome(answer, How())
        if answer is not None:
            self.unused.deliver(answer, outcome.how, [ticket], None)
        self.precomputer.answered(ticket, outcome, now)

    def finish(self, answer: Any = None, made: int = COLD) -> None:  # noqa: ANN401  a stand-in
        ticket, how = self.tickets.pop(0), How(made)
        if answer is not None:
            self.unused.deliver(answer, how, [ticket], None)
        self.precomputer.finished(ticket, Outcome(answer, how))

    def count(self, name: str) -> float:
        return self.tally.snapshot(None).figures.counters[name]


class FakeAnswer:
    """An answer that is all right."""

    ok = True


def test_only_maps_where_their_clients_say_are_watched() -> None:
    bench = Bench()
    for path in ("", "/t/a.map", "/t/vmlinux", "/t/../u/a.syms"):
        bench.ask(path)
    assert bench.work() == []
    bench.ask("/t/./a.syms")
    assert bench.work() == [("watch", "/t")]
    assert [each["directory"] for each in bench.precomputer.status(0.0)["trees"]] == ["/t"]


def test_a_directory_that_is_watched_is_looked_at_again_now_and_then() -> None:
    bench = Bench()
    bench.ask("/t/a.syms", 100.0)
    assert bench.work() == [("watch", "/t")]
    bench.ask("/t/a.syms", 100.0 + directories.CERTAIN / 2)
    assert bench.work() == []
    for number in range(1, 4):
        bench.ask("/t/a.syms", 100.0 + number * directories.CERTAIN)
        assert bench.work() == [("watch", "/t")]


def test_a_directory_that_was_deleted_or_cannot_be_watched_is_looked_at_for_each_request(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bench = Bench()
    bench.ask("/t/a.syms")
    bench.work()
    watch = bench.watch
    monkeypatch.setattr(bench, "watch", lambda directory: watch(directory) or "gone")
    bench.precomputer.hear("/t", "", Event.GONE)
    assert bench.work() == [("watch", "/t")]
    for _ in range(2):
        bench.ask("/t/a.syms")
        assert bench.work() == [("watch", "/t")]
        assert bench.precomputer.status(0.0)["trees"][0]["problem"] == "gone"
    monkeypatch.undo()
    bench.ask("/t/a.syms")
    assert bench.work() == [("watch", "/t")]
    assert bench.precomputer.status(0.0)["trees"][0]["watched"]


def test_the_loop_is_woken_by_news_only() -> None:
    bench = Bench()
    bench.ask("/t/a.syms", 0.0)
    bench.work()
    assert bench.wakes == 1
    bench.ask("/t/a.syms", directories.CERTAIN)
    assert bench.work() == [("watch", "/t")]
    assert bench.wakes == 1
    bench.ask("/t/a.syms", 2 * directories.CERTAIN)
    assert bench.work() == [("watch", "/t")]  # the check before was taken note of all the same


def test_where_nothing_is_watched_no_worker_is_asked_to() -> None:
    bench = Bench()
    bench.refusal = "switched off"
    bench.ask("/t/a.syms")
    assert bench.jobs == []
    (shown,) = bench.precomputer.status(0.0)["trees"]
    assert (shown["watched"], shown["problem"]) == (False, "switched off")


def test_a_tree_unused_for_a_day_is_released() -> None:
    bench = Bench()
    bench.ask("/t/a.syms", 0.0)
    bench.ask("/u/a.syms", 10.0)
    bench.work()
    assert bench.precomputer.due() == directories.UNUSED
    assert bench.work(directories.UNUSED - 1) == []
    assert bench.work(directories.UNUSED + 1) == [("release", "/t")]
    assert bench.precomputer.due() == directories.UNUSED + 10


def test_the_number_of_trees_and_names_is_bounded() -> None:
    bench = Bench()
    for number in range(directories.MOST_TREES + 3):
        bench.ask(f"/{number}/a.syms")
    calls = bench.work()
    assert [call for call in calls if call[0] == "release"] == [("release", f"/{n}") for n in range(3)]
    for number in range(precompute.MOST_NAMES + 1):
        bench.ask(f"/50/{number}.syms")
    names = next(each for each in bench.precomputer.status(0.0)["trees"] if each["directory"] == "/50")[
        "maps"
    ]
    assert len(names) == precompute.MOST_NAMES
    assert f"{precompute.MOST_NAMES}.syms" in names


def test_a_tree_released_while_a_worker_watches_it_is_not_watched_for_ever() -> None:
    bench = Bench()
    bench.ask("/t/a.syms")
    bench.precomputer._directories.release("/t")
    bench.jobs.reverse()  # another worker was faster
    assert bench.work() == [("release", "/t"), ("watch", "/t")]
    assert bench.work() == [("release", "/t")]


def test_events_while_a_map_is_computed_are_one_more_computation() -> None:
    bench = Bench()
    bench.ask("/t/a.syms")
    for _ in range(5):
        bench.precomputer.hear("/t", "a.syms", Event.COMPLETE)
    bench.work()
    assert len(bench.tickets) == 1
    assert list(bench.precomputer.busy()) == ["/t/a.syms"]
    bench.finish()
    bench.work()
    assert len(bench.tickets) == 1
    bench.finish()
    bench.work()
    assert bench.tickets == []
    assert bench.precomputer.busy() == {}


def test_after_events_were_lost_nothing_is_watched_for_a_while() -> None:
    bench = Bench()
    bench.ask("/t/a.syms")
    bench.work()
    pauses = []
    now = 100.0
    for _ in range(9):
        bench.precomputer.overflow()
        bench.precomputer.overflow()
        assert bench.work(now) == [("close",)]
        bench.ask("/t/a.syms", now)
        assert bench.work(now) == []
        (shown,) = bench.precomputer.status(now)["trees"]
        assert not shown["watched"]
        assert "lost" in shown["problem"]
        due = bench.precomputer.due()
        assert due is not None
        pauses.append(due - now)
        assert bench.precomputer.status(now)["paused"] == pauses[-1]
        now = due
        assert bench.work(now) == [("watch", "/t")]
    assert pauses == [10, 20, 40, 80, 160, 320, 640, 640, 640]
    assert bench.count("watch_overflows") == 9
    now += directories.CALM + 1
    bench.ask("/t/a.syms", now)
    bench.precomputer.overflow()
    bench.work(now)
    assert bench.precomputer.due() == now + directories.FIRST_PAUSE


def test_a_watcher_that_fails_is_a_problem_of_that_tree(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench()
    monkeypatch.setattr(bench, "watch", lambda _: 1 // 0)
    bench.ask("/t/a.syms")
    bench.work()
    assert "ZeroDivisionError" in bench.precomputer.status(0.0)["trees"][0]["problem"]


def test_a_created_file_counts_once_it_ends_as_a_map_does(tmp_path: Path) -> None:
    path = tmp_path / "a.syms"
    bench = Bench()
    bench.ask(str(path))
    for content, opened in ((b"", False), (b"ffff T", False), (b"ffff T a\n", True)):
        path.write_bytes(content)
        bench.precomputer.hear(str(tmp_path), "a.syms", Event.CREATED)
        bench.work()
        assert (bench.tickets[0].descriptor >= 0) is opened
        bench.tickets[0].close()
        bench.finish()


def test_a_tree_that_is_released_has_wasted_what_nobody_asked_for() -> None:
    bench = Bench()
    bench.ask("/t/a.syms")
    bench.precomputer.hear("/t", "a.syms", Event.COMPLETE)
    bench.work()
    answer = FakeAnswer()
    bench.finish(answer)
    assert (bench.count("ahead"), bench.count("ahead_wasted")) == (1, 0)
    bench.work(directories.UNUSED + 1)
    assert (bench.count("ahead"), bench.count("ahead_wasted")) == (1, 1)


def test_no_work_is_counted_where_there_was_none() -> None:
    bench = Bench()
    bench.ask("/t/a.syms")
    bench.precomputer.hear("/t", "a.syms", Event.COMPLETE)
    bench.work()
    bench.finish(FakeAnswer(), made=HIT)
    assert bench.count("ahead") == 0


def test_what_was_heard_is_bounded() -> None:
    bench = Bench()
    for _ in range(5000):
        bench.precomputer.hear("/t", "a.syms", Event.COMPLETE)
    assert len(bench.precomputer._events) <= 1024


@pytest.mark.parametrize("written", ["a.syms", ".tmp_vmlinux1", "vmlinux.o"])
def test_what_another_answer_shows_to_be_of_no_use_is_wasted_at_once(written: str) -> None:
    bench = Bench()
    asked = f"/t/{map_of(written) if kind_of(written) is not Kind.MAP else written}"
    bench.ask(asked)
    bench.precomputer.hear("/t", written, Event.COMPLETE)
    bench.work()
    made = FakeAnswer()
    bench.finish(made)
    bench.ask(asked, answer=FakeAnswer(), options=3)  # another question says nothing
    assert (bench.count("ahead"), bench.count("ahead_wasted")) == (1, 0)
    bench.ask(asked, answer=FakeAnswer())
    assert bench.count("ahead_wasted") == 1
    bench.ask(asked, answer=FakeAnswer())
    assert bench.count("ahead_wasted") == 1


def test_a_kernel_that_is_linked_once_has_no_other_maps() -> None:
    bench = Bench()
    for name in (".tmp_vmlinux1.syms", "System.map", PREDICTED):
        bench.ask(f"/t/{name}")
    assert bench.precomputer.status(0.0)["trees"][0]["maps"] == [PREDICTED]
    for name in (".tmp_vmlinux1", "vmlinux", ".tmp_vmlinux2.syms", "System.map"):
        bench.precomputer.hear("/t", name, Event.COMPLETE)
    bench.work()
    assert bench.tickets == []
    bench.ask("/t/System.map")  # in the end it was linked as ever
    assert bench.precomputer.status(0.0)["trees"][0]["maps"] == [PREDICTED, "System.map"]


@pytest.mark.parametrize("name", ["vmlinux.o", ".tmp_vmlinux1"])
def test_what_a_linker_has_just_begun_is_left_alone(name: str) -> None:
    bench = Bench()
    bench.ask(f"/t/{map_of(name)}")
    bench.precomputer.hear("/t", name, Event.CREATED)
    bench.work()
    assert bench.tickets == []
