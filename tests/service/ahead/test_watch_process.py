# SPDX-License-Identifier: GPL-2.0-only
"""Watching by the program itself, with a real core: ready answers, and storms of events."""

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kallsymsd.engine import cold
from kallsymsd.protocol import wire
from tests.service.peer import Peer, request
from tests.service.test_process import Program
from tests.service.test_server import wait_for

_FILES = 20_000
_QUEUE = Path("/proc/sys/fs/inotify/max_queued_events")


@pytest.fixture
def program(tmp_path: Path) -> Iterator[Program]:
    program = Program(tmp_path)
    yield program
    for process in program.processes:
        process.kill()
        process.communicate()


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    tree = tmp_path / "tree"
    tree.mkdir()
    return tree


def ask(program: Program, command: str) -> dict[str, Any]:
    with Peer(program.socket) as peer:
        peer.control({"command": command})
        return peer.answer()


def is_watched(program: Program) -> bool:
    trees = ask(program, "status")["watch"]["trees"]
    return bool(trees) and all(each["watched"] for each in trees)


def a_map(symbols: int) -> bytes:
    return b"".join(b"%016x T symbol_%d\n" % (0xFFFFFFFF81000000 + 16 * n, n) for n in range(symbols))


def expected(path: Path) -> bytes:
    result = cold.build(request(path), path.read_bytes())
    return result.text + result.binary


def test_what_was_written_is_ready_and_right(program: Program, tree: Path) -> None:
    program.serve()
    path = tree / ".tmp_vmlinux1.syms"
    path.write_bytes(a_map(2000))
    program.build(path)
    wait_for(lambda: is_watched(program))
    for number in range(1, 4):
        path.write_bytes(a_map(2000 + number))
        wait_for(lambda: ask(program, "stats")["ahead"] == number)  # noqa: B023  waited for at once
        wait_for(lambda: not ask(program, "status")["busy"])
        reply, content = program.build(path)
        assert reply.describe().startswith("incremental (precomputed): 1 of ")
        assert reply.how.made == wire.INCREMENTAL
        assert content == expected(path)
        assert program.build(path)[0].how.made == wire.HIT
    assert ask(program, "stats")["ahead_used"] == 3


def test_a_storm_of_events_while_it_is_stopped(program: Program, tree: Path) -> None:
    process = program.serve()
    path = tree / "System.map"
    path.write_bytes(a_map(500))
    program.build(path)
    wait_for(lambda: is_watched(program))
    process.send_signal(signal.SIGSTOP)
    for number in range(_FILES):
        (tree / f"{number}.o").touch()
    path.write_bytes(a_map(501))
    process.send_signal(signal.SIGCONT)
    reply, content = program.build(path)
    assert (reply.how.made, content) == (wire.INCREMENTAL, expected(path))
    if int(_QUEUE.read_text()) < 2 * _FILES:  # created and closed
        wait_for(lambda: ask(program, "stats")["watch_overflows"] >= 1)
        assert ask(program, "status")["watch"]["paused"] > 0
        assert not is_watched(program)
    path.write_bytes(a_map(502))
    _, content = program.build(path)
    assert content == expected(path)
    process.terminate()
    assert process.wait(20) == 0
