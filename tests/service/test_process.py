# SPDX-License-Identifier: GPL-2.0-only
"""The program kallsymsd: starts, serves, and stops in order."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kallsymsd.protocol import notes, wire
from kallsymsd.protocol.lock import is_ready
from tests.interpreter import python
from tests.service.peer import PATIENCE, Peer
from tests.service.test_server import wait_for

MakeMap = Callable[[bytes], Path]

SMALL_MAP = b"ffffffff81000000 T _text\nffffffff81000010 T start\nffffffff81000020 t stop\n"


class Program:
    """Starts kallsymsd with its directories below a temporary one."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.runtime = home / "run"
        self.runtime.mkdir(mode=0o700)
        self.socket = self.runtime / "kallsymsd" / "s"
        self.cache = home / "cache" / "kallsymsd"
        self.environment = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": os.pathsep.join(sys.path),
            "HOME": str(home),
            "XDG_RUNTIME_DIR": str(self.runtime),
            "XDG_CACHE_HOME": str(home / "cache"),
        }
        self.prefix: list[str] = []  # words before the command: what starts it
        self.processes: list[subprocess.Popen[str]] = []

    def start(self, *arguments: str) -> "subprocess.Popen[str]":
        process = subprocess.Popen(
            [*self.prefix, sys.executable, "-m", "kallsymsd", *arguments],
            env=self.environment,
            cwd=self.home,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.processes.append(process)
        return process

    def serve(self, *arguments: str) -> "subprocess.Popen[str]":
        """A daemon that listens already."""
        process = self.start(*arguments)
        wait_for(lambda: process.poll() is not None or self._connects())
        assert process.poll() is None
        return process

    def _connects(self) -> bool:
        with socket.socket(socket.AF_UNIX) as sock:
            return sock.connect_ex(str(self.socket)) == 0

    def build(self, path: Path) -> tuple[wire.BuildReply, bytes]:
        with Peer(self.socket) as peer:
            peer.build(path)
            return peer.reply()


@pytest.fixture
def program(tmp_path: Path) -> Iterator[Program]:
    program = Program(tmp_path)
    yield program
    for process in program.processes:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_it_in_order(program: Program, a_map: MakeMap, number: signal.Signals) -> None:
    process = program.serve()
    path = a_map(SMALL_MAP)
    assert program.build(path)[0].status == wire.OK
    assert program.build(path)[0].how.made == wire.HIT
    process.send_signal(number)
    out, error = process.communicate(timeout=PATIENCE)
    assert (process.returncode, out) == (0, "")
    assert all(line.startswith("kallsymsd: ") for line in error.splitlines())
    assert str(program.socket) in error
    assert not program.socket.exists()
    counters = json.loads((program.cache / "counters.json").read_text())
    assert (counters["requests"], counters["hits"], counters["misses"]) == (2, 1, 1)


def test_answers_and_counters_outlive_it(program: Program, a_map: MakeMap) -> None:
    path = a_map(SMALL_MAP)
    process = program.serve()
    first = program.build(path)
    process.terminate()
    process.communicate(timeout=PATIENCE)
    program.serve()
    again = program.build(path)
    assert (first[0].how.made, again[0].how.made) == (wire.COLD, wire.HIT)
    assert again[1] == first[1]
    with Peer(program.socket) as peer:
        peer.control({"command": "stats"})
        stats = peer.answer()
    assert stats["requests"] == 2
    assert stats["cache_entries"] >= 1


def test_a_killed_daemon_is_followed_by_the_next(program: Program, a_map: MakeMap) -> None:
    process = program.serve()
    process.kill()
    process.communicate(timeout=PATIENCE)
    assert program.socket.is_socket()
    program.serve()
    assert program.build(a_map(SMALL_MAP))[0].status == wire.OK


def test_it_says_when_it_answers_and_when_no_more(program: Program) -> None:
    lock = program.socket.with_name("s.lock")
    lock.parent.mkdir(mode=0o700)
    lock.write_bytes(b"kallsymsd 1:2:3 ready\n")  # left by one that was killed
    process = program.start()
    wait_for(lambda: is_ready(lock))
    with Peer(program.socket) as peer:
        peer.control({"command": "stop"})
        assert peer.answer() == {"state": "draining"}
    assert not is_ready(lock)
    process.communicate(timeout=PATIENCE)
    assert lock.read_bytes() == b""


def test_a_second_one_says_in_one_line_why_it_ends(program: Program) -> None:
    program.serve()
    second = program.start()
    _, error = second.communicate(timeout=PATIENCE)
    assert second.returncode == 1
    assert error.splitlines() == [
        f"kallsymsd: another kallsymsd serves {program.socket}; run: kallsymsctl stop"
    ]


@pytest.mark.parametrize("limit", [5, 8, 11, 63])
def test_with_too_few_descriptors_it_says_so_in_one_line(program: Program, limit: int) -> None:
    done = subprocess.run(
        ["sh", "-c", 'ulimit -n "$1"; shift; exec "$@"', "sh", str(limit), sys.executable, "-m", "kallsymsd"],
        env=program.environment,
        cwd=program.home,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        f"kallsymsd: {limit} file descriptors are too few, at least 64 are needed; "
        "raise the limit (ulimit -n)\n"
    )
    assert not program.socket.exists()


def test_of_many_started_at_once_one_serves(program: Program, a_map: MakeMap) -> None:
    several = [program.start() for _ in range(4)]
    wait_for(lambda: sum(process.poll() is None for process in several) == 1)
    assert sorted(process.returncode or 0 for process in several) == [0, 1, 1, 1]
    wait_for(program._connects)
    assert program.build(a_map(SMALL_MAP))[0].status == wire.OK


def test_what_it_makes_is_for_its_owner_alone(program: Program, a_map: MakeMap) -> None:
    before = os.umask(0)
    try:
        program.serve()
    finally:
        os.umask(before)
    program.build(a_map(SMALL_MAP))
    wait_for(lambda: any(program.cache.rglob("*.val")))
    made = [program.socket.parent, program.cache, *program.cache.rglob("*"), *program.socket.parent.iterdir()]
    assert [path for path in made if path.lstat().st_mode & 0o077] == []


def test_it_writes_nothing_outside_of_its_directories(program: Program, a_map: MakeMap) -> None:
    path = a_map(SMALL_MAP)
    process = program.serve()
    program.build(path)
    process.terminate()
    process.communicate(timeout=PATIENCE)
    assert sorted(entry.name for entry in program.home.iterdir()) == sorted(["cache", "run", path.name])


@pytest.mark.parametrize("obstacle", ["open", "file", "link"])
def test_a_cache_directory_it_cannot_trust_is_not_used(
    program: Program, a_map: MakeMap, obstacle: str
) -> None:
    program.cache.parent.mkdir()
    if obstacle == "open":
        program.cache.mkdir()
        program.cache.chmod(0o755)
    elif obstacle == "file":
        program.cache.touch()
    else:
        (program.home / "elsewhere").mkdir(mode=0o700)
        program.cache.symlink_to(program.home / "elsewhere")
    process = program.serve()
    path = a_map(SMALL_MAP)
    assert program.build(path)[0].how.made == wire.COLD
    assert program.build(path)[0].how.made == wire.HIT
    with Peer(program.socket) as peer:
        peer.control({"command": "status"})
        assert str(program.cache) in peer.answer()["problem"]
    process.terminate()
    _, error = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0
    assert "answers are kept in memory only" in error
    if obstacle != "file":
        assert list(program.cache.iterdir()) == []


def test_a_socket_directory_open_to_others_is_refused(program: Program) -> None:
    program.socket.parent.mkdir()
    program.socket.parent.chmod(0o755)
    process = program.start()
    _, error = process.communicate(timeout=PATIENCE)
    assert process.returncode == 1
    directory = program.socket.parent
    assert error == f"kallsymsd: {directory}: is open to others (mode 0755); run: chmod 700 {directory}\n"


def test_options_name_socket_and_cache(program: Program, a_map: MakeMap) -> None:
    program.socket = program.home / "own" / "socket"
    cache = program.home / "own cache"
    program.serve("--socket", str(program.socket), "--cache-dir", str(cache), "--cache-limit", "7")
    program.build(a_map(SMALL_MAP))
    wait_for(lambda: any(cache.rglob("*.val")))
    assert not program.cache.exists()
    with Peer(program.socket) as peer:
        peer.control({"command": "stats"})
        assert peer.answer()["cache_limit"] == 7 << 20


@pytest.mark.parametrize("limit", ["0", "-1", "many", "1e3", str(1 << 40)])
def test_a_limit_that_is_none_is_a_wrong_argument(program: Program, limit: str) -> None:
    process = program.start(f"--cache-limit={limit}")
    _, error = process.communicate(timeout=PATIENCE)
    assert process.returncode == 2
    assert "--cache-limit" in error


def test_it_lives_on_when_nobody_reads_its_log(program: Program, a_map: MakeMap) -> None:
    process = program.serve()
    assert process.stderr is not None
    process.stderr.close()
    with Peer(program.socket) as peer:
        peer.send(b"nonsense")
    assert program.build(a_map(SMALL_MAP))[0].status == wire.OK
    process.terminate()
    assert process.wait(PATIENCE) == 0


def test_the_socket_is_there_before_the_engine_is_loaded() -> None:
    program = (
        "import sys, kallsymsd.__main__\n"
        "heavy = {'diskcache', 'sqlite3', 'asyncio', 'rich', 'kallsymsd.engine.cold'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = python(program)
    assert done.stdout == "[]\n"


def test_it_counts_what_clients_noted_before_it_was_there(program: Program) -> None:
    program.cache.mkdir(mode=0o700, parents=True)
    notes.count(os.fsencode(program.cache), "absent", 0.0)
    process = program.serve()
    process.terminate()
    process.communicate(timeout=PATIENCE)
    counters = json.loads((program.cache / "counters.json").read_text())
    assert (counters["fallbacks"], counters["fallback_absent"]) == (1, 1)
    assert not (program.cache / "fallbacks").exists()
