# SPDX-License-Identifier: GPL-2.0-only
"""The daemon answers what is asked, to many at once, and outlives whatever a client does."""

import select
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kallsymsd import __version__
from kallsymsd.engine.engine import Engine
from kallsymsd.protocol import wire
from kallsymsd.protocol.paths import BadPathError
from kallsymsd.protocol.wire import BAD_INPUT, COLD, HIT, OK
from kallsymsd.service import hub, lifetime, waiting
from kallsymsd.service.instance import AlreadyRunningError, Instance
from tests.service.peer import PATIENCE, Daemon, FakeCore, Peer, request, serving

MakeMap = Callable[[bytes], Path]


def wait_for(condition: Callable[[], bool]) -> None:
    """Wait until the condition holds, which it does sooner or later."""
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)


def open_descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def build(daemon: Daemon, path: Path) -> tuple[wire.BuildReply, bytes]:
    with daemon.peer() as peer:
        peer.build(path)
        return peer.reply()


# Builds.


def test_a_build_gets_its_answer(daemon: Daemon, a_map: MakeMap) -> None:
    reply, content = build(daemon, a_map(b"ffff T a"))
    assert (reply.status, reply.how.made, reply.how.symbols) == (OK, COLD, 8)
    assert (content, reply.text_length, reply.binary_length) == (b"a T ffff", 8, 0)
    assert reply.message == b"a warning\n"


def test_a_repeated_build_is_a_hit(daemon: Daemon, core: FakeCore, a_map: MakeMap) -> None:
    build(daemon, a_map(b"ffff T a"))
    reply, content = build(daemon, a_map(b"ffff T a"))
    assert (reply.how.made, content, core.calls) == (HIT, b"a T ffff", 1)


def test_bad_input_is_an_answer_without_a_file(daemon: Daemon, a_map: MakeMap) -> None:
    reply, content = build(daemon, a_map(b"bad"))
    assert (reply.status, reply.message, content) == (BAD_INPUT, b"No valid symbol.\n", b"")


def test_a_defect_is_a_failure_of_one_line_and_the_daemon_lives_on(daemon: Daemon, a_map: MakeMap) -> None:
    with daemon.peer() as peer:
        peer.build(a_map(b"crash"))
        assert peer.failure() == "internal error: ZeroDivisionError: a defect of two lines"
    assert build(daemon, a_map(b"ffff T a"))[0].status == OK


def test_one_connection_serves_one_request_after_the_other(daemon: Daemon, a_map: MakeMap) -> None:
    with daemon.peer() as peer:
        peer.build(a_map(b"one"))
        assert peer.reply()[1] == b"eno"
        path = a_map(b"two")
        with path.open("rb") as file:
            peer.send(wire.frame(wire.BUILD, request(path).encode()), file.fileno())
        assert peer.reply()[1] == b"owt"


def test_a_request_may_come_byte_by_byte(daemon: Daemon, a_map: MakeMap) -> None:
    path = a_map(b"ffff T a")
    data = wire.preamble() + wire.frame(wire.BUILD, request(path).encode())
    with daemon.peer() as peer, path.open("rb") as file:
        for at in range(len(data)):
            descriptors = (file.fileno(),) if at == wire.PREAMBLE_SIZE else ()
            peer.send(data[at : at + 1], *descriptors)
        assert peer.reply()[1] == b"a T ffff"


def test_the_map_is_the_descriptor_and_not_the_path(daemon: Daemon, a_map: MakeMap) -> None:
    path, other = a_map(b"ffff T a"), a_map(b"eeee T b")
    with daemon.peer() as peer, path.open("rb") as file:
        peer.send(wire.preamble() + wire.frame(wire.BUILD, request(other).encode()), file.fileno())
        assert peer.reply()[1] == b"a T ffff"


def test_a_deleted_map_is_read_all_the_same(daemon: Daemon, a_map: MakeMap) -> None:
    path = a_map(b"ffff T a")
    with daemon.peer() as peer, path.open("rb") as file:
        path.unlink()
        peer.send(wire.preamble() + wire.frame(wire.BUILD, request(path).encode()), file.fileno())
        assert peer.reply()[1] == b"a T ffff"


def test_a_map_that_is_not_a_file_is_a_failure(daemon: Daemon, a_map: MakeMap) -> None:
    left, right = socket.socketpair()
    with daemon.peer() as peer, left, right:
        peer.send(wire.preamble() + wire.frame(wire.BUILD, request(a_map(b"")).encode()), left.fileno())
        assert peer.failure() == "the map is not a regular file"


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"dialect": "v9.9"}, "no dialect 'v9.9'"),
        ({"options": 1 << 30}, "options 0x40000000"),
    ],
)
def test_what_cannot_be_answered_is_refused(
    daemon: Daemon, a_map: MakeMap, changes: dict[str, object], text: str
) -> None:
    with daemon.peer() as peer:
        peer.build(a_map(b"ffff T a"), **changes)
        assert text in peer.failure()


def test_a_client_of_another_version_is_told_ours(daemon: Daemon, a_map: MakeMap) -> None:
    with daemon.peer() as peer:
        peer.build(a_map(b"ffff T a"), version="0.0.9")
        received = peer.receive()
        assert (received.kind, received.body.decode()) == (wire.VERSION, __version__)
        assert peer.is_at_end()


# Many at once.


def test_equal_requests_under_way_share_one_computation(
    daemon: Daemon, core: FakeCore, a_map: MakeMap
) -> None:
    path = a_map(b"wait for it")
    peers = [daemon.peer() for _ in range(10)]
    for peer in peers:
        peer.build(path)
    assert core.started.acquire(timeout=PATIENCE)
    # All others have been read and found the first before it is let go on.
    wait_for(lambda: sum(map(len, daemon.server.builds._running.values())) == 10)
    core.release.set()
    replies = [peer.reply() for peer in peers]
    for peer in peers:
        peer.close()
    assert {content for _, content in replies} == {b"ti rof tiaw"}
    assert {reply.how.made for reply, _ in replies} == {COLD}
    assert core.calls == 1
    stats = daemon.stats()
    assert (stats["requests"], stats["misses"], stats["shared"], stats["hits"]) == (10, 10, 9, 0)


def test_64_clients_at_once_all_get_their_own_answer(daemon: Daemon, a_map: MakeMap) -> None:
    paths = [a_map(b"map %d" % number) for number in range(8)]
    peers = [(daemon.peer(), number) for number in range(64)]
    for peer, number in peers:
        peer.build(paths[number % 8])
    for peer, number in peers:
        assert peer.reply()[1] == (b"map %d" % (number % 8))[::-1]
        peer.close()
    stats = daemon.stats()
    assert stats["requests"] == stats["hits"] + stats["misses"] == 64


def test_descriptors_are_all_closed_after_many_requests(daemon: Daemon, a_map: MakeMap) -> None:
    path = a_map(b"ffff T a")
    build(daemon, path)
    wait_for(lambda: not daemon.server._hub.connections)
    before = open_descriptors()
    for number in range(200):
        if number % 4:
            build(daemon, path)
        else:
            with daemon.peer() as peer:  # sends a request and leaves
                peer.build(path)
    wait_for(lambda: not daemon.server._hub.connections)
    wait_for(lambda: open_descriptors() <= before)


def test_control_is_answered_while_all_workers_compute(
    daemon: Daemon, core: FakeCore, a_map: MakeMap
) -> None:
    paths = [a_map(b"wait %d" % number) for number in range(4)]
    peers = [daemon.peer() for _ in paths]
    for peer, path in zip(peers, paths, strict=True):
        peer.build(path)
    for _ in range(2):
        assert core.started.acquire(timeout=PATIENCE)
    with daemon.peer() as peer:
        peer.control({"command": "status"})
        status = peer.answer()
    assert status["state"] == "serving"
    assert len(status["busy"]) == 4
    assert str(paths[0]) in {work["what"] for work in status["busy"]}
    assert all(work["seconds"] >= 0 for work in status["busy"])
    core.release.set()
    for peer in peers:
        assert peer.reply()[0].status == OK
        peer.close()


def test_a_client_that_waits_gets_heartbeats(daemon: Daemon, core: FakeCore, a_map: MakeMap) -> None:
    with daemon.peer() as peer:
        peer.build(a_map(b"wait"))
        for _ in range(3):
            assert peer.receive_any() == (wire.HEARTBEAT, b"", b"")
        core.release.set()
        assert peer.reply()[1] == b"tiaw"


def test_heartbeats_begin_before_the_engine_is_loaded(tmp_path: Path, a_map: MakeMap) -> None:
    loaded = threading.Event()

    def make_engine() -> Engine:
        assert loaded.wait(PATIENCE)
        return Engine(None, FakeCore())

    with serving(tmp_path / "s" / "s", make_engine) as daemon, daemon.peer() as peer:
        peer.build(a_map(b"ffff T a"))
        assert peer.receive_any().kind == wire.HEARTBEAT
        with daemon.peer() as other:
            other.control({"command": "status"})
            assert other.answer()["state"] == "starting"
        loaded.set()
        assert peer.reply()[1] == b"a T ffff"


def test_an_engine_that_cannot_be_loaded_is_a_failure(tmp_path: Path, a_map: MakeMap) -> None:
    def make_engine() -> Engine:
        raise ImportError("no native module")

    with serving(tmp_path / "s" / "s", make_engine) as daemon, daemon.peer() as peer:
        peer.build(a_map(b"ffff T a"))
        assert "no native module" in peer.failure()
        assert daemon.stats()["failures"] == 1


# Clients that leave, or do what they should not.


def test_work_for_a_client_that_hung_up_ends_in_the_cache(
    daemon: Daemon, core: FakeCore, a_map: MakeMap
) -> None:
    path = a_map(b"wait")
    with daemon.peer() as peer:
        peer.build(path)
        assert core.started.acquire(timeout=PATIENCE)
    wait_for(lambda: daemon.stats()["hangups"] == 1)
    core.release.set()
    reply, content = build(daemon, path)
    assert (content, core.calls) == (b"tiaw", 1)
    assert reply.status == OK


def test_work_that_has_not_begun_is_not_done_for_a_client_that_hung_up(
    daemon: Daemon, core: FakeCore, a_map: MakeMap
) -> None:
    busy = [daemon.peer() for _ in range(2)]
    for number, peer in enumerate(busy):
        peer.build(a_map(b"wait %d" % number))
        assert core.started.acquire(timeout=PATIENCE)
    with daemon.peer() as peer:
        peer.build(a_map(b"never done"))
        wait_for(lambda: len(daemon.server._waiting) == 3)
    wait_for(lambda: daemon.stats()["hangups"] == 1)
    core.release.set()
    for peer in busy:
        peer.reply()
        peer.close()
    build(daemon, a_map(b"last"))
    assert core.calls == 3


def test_a_client_that_leaves_does_not_take_the_answer_of_another_with_it(
    daemon: Daemon, core: FakeCore, a_map: MakeMap
) -> None:
    path = a_map(b"wait")
    with daemon.peer() as stays:
        with daemon.peer() as leaves:
            leaves.build(path)
            assert core.started.acquire(timeout=PATIENCE)
            stays.build(path)
            wait_for(lambda: len(daemon.server._waiting) == 2)
        wait_for(lambda: len(daemon.server._waiting) == 1)
        core.release.set()
        assert stays.reply()[1] == b"tiaw"


def test_a_build_that_takes_too_long_is_a_failure(
    daemon: Daemon, core: FakeCore, a_map: MakeMap, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "WORK_LIMIT", 0.2)
    with daemon.peer() as peer:
        peer.build(a_map(b"wait"))
        assert "takes longer" in peer.failure()
    core.release.set()
    stats = daemon.stats()
    assert (stats["failures"], stats["hangups"]) == (1, 0)


def test_stuck_threads_are_replaced_and_told_of(
    daemon: Daemon, core: FakeCore, a_map: MakeMap, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stuck() -> int:
        with daemon.peer() as peer:
            peer.control({"command": "status"})
            count: int = peer.answer()["stuck"]
        return count

    monkeypatch.setattr(waiting, "WORK_LIMIT", 0.2)
    for content in (b"wait here", b"wait there"):  # both threads
        with daemon.peer() as peer:
            peer.build(a_map(content))
            assert "takes longer" in peer.failure()
    wait_for(lambda: stuck() == 2)
    assert build(daemon, a_map(b"ffff T a"))[0].status == OK
    core.release.set()
    wait_for(lambda: stuck() == 0)


def test_a_client_that_says_nothing_is_let_go(daemon: Daemon, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "PEER_LIMIT", 0.2)
    monkeypatch.setattr(hub, "_TICK", 0.05)
    with daemon.peer() as peer:
        wire.check_preamble(peer.sock.recv(wire.PREAMBLE_SIZE))
        assert peer.is_at_end()


def test_a_client_that_reads_nothing_fills_no_memory(
    daemon: Daemon, monkeypatch: pytest.MonkeyPatch, core: FakeCore, a_map: MakeMap
) -> None:
    monkeypatch.setattr(waiting, "HEARTBEAT", 0.0)
    with daemon.peer() as peer:
        peer.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
        peer.build(a_map(b"wait"))
        assert core.started.acquire(timeout=PATIENCE)
        (connection,) = daemon.server._hub.connections.values()
        wait_for(lambda: bool(connection.events & select.EPOLLOUT))
        for _ in range(20):
            daemon.stats()
        assert len(connection._out) == 1
        core.release.set()
        assert peer.reply()[1] == b"tiaw"


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"KSYM\x02\x00\x00\x00",
        b"KSYM\x05\x00\x00\x00",
        wire.preamble() + wire.frame(wire.REPLY, b"x"),
        wire.preamble() + b"\x01\x00\x00\x00\xff\xff\xff\xff",
        wire.preamble() + wire.frame(wire.BUILD, b"not a request"),
        wire.preamble() + wire.frame(wire.CONTROL, b"\xc1"),
        wire.preamble() + wire.frame(wire.CONTROL, b"\x90"),
    ],
)
def test_who_leaves_the_protocol_is_told_so_and_let_go(daemon: Daemon, data: bytes) -> None:
    with daemon.peer() as peer:
        peer.send(data)
        assert peer.failure()
    assert daemon.stats()["requests"] == 0


def test_a_build_without_a_descriptor_is_refused(daemon: Daemon, a_map: MakeMap) -> None:
    with daemon.peer() as peer:
        peer.send(wire.preamble() + wire.frame(wire.BUILD, request(a_map(b"")).encode()))
        assert "without a descriptor" in peer.failure()


@pytest.mark.parametrize("count", [3, 100])
def test_too_many_descriptors_are_refused(daemon: Daemon, a_map: MakeMap, count: int) -> None:
    with daemon.peer() as peer, a_map(b"").open("rb") as file:
        peer.send(wire.preamble(), *[file.fileno()] * count)
        assert "descriptors were lost" in peer.failure()


def test_a_second_request_while_one_is_under_way_is_refused(
    daemon: Daemon, core: FakeCore, a_map: MakeMap
) -> None:
    with daemon.peer() as peer:
        peer.build(a_map(b"wait"))
        peer.send(wire.frame(wire.CONTROL, b"\x80"))
        assert "while another is under way" in peer.failure()
    core.release.set()


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.binary(max_size=200), greeted=st.booleans(), kind=st.integers(0, 8))
def test_any_bytes_leave_the_daemon_alive(daemon: Daemon, *, data: bytes, greeted: bool, kind: int) -> None:
    with daemon.peer() as peer:
        peer.send(wire.preamble() + wire.frame(kind, data) if greeted else data)
        peer.sock.shutdown(socket.SHUT_WR)
        while not peer.is_at_end():
            pass
    assert daemon.thread.is_alive()


def test_an_unknown_command_is_an_error_and_no_more(daemon: Daemon) -> None:
    for command in ("format", "_stats", None, 1, ["stop"]):
        with daemon.peer() as peer:
            peer.control({"command": command})
            assert "unknown command" in peer.answer()["error"]
    with daemon.peer() as peer:
        peer.control({})
        assert "unknown command" in peer.answer()["error"]


# Another user.


def test_a_client_of_another_user_is_not_served(daemon: Daemon, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(daemon.server._hub, "_uid", 4_000_000)
    with daemon.peer() as peer:
        assert peer.is_at_end()


# Life.


def test_the_socket_and_its_directory_are_for_their_owner_alone(daemon: Daemon) -> None:
    assert daemon.path.stat().st_mode & 0o777 == 0o600
    assert daemon.path.parent.stat().st_mode & 0o777 == 0o700


def test_a_second_daemon_is_refused_and_the_first_not_disturbed(daemon: Daemon, a_map: MakeMap) -> None:
    with pytest.raises(AlreadyRunningError, match="kallsymsctl stop"):
        Instance(daemon.path)
    assert build(daemon, a_map(b"ffff T a"))[0].status == OK


def test_the_socket_of_a_daemon_that_is_gone_is_replaced(tmp_path: Path, a_map: MakeMap) -> None:
    path = tmp_path / "run" / "s"
    Instance(path).close()  # as the kernel does for one that is killed
    assert path.is_socket()
    with serving(path, lambda: Engine(None, FakeCore())) as daemon:
        assert build(daemon, a_map(b"ffff T a"))[0].status == OK


def test_what_is_not_a_socket_is_not_replaced(tmp_path: Path) -> None:
    path = tmp_path / "run" / "s"
    path.parent.mkdir(mode=0o700)
    path.write_text("precious")
    with pytest.raises(BadPathError, match="not a socket; remove it"):
        Instance(path)
    assert path.read_text() == "precious"


def test_after_a_stop_nothing_is_there_and_the_next_daemon_can_come(tmp_path: Path, a_map: MakeMap) -> None:
    path = tmp_path / "run" / "s"
    for _ in range(3):
        with serving(path, lambda: Engine(None, FakeCore())) as daemon:
            assert build(daemon, a_map(b"ffff T a"))[0].status == OK
        assert not path.exists()


def test_a_stop_lets_builds_under_way_end(daemon: Daemon, core: FakeCore, a_map: MakeMap) -> None:
    with daemon.peer() as peer, daemon.peer() as control:
        peer.build(a_map(b"wait"))
        assert core.started.acquire(timeout=PATIENCE)
        control.control({"command": "stop"})
        assert control.answer() == {"state": "draining"}
        assert not daemon.path.exists()
        assert daemon.thread.is_alive()
        core.release.set()
        assert peer.reply()[1] == b"tiaw"
    daemon.thread.join(PATIENCE)
    assert not daemon.thread.is_alive()


def test_clients_that_had_connected_before_a_stop_are_served(
    daemon: Daemon, core: FakeCore, a_map: MakeMap
) -> None:
    with daemon.peer() as busy, daemon.peer() as early:
        busy.build(a_map(b"wait"))
        assert core.started.acquire(timeout=PATIENCE)
        daemon.server.request_stop()
        wait_for(lambda: not daemon.path.exists())
        early.build(a_map(b"early"))
        assert early.reply()[1] == b"ylrae"
        core.release.set()
        assert busy.reply()[1] == b"tiaw"


def test_a_build_that_does_not_end_does_not_keep_the_daemon(
    tmp_path: Path, a_map: MakeMap, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lifetime, "DRAIN_LIMIT", 0.3)
    core = FakeCore()
    with serving(tmp_path / "run" / "s", lambda: Engine(None, core)) as daemon:
        with daemon.peer() as peer:
            peer.build(a_map(b"wait"))
            assert core.started.acquire(timeout=PATIENCE)
            daemon.stop()
        core.release.set()
        for thread in daemon.server._workers._threads:
            thread.join(PATIENCE)


def test_counters_are_written_at_the_end_and_add_up(daemon: Daemon, a_map: MakeMap) -> None:
    path = a_map(b"ffff T a")
    for _ in range(3):
        build(daemon, path)
    build(daemon, a_map(b"bad"))
    with daemon.peer() as peer:
        peer.build(a_map(b"crash"))
        peer.failure()
    stats = daemon.stats()
    daemon.stop()
    assert daemon.saved[-1] == stats
    assert (stats["requests"], stats["hits"], stats["misses"], stats["failures"]) == (5, 2, 2, 1)
    assert (stats["bad_input"], stats["bytes"]) == (1, 3 * 8)
    assert stats["seconds"] > 0


def test_counters_are_written_now_and_then(daemon: Daemon, a_map: MakeMap) -> None:
    daemon.server.tally._save_at = 0.0
    build(daemon, a_map(b"ffff T a"))
    wait_for(lambda: bool(daemon.saved))
    assert daemon.saved[0]["requests"] == 1


def test_the_peer_of_these_tests_knows_the_end(daemon: Daemon) -> None:
    peer = Peer(daemon.path)
    daemon.stop()
    peer.sock.recv(100)
    assert peer.is_at_end()
    peer.close()


def test_counting_can_begin_at_zero_again(daemon: Daemon, a_map: MakeMap) -> None:
    build(daemon, a_map(b"ffff T a"))
    with daemon.peer() as peer:
        peer.control({"command": "zero"})
        assert peer.answer()["requests"] == 1
    stats = daemon.stats()
    assert (stats["requests"], stats["bytes"], stats["latencies"]["request"]["counts"]) == (0, 0, [])
    assert stats["zero"] > 0


def test_the_last_requests_can_be_asked_for(daemon: Daemon, a_map: MakeMap) -> None:
    path = a_map(b"1 T a\n")
    for _ in range(2):
        build(daemon, path)
    with daemon.peer() as peer:
        peer.build(a_map(b"1 T b\n"), tree=b"/other")
        peer.reply()

    def entries(**changes: str) -> list[dict[str, Any]]:
        with daemon.peer() as peer:
            peer.control({"command": "explain", **changes})
            requests = peer.answer()["requests"]
            assert isinstance(requests, list)
            return requests

    wait_for(lambda: len(entries()) == 3)
    assert [entry["made"] for entry in entries(tree="/tree")] == ["cold", "hit"]
    assert entries(tree="/nowhere") == []
