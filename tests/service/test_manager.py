# SPDX-License-Identifier: GPL-2.0-only
"""Under a service manager: the socket is passed on, readiness is told, and the units are sound."""

import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NoReturn

import pytest

from kallsymsd.protocol import wire
from kallsymsd.service.manager import inherited_listener, notify
from tests.service.peer import PATIENCE, Peer
from tests.service.test_process import SMALL_MAP, Program
from tests.service.test_server import wait_for

UNITS = Path(__file__).parents[2] / "systemd"

# Passes on descriptor 3, as sd_listen_fds(3) says: the number of the process that is to take it is its own.
ACTIVATE = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=sys.argv[2])
os.execv(sys.executable, [sys.executable, "-m", "kallsymsd", *sys.argv[3:]])
"""


@pytest.fixture
def program(tmp_path: Path) -> Iterator[Program]:
    program = Program(tmp_path)
    program.socket.parent.mkdir(mode=0o700)
    yield program
    for process in program.processes:
        process.kill()
        process.communicate()


@pytest.fixture
def held(program: Program) -> Iterator[socket.socket]:
    """A socket that the service manager holds."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(program.socket))
        listener.listen()
        yield listener


def activate(
    program: Program, listener: socket.socket, *arguments: str, count: str = "1"
) -> "subprocess.Popen[str]":
    process = subprocess.Popen(
        [sys.executable, "-c", ACTIVATE, str(listener.fileno()), count, *arguments],
        env=program.environment,
        pass_fds=[listener.fileno()],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    program.processes.append(process)
    return process


@pytest.fixture
def systemd(unavailable: Callable[[str], NoReturn]) -> Callable[[str], str]:
    """Path of one of systemd's programs."""
    return lambda name: shutil.which(name) or unavailable(f"{name} is not here; it comes with systemd")


def test_a_client_that_waits_in_the_managers_socket_is_served(
    program: Program, held: socket.socket, a_map: Callable[[bytes], Path]
) -> None:
    with Peer(program.socket) as early:
        early.build(a_map(SMALL_MAP))
        activate(program, held)
        assert early.reply()[0].status == wire.OK
    assert program.build(a_map(SMALL_MAP))[0].how.made == wire.HIT


def test_the_managers_socket_outlives_the_daemon(
    program: Program, held: socket.socket, a_map: Callable[[bytes], Path]
) -> None:
    for _ in range(2):
        process = activate(program, held)
        assert program.build(a_map(SMALL_MAP))[0].status == wire.OK
        with Peer(program.socket) as peer:
            peer.control({"command": "stop"})
            assert peer.answer() == {"state": "draining"}
        process.communicate(timeout=PATIENCE)
        assert process.returncode == 0
        assert program.socket.is_socket()


def test_a_daemon_that_serves_the_socket_already_is_not_doubled(
    program: Program, held: socket.socket
) -> None:
    first = activate(program, held)
    with Peer(program.socket) as peer:
        peer.control({"command": "status"})
        peer.answer()
    second = activate(program, held)
    _, error = second.communicate(timeout=PATIENCE)
    assert second.returncode == 1
    assert "another kallsymsd serves" in error
    assert first.poll() is None


@pytest.mark.parametrize(
    ("make", "count", "text"),
    [
        (lambda: socket.socket(socket.AF_UNIX), "1", "does not listen"),
        (lambda: socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM), "1", "does not listen"),
        (lambda: socket.create_server(("127.0.0.1", 0)), "1", "does not listen at a path"),
        (lambda: socket.socket(socket.AF_UNIX), "2", "2 sockets were passed on"),
    ],
)
def test_what_cannot_be_served_is_told_in_one_line(
    program: Program, make: Callable[[], socket.socket], count: str, text: str
) -> None:
    with make() as sock:
        process = activate(program, sock, count=count)
        _, error = process.communicate(timeout=PATIENCE)
    assert process.returncode == 1
    assert text in error
    assert len(error.splitlines()) == 1


def test_descriptors_passed_on_to_somebody_else_are_not_ours() -> None:
    assert inherited_listener({"LISTEN_PID": "1", "LISTEN_FDS": "1"}) is None
    assert inherited_listener({}) is None


@pytest.mark.parametrize("abstract", [False, True])
def test_readiness_is_told_when_clients_can_come(program: Program, *, abstract: bool) -> None:
    name = f"@kallsymsd-test-{os.getpid()}" if abstract else str(program.home / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.settimeout(PATIENCE)
        manager.bind("\0" + name[1:] if abstract else name)
        program.environment["NOTIFY_SOCKET"] = name
        program.start()
        assert manager.recv(100) == b"READY=1"
        with Peer(program.socket) as peer:
            peer.control({"command": "status"})
            assert peer.answer()["version"]


def test_a_manager_that_is_gone_is_no_trouble(tmp_path: Path) -> None:
    notify({"NOTIFY_SOCKET": str(tmp_path / "nobody")}, "READY=1")
    notify({}, "READY=1")


def test_systemd_activates_it(
    program: Program, systemd: Callable[[str], str], a_map: Callable[[bytes], Path]
) -> None:
    process = subprocess.Popen(
        [
            systemd("systemd-socket-activate"),
            *(f"--setenv={name}={value}" for name, value in program.environment.items()),
            f"--listen={program.socket}",
            sys.executable,
            "-m",
            "kallsymsd",
        ],
        env=program.environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    program.processes.append(process)
    wait_for(program.socket.is_socket)
    assert program.build(a_map(SMALL_MAP))[0].status == wire.OK


# Life without clients.


def test_it_ends_when_nobody_has_come_for_long(program: Program) -> None:
    process = program.start("--idle-exit=1")
    process.communicate(timeout=PATIENCE)
    assert process.returncode == 0
    assert not program.socket.exists()


def test_it_does_not_end_while_a_client_is_there(program: Program) -> None:
    process = program.start("--idle-exit=1")
    wait_for(program._connects)
    with Peer(program.socket), pytest.raises(subprocess.TimeoutExpired):
        process.wait(2.5)
    process.communicate(timeout=PATIENCE)
    assert process.returncode == 0


# The units.


def installed(tmp_path: Path) -> list[str]:
    """The units, with a program that exists."""
    for unit in UNITS.glob("kallsymsd.*"):
        text = unit.read_text().replace("/usr/bin/kallsymsd", sys.executable)
        (tmp_path / unit.name).write_text(text)
    return [str(tmp_path / name) for name in ("kallsymsd.socket", "kallsymsd.service")]


def test_the_units_are_without_fault(tmp_path: Path, systemd: Callable[[str], str]) -> None:
    done = subprocess.run(
        [systemd("systemd-analyze"), "--user", "verify", *installed(tmp_path)],
        env={**os.environ, "XDG_RUNTIME_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


@pytest.mark.parametrize(("hardened", "most"), [(False, 5.7), (True, 1.0)])
def test_the_service_is_exposed_as_little_as_it_says(
    tmp_path: Path, systemd: Callable[[str], str], *, hardened: bool, most: float
) -> None:
    service = installed(tmp_path)[1]
    if hardened:
        (tmp_path / "kallsymsd.service.d").mkdir()
        shutil.copy(UNITS / "hardening.conf", tmp_path / "kallsymsd.service.d")
    done = subprocess.run(
        [systemd("systemd-analyze"), "security", "--offline=true", service],
        capture_output=True,
        text=True,
        check=True,
        timeout=PATIENCE,
    )
    exposure = re.search(r"Overall exposure level for kallsymsd.service: ([0-9.]+)", done.stdout)
    assert exposure
    assert float(exposure[1]) <= most
    page = (UNITS.parent / "docs" / "service.md").read_text()
    assert f"exposure level {exposure[1]}" in page
