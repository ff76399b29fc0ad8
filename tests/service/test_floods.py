# SPDX-License-Identifier: GPL-2.0-only
"""A client that asks for too much harms nobody else, and the daemon is afterwards as it was before."""

import contextlib
import os
import resource
import select
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgpack
import pytest

from kallsymsd.engine.engine import Engine
from kallsymsd.protocol import wire
from kallsymsd.service import hub
from tests.service.peer import PATIENCE, Daemon, FakeCore, Peer, request, serving
from tests.service.test_process import SMALL_MAP, Program, program
from tests.service.test_server import build, wait_for

__all__ = ["program"]

MakeMap = Callable[[bytes], Path]

# Those who do not read.


def asks(command: str, times: int) -> bytes:
    return wire.frame(wire.CONTROL, msgpack.packb({"command": command})) * times


@pytest.fixture
def talkative(daemon: Daemon, a_map: MakeMap) -> Daemon:
    """A daemon whose answer to "explain" has a megabyte."""
    path = a_map(b"ffff T a")
    for number in range(20):
        with daemon.peer() as peer:
            peer.build(path, tree=b"/" + b"y" * 30_000, bin_name=b"%d" % number)
            peer.reply()
    return daemon


def queued(daemon: Daemon) -> int:
    return sum(each.queued for each in list(daemon.server._hub.connections.values()))


def test_who_reads_no_answer_gets_no_other(talkative: Daemon, a_map: MakeMap) -> None:
    with talkative.peer() as peer:
        peer.sock.settimeout(None)
        peer.send(wire.preamble() + asks("explain", 1000))
        wait_for(lambda: queued(talkative) > 0)
        for number in range(20):
            assert build(talkative, a_map(b"%d" % number))[0].status == wire.OK
        assert queued(talkative) < 2 << 20
        connections = list(talkative.server._hub.connections.values())
        assert connections[0].events == select.EPOLLOUT
        for _ in range(50):  # one after the other, as it reads
            assert len(peer.answer()["requests"]) == 20


def test_all_that_was_asked_is_answered_in_order(daemon: Daemon, a_map: MakeMap) -> None:
    path = a_map(b"ffff T a")
    commands = ["stats", "status", "nonsense", "explain"] * 50
    with daemon.peer() as peer:
        peer.send(wire.preamble() + b"".join(asks(command, 1) for command in commands))
        with path.open("rb") as file:
            peer.send(wire.frame(wire.BUILD, request(path).encode()), file.fileno())
        keys = {"stats": "hits", "status": "pid", "nonsense": "error", "explain": "requests"}
        for command in commands:
            assert keys[command] in peer.answer()
        assert peer.reply()[1] == b"a T ffff"


def test_others_have_their_turn_between_the_requests_of_one(daemon: Daemon) -> None:
    said: list[str] = []

    def slow(_: object) -> dict[str, Any]:
        said.append("slow")
        time.sleep(0.02)
        return {}

    daemon.server._commands._commands["slow"] = slow
    with daemon.peer() as many:
        many.send(wire.preamble() + asks("slow", 50))
        wait_for(lambda: bool(said))
        daemon.stats()
        assert len(said) < 40
        for _ in range(50):
            assert many.answer() == {}


def test_of_many_that_read_nothing_the_first_are_let_go(
    talkative: Daemon, a_map: MakeMap, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub, "MOST_QUEUED", 2 << 20)
    with contextlib.ExitStack() as stack:
        peers = [stack.enter_context(talkative.peer()) for _ in range(12)]
        for peer in peers:
            peer.control({"command": "explain"})
            assert peer.sock.recv(wire.PREAMBLE_SIZE, socket.MSG_PEEK | socket.MSG_WAITALL)
        wait_for(lambda: len(talkative.server._hub.connections) < 8)
        wait_for(lambda: queued(talkative) <= 2 << 20)
        assert build(talkative, a_map(b"other"))[1] == b"rehto"
        assert len(peers[-1].answer()["requests"]) == 20


def test_who_says_nothing_is_let_go_when_there_are_too_many(tmp_path: Path, a_map: MakeMap) -> None:
    core = FakeCore()
    with (
        serving(tmp_path / "run" / "s", lambda: Engine(None, core)) as daemon,
        contextlib.ExitStack() as stack,
    ):
        daemon.server._hub._most = 5
        waits = stack.enter_context(daemon.peer())
        waits.build(a_map(b"wait"))
        assert core.started.acquire(timeout=PATIENCE)
        silent = [stack.enter_context(daemon.peer()) for _ in range(30)]
        for peer in silent[:20]:
            wire.check_preamble(peer.sock.recv(wire.PREAMBLE_SIZE))
            assert peer.is_at_end()
        assert len(daemon.server._hub.connections) <= 6
        assert build(daemon, a_map(b"other"))[1] == b"rehto"
        core.release.set()
        assert waits.reply()[1] == b"tiaw"


# Those who ask for ever new things.


def descriptors(program: Program) -> int:
    return len(list(Path(f"/proc/{program.processes[0].pid}/fd").iterdir()))


@pytest.fixture(params=[64, 100, 256])
def short(request: pytest.FixtureRequest, program: Program) -> Program:
    """A daemon that has so many descriptors."""
    old = resource.getrlimit(resource.RLIMIT_NOFILE)
    command = ["sh", "-c", f'ulimit -n {request.param}; exec "$@"', "sh"]
    assert old[1] >= request.param
    program.prefix = command
    program.serve()
    return program


@pytest.mark.parametrize("what", ["names", "maps", "trees", "all"])
def test_descriptors_do_not_run_out(short: Program, a_map: MakeMap, what: str) -> None:
    path = a_map(SMALL_MAP)
    for number in range(400):
        if what in ("maps", "all"):
            path.write_bytes(SMALL_MAP + b"ffffffff81000100 t more_%d\n" % number)
        name = b"%d.bin" % number if what in ("names", "all") else b"x.bin"
        tree = b"/tree%d" % number if what in ("trees", "all") else b"/tree"
        with Peer(short.socket) as peer:
            peer.build(path, form=wire.INCBIN, bits=64, bin_name=name, tree=tree)
            assert peer.reply()[0].status == wire.OK
        if number % 50 == 0:
            assert descriptors(short) < int(short.prefix[2].split()[2].rstrip(";")) * 3 // 4


def test_those_who_send_and_never_read_take_no_descriptors_for_good(short: Program, a_map: MakeMap) -> None:
    path = a_map(SMALL_MAP)
    with contextlib.ExitStack() as stack:
        for number in range(100):
            peer = stack.enter_context(Peer(short.socket))
            with contextlib.suppress(OSError):  # it may have been let go by now
                peer.build(path, bin_name=b"%d" % number, form=wire.INCBIN, bits=64)
        # Once those are done that are under way, if not at once.
        wait_for(lambda: is_served(short, path))


def is_served(program: Program, path: Path) -> bool:
    with Peer(program.socket) as peer:
        peer.build(path)
        return peer.receive().kind == wire.REPLY


def is_level(where: Path) -> bool:
    """Whether no descriptor of a process comes or goes for half a second."""
    seen = []
    for _ in range(10):
        seen.append(sorted((each.name, each.readlink()) for each in where.iterdir()))
        time.sleep(0.05)
    return all(each == seen[0] for each in seen)


def test_a_lost_descriptor_makes_room_for_the_next(short: Program, a_map: MakeMap) -> None:
    pid = short.processes[0].pid
    path = a_map(SMALL_MAP)
    for number in range(30):
        with Peer(short.socket) as peer:
            peer.build(path, form=wire.INCBIN, bits=64, bin_name=b"%d" % number)
            peer.reply()
    soft, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    where = Path(f"/proc/{pid}/fd")
    with contextlib.ExitStack() as stack:
        # All numbers up to the highest are taken, and one more is for the next connection: what comes with
        # that is lost.
        # The store is opened and written to meanwhile.
        wait_for(lambda: is_level(where))
        while (taken := sorted(int(each.name) for each in where.iterdir())) != list(range(len(taken))):
            idle = stack.enter_context(Peer(short.socket))
            wire.check_preamble(idle.sock.recv(wire.PREAMBLE_SIZE))
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (len(taken) + 1, hard))
        with Peer(short.socket) as peer:
            peer.build(path)
            assert "none is free here" in peer.failure()
        with Peer(short.socket) as peer:
            peer.build(path)
            assert peer.reply()[0].status == wire.OK
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (soft, hard))


# Those whose map is none.


def resident(program: Program) -> int:
    """Megabytes that the daemon has."""
    fields = Path(f"/proc/{program.processes[0].pid}/statm").read_text().split()
    return int(fields[1]) * os.sysconf("SC_PAGE_SIZE") >> 20


def holes(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(200 << 20)


def short_lines(path: Path) -> None:
    path.write_bytes(b"ffffffff81000000 t x\n" * 2_000_000 + b"bad\n")


def empty_lines(path: Path) -> None:
    path.write_bytes(b"\n" * (150 << 20))


def one_name(path: Path) -> None:
    path.write_bytes(b"ffffffff81000000 t " + b"x" * (80 << 20) + b"\n")


def no_elf(path: Path) -> None:
    path.write_bytes(b"\x7fELF\2\1\1" + bytes(150 << 20))


@pytest.mark.parametrize("make", [holes, short_lines, empty_lines, one_name, no_elf])
def test_memory_for_what_is_no_map_is_given_back(
    program: Program, a_map: MakeMap, make: Callable[[Path], None]
) -> None:
    program.serve()
    path, other = a_map(SMALL_MAP), a_map(b"")
    program.build(path)
    wait_for(lambda: resident(program) > 64)  # all that is at hand from the start
    before = resident(program)
    make(other)
    for source in (wire.MAP, wire.ELF):
        with Peer(program.socket) as peer:
            peer.build(other, source=source)
            received = peer.receive()
        assert received.kind in (wire.REPLY, wire.FAILURE)
        assert received.body[:1] != bytes((wire.OK,)) or received.kind == wire.FAILURE
    program.build(path)
    wait_for(lambda: resident(program) < before + 32)


def test_memory_of_a_large_map_is_given_back_when_it_is_forgotten(program: Program, a_map: MakeMap) -> None:
    program.serve()
    program.build(a_map(SMALL_MAP))
    wait_for(lambda: resident(program) > 64)
    before = resident(program)
    large = a_map(b"".join(b"%016x t name_%d\n" % (0xFFFFFFFF80000000 + 16 * i, i) for i in range(800_000)))
    assert program.build(large)[0].status == wire.OK
    assert resident(program) > before + 32
    with Peer(program.socket) as peer:
        peer.control({"command": "clear"})
        assert peer.answer()["trees"] == 1
    wait_for(lambda: resident(program) < before + 32)
