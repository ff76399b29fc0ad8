# SPDX-License-Identifier: GPL-2.0-only
"""Nobody takes another user's daemon for one's own, not even where the kernel shows both as the same user."""

import os
import posix
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from kallsyms_client import aftermath
from kallsymsd.ctl import query
from kallsymsd.protocol import asking, places, private, users
from kallsymsd.service import hub
from tests.client.conftest import MAP, Kallsyms, kallsyms, socket_path
from tests.reference import tool
from tests.service.peer import Daemon, Peer
from tests.service.test_process import Program, program
from tests.service.test_server import wait_for

__all__ = ["kallsyms", "program", "socket_path"]

ARGUMENTS = ("--dialect=v6.11", "--all-symbols", "in.map")
PLAIN = tool.run("v6.11", ["all-symbols"], MAP).stdout
PATIENCE = 20.0

ALL = b"         0          0 4294967295\n"
OVERFLOW = b"/proc/sys/kernel/overflowuid"
UID_MAP = b"/proc/self/uid_map"


@pytest.mark.parametrize(
    ("uid", "overflow", "uid_map", "anybody"),
    [
        (65534, b"65534\n", ALL, False),  # the user nobody, where everybody has a number
        (65534, b"65534\n", b"", True),
        (65534, b"65534\n", b"         0       1000          1\n", True),
        (65534, b"65534\n", b"     65534       1000          1\n", True),  # it is mapped, and so are others
        (65534, b"65534\n", b"         0          0      65536\n", True),
        (1000, b"65534\n", b"      1000       1000          1\n", False),
        (0, b"65534\n", b"         0       1000          1\n", False),
        (5000, b"5000\n", b"         0       1000          1\n", True),  # the number is a setting
        (65534, b"5000\n", b"         0       1000          1\n", False),
        (65534, None, ALL, False),
        (65534, None, None, True),  # no /proc: nothing is known
        (1000, None, None, False),
        (65534, b"65534\n", None, True),
        (65534, b"", None, True),
    ],
)
def test_who_may_be_anybody(
    monkeypatch: pytest.MonkeyPatch, uid: int, overflow: bytes | None, uid_map: bytes | None, *, anybody: bool
) -> None:
    files = {OVERFLOW: overflow, UID_MAP: uid_map}

    def head(path: bytes) -> bytes:
        content = files[path]
        if content is None:
            raise FileNotFoundError(path)
        return content

    monkeypatch.setattr(users, "_head", head)
    assert users.is_anybodys(uid) == anybody


@pytest.fixture
def _nobody_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a user namespace where our user is not mapped."""
    for module in (asking, users, hub):
        monkeypatch.setattr(module, "is_anybodys", lambda _: True)


@pytest.mark.usefixtures("_nobody_is_known")
def test_who_cannot_be_told_is_not_asked(socket_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(socket_path))
        listener.listen()
        environment = {b"KALLSYMSD_SOCKET": bytes(socket_path)}
        with pytest.raises(asking.UnansweredError, match="cannot be told in this user namespace") as raised:
            asking.connect(environment)
        assert raised.value.reason == "absent"
        assert aftermath.ask_to_leave(bytes(socket_path), 0, 0.1) == 0.0
        with pytest.raises(query.QueryError):
            query.ask(socket_path, "stop")
        listener.settimeout(0)
        for _ in range(3):
            with listener.accept()[0] as sock:
                assert sock.recv(100) == b""  # nobody said a word
        with pytest.raises(BlockingIOError):
            listener.accept()


def test_no_directory_is_ours_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(private, "is_anybodys", lambda _: True)
    tmp_path.chmod(0o700)
    assert not private.make_private(bytes(tmp_path))
    assert places.made_cache_directory({b"XDG_CACHE_HOME": bytes(tmp_path)}) == b""
    with pytest.raises(private.NotPrivateError, match="user namespace"):
        private.private_directory(tmp_path)
    assert places.socket_path({b"XDG_RUNTIME_DIR": bytes(tmp_path)}).startswith(b"/tmp/")


def test_a_client_that_cannot_be_told_is_not_served(daemon: Daemon, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(daemon.server._hub, "_is_anybody", True)
    with daemon.peer() as peer:
        assert peer.is_at_end()


# The real thing.


def unshare(*arguments: str) -> list[str]:
    """A command's first words, for a user namespace of its own; skips where there is none."""
    command = ["unshare", "-U", *arguments]
    try:
        if subprocess.run([*command, "true"], capture_output=True, check=False).returncode == 0:
            return command
    except FileNotFoundError:
        pass
    pytest.skip("no user namespaces here")


NAMESPACES = pytest.mark.parametrize(
    "arguments", [(), ("--map-user=65534",), ("--map-user=65534", "--map-group=65534")], ids=len
)

_OTHER = """
import os, socket, sys
os.setgid(61002); os.setuid(61002)
listener = socket.socket(socket.AF_UNIX); listener.bind(sys.argv[1]); os.chmod(sys.argv[1], 0o777)
listener.listen(10); print("ready", flush=True)
while True:
    sock, _ = listener.accept()
    print(sock.recv(8), flush=True)
"""


@pytest.fixture
def other(socket_path: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """Another user's program that listens at ``socket_path`` and prints what it is sent."""
    if os.geteuid() != 0:
        pytest.skip("only root can be somebody else")
    socket_path.parent.chmod(0o777)
    with subprocess.Popen([sys.executable, "-c", _OTHER, socket_path], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        yield process
        process.kill()


@NAMESPACES
@pytest.mark.parametrize("mode", [0o700, 0o711, 0o777])
def test_in_a_namespace_another_users_daemon_is_not_asked(
    kallsyms: Kallsyms,
    socket_path: Path,
    other: "subprocess.Popen[bytes]",
    arguments: tuple[str, ...],
    mode: int,
) -> None:
    kallsyms.environment["KALLSYMSD_SOCKET"] = str(socket_path)
    os.chown(socket_path.parent, 61002, 61002)
    socket_path.parent.chmod(mode)
    command = [*unshare(*arguments), sys.executable, "-m", "kallsyms_client", *ARGUMENTS]
    done = subprocess.run(
        command, cwd=kallsyms.here, env=kallsyms.environment, capture_output=True, check=False, timeout=60
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, PLAIN, b"")
    other.kill()
    assert other.stdout is not None
    assert other.stdout.read().replace(b"b''\n", b"") == b""


@NAMESPACES
def test_in_a_namespace_no_daemon_starts_that_would_serve_others(
    program: Program,
    arguments: tuple[str, ...],
) -> None:
    done = subprocess.run(
        [*unshare(*arguments), sys.executable, "-m", "kallsymsd"],
        env=program.environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert "in this user namespace" in line


def test_in_a_namespace_with_our_user_all_is_as_ever(program: Program) -> None:
    process = subprocess.Popen(
        [*unshare("--map-current-user"), sys.executable, "-m", "kallsymsd"],
        env=program.environment,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_for(program._connects)
        with Peer(program.socket) as peer:
            peer.control({"command": "stop"})
            assert peer.answer() == {"state": "draining"}
        assert process.wait(PATIENCE) == 0
    finally:
        process.kill()
        process.wait()


# Other programs' sockets.


def refused(program: Program, *arguments: str) -> str:
    """The one line with which a daemon refuses to start."""
    process = program.start(*arguments)
    _, error = process.communicate(timeout=PATIENCE)
    assert process.returncode == 1
    (line,) = error.splitlines()
    return line


def listening(path: Path, kind: int = socket.SOCK_STREAM) -> socket.socket:
    path.parent.mkdir(mode=0o700, exist_ok=True)
    sock = socket.socket(socket.AF_UNIX, kind)
    sock.bind(str(path))
    if kind == socket.SOCK_STREAM:
        sock.listen()
    return sock


@pytest.mark.parametrize("named", ["--socket", "KALLSYMSD_SOCKET", "XDG_RUNTIME_DIR"])
@pytest.mark.parametrize("locked", [False, True])
def test_a_socket_at_which_somebody_listens_is_not_taken(
    program: Program, named: str, *, locked: bool
) -> None:
    path = program.home / "agent" / "sock"
    arguments = []
    if named == "--socket":
        arguments = [named, str(path)]
    elif named == "KALLSYMSD_SOCKET":
        program.environment[named] = str(path)
    else:
        path = program.socket
    with listening(path) as listener:
        if locked:
            path.with_name(path.name + ".lock").write_bytes(b"ready\n")
        before = sorted(path.parent.iterdir()), path.lstat()
        assert "another program listens there" in refused(program, *arguments)
        assert (sorted(path.parent.iterdir()), path.lstat().st_ino) == (before[0], before[1].st_ino)
        listener.accept()[0].close()  # that was the daemon's question
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))
            listener.accept()[0].close()


@pytest.mark.parametrize("lock", [None, b"", b"kallsymsd 1:2:3 ready\n", b"kallsymsd"])
def test_a_socket_that_no_daemon_has_left_stays(program: Program, lock: bytes | None) -> None:
    path = program.socket
    listening(path).close()
    if lock is not None:
        path.with_name("s.lock").write_bytes(lock)
    before = path.lstat().st_ino
    assert "no kallsymsd left behind" in refused(program)
    assert path.lstat().st_ino == before
    assert path.with_name("s.lock").exists() == (lock is not None)


def test_a_socket_of_another_kind_stays(program: Program) -> None:
    with listening(program.socket, socket.SOCK_DGRAM):
        program.socket.with_name("s.lock").write_bytes(b"ready\n")
        assert "another program's socket" in refused(program)
        assert program.socket.is_socket()


@pytest.mark.parametrize("content", [b"4711\n", b"kallsymsd2\n", bytes(5000)])
def test_a_lock_of_another_program_is_not_written_to(program: Program, content: bytes) -> None:
    program.socket.parent.mkdir(mode=0o700)
    lock = program.socket.with_name("s.lock")
    lock.write_bytes(content)
    assert "belongs to another program" in refused(program)
    assert lock.read_bytes() == content


def test_what_has_taken_the_place_of_the_socket_stays_at_the_end(program: Program) -> None:
    process = program.serve()
    program.socket.unlink()
    with listening(program.socket):
        process.terminate()
        process.communicate(timeout=PATIENCE)
        assert process.returncode == 0
        assert program.socket.is_socket()
    program.socket.unlink()
    process = program.serve()
    program.socket.unlink()
    program.socket.write_text("precious")
    process.terminate()
    process.communicate(timeout=PATIENCE)
    assert program.socket.read_text() == "precious"


_KILLED = """
import os, signal, socket, sys
from kallsymsd import __main__
def kill(*_): os.kill(os.getpid(), signal.SIGKILL)
owner, name = {"listen": (socket.socket, "listen"), "chmod": (__main__.Path, "chmod")}[sys.argv.pop(1)]
setattr(owner, name, kill)
__main__.main()
"""


@pytest.mark.parametrize("call", ["chmod", "listen"])
def test_a_daemon_killed_while_it_makes_its_socket_is_followed_by_the_next(
    program: Program, call: str
) -> None:
    command = [sys.executable, "-c", _KILLED, call]
    assert subprocess.run(command, env=program.environment, check=False).returncode == -signal.SIGKILL
    assert program.socket.is_socket()
    program.serve()


def test_a_client_starts_nothing_where_another_programs_socket_is(
    kallsyms: Kallsyms, socket_path: Path
) -> None:
    listening(socket_path).close()
    del kallsyms.environment["CI"]
    kallsyms.environment["KALLSYMSD_SOCKET"] = str(socket_path)
    run = kallsyms(*ARGUMENTS)
    assert (run.status, run.out, run.err) == (0, PLAIN, b"")
    time.sleep(0.5)
    assert list(socket_path.parent.iterdir()) == [socket_path]


def test_a_file_of_another_program_is_not_written_to_by_a_start(
    kallsyms: Kallsyms, socket_path: Path
) -> None:
    del kallsyms.environment["CI"]
    kallsyms.environment["KALLSYMSD_SOCKET"] = str(socket_path)
    other = socket_path.with_name("s.start")
    other.write_text("precious")
    os.utime(other, (0, 0))
    assert kallsyms(*ARGUMENTS).status == 0
    time.sleep(0.5)
    assert other.read_text() == "precious"
    assert not socket_path.exists()
    assert posix.stat(other).st_mtime == 0


@pytest.mark.parametrize("command", ["stop", "status"])
def test_kallsymsctl_asks_nobody_in_a_directory_open_to_others(program: Program, command: str) -> None:
    process = program.serve()
    program.socket.parent.chmod(0o755)
    done = subprocess.run(
        [sys.executable, "-m", "kallsymsd.ctl.main", command],
        env=program.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "is open to others" in done.stderr + done.stdout
    assert process.poll() is None
