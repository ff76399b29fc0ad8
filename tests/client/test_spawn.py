# SPDX-License-Identifier: GPL-2.0-only
"""Where there is no daemon, the client starts one for the next request and does not wait for it."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from kallsymsd.protocol.lock import Lock
from tests.client.conftest import MAP, Kallsyms
from tests.odd import ODD, is_untouched, put
from tests.reference import tool

ARGUMENTS = ("--dialect=v6.11", "--all-symbols", "in.map")
PLAIN = tool.run("v6.11", ["all-symbols"], MAP).stdout
PATIENCE = 20.0


class Home:
    """A client that may start daemons, and what it started."""

    def __init__(self, kallsyms: Kallsyms, runtime: Path) -> None:
        self.kallsyms = kallsyms
        self.runtime = runtime
        self.socket = runtime / "kallsymsd" / "s"
        self.log = Path(kallsyms.environment["XDG_CACHE_HOME"]) / "kallsymsd" / "log"
        environment = kallsyms.environment
        del environment["CI"], environment["KALLSYMSD_SOCKET"]
        environment["XDG_RUNTIME_DIR"] = str(runtime)

    def daemons(self) -> list[int]:
        """Process ids of the daemons that were started, by what their command lines say."""
        found = []
        for process in Path("/proc").iterdir():
            try:
                words = (process / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if process.name.isdecimal() and bytes(self.socket) in words:
                found.append(int(process.name))
        return found

    def daemon(self) -> int:
        """Process id of the one daemon, once it listens."""
        end = time.monotonic() + PATIENCE
        while not self.socket.exists():
            assert time.monotonic() < end, self.log.read_text() if self.log.exists() else "nothing started"
            time.sleep(0.02)
        (process,) = self.daemons()
        return process


@pytest.fixture
def home(kallsyms: Kallsyms, socket_path: Path) -> Iterator[Home]:
    home = Home(kallsyms, socket_path.parent)
    yield home
    for process in home.daemons():
        os.kill(process, signal.SIGKILL)


def test_the_next_request_finds_a_daemon(home: Home) -> None:
    run = home.kallsyms("-v", *ARGUMENTS)
    assert (run.status, run.out) == (0, PLAIN)
    assert b" (in-process: no daemon at " in run.err
    home.daemon()
    run = home.kallsyms("-v", *ARGUMENTS)
    assert (run.status, run.out) == (0, PLAIN)
    assert b"in-process" not in run.err
    assert "listens on" in home.log.read_text()


@pytest.mark.parametrize("kind", ODD)
@pytest.mark.parametrize("name", ["log", "s.lock", "s.start"])
def test_odd_files_where_it_begins_hold_up_nobody(home: Home, tmp_path: Path, name: str, kind: str) -> None:
    place = home.log.parent if name == "log" else home.socket.parent
    for directory in (place.parent, place):
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    put(kind, place / name, tmp_path / "outside")
    for _ in range(2):
        run = home.kallsyms(*ARGUMENTS)  # or TimeoutExpired
        assert (run.status, run.out) == (0, PLAIN)
    assert is_untouched(tmp_path / "outside")


def test_whoever_starts_one_stays_where_it_is(home: Home) -> None:
    """The daemon does not, and what links a kernel goes on after its request for tables."""
    code = (
        "import os; from kallsyms_client import start; here = os.getcwd(); "
        "start.start(dict(os.environb), os.fsencode(os.environ['XDG_CACHE_HOME'] + '/kallsymsd')); "
        "assert os.getcwd() == here, os.getcwd()"
    )
    environment = home.kallsyms.environment
    Path(environment["XDG_CACHE_HOME"], "kallsymsd").mkdir(mode=0o700, parents=True)
    subprocess.run(
        [sys.executable, "-c", code], cwd=home.runtime, env=environment, check=True, timeout=PATIENCE
    )
    assert Path(f"/proc/{home.daemon()}/cwd").readlink() == Path("/")


def test_the_daemon_has_nothing_of_the_build(home: Home) -> None:
    reader, writer = os.pipe()
    home.kallsyms.environment |= {"MAKEFLAGS": "-j8 --jobserver-auth=3,4", "MFLAGS": "-j8", "MAKELEVEL": "2"}
    command = [sys.executable, "-m", "kallsyms_client", *ARGUMENTS]
    subprocess.run(
        command,
        cwd=home.kallsyms.here,
        env=home.kallsyms.environment,
        stdout=subprocess.DEVNULL,
        pass_fds=(reader, writer),
        check=True,
    )
    os.close(writer)
    process = home.daemon()
    assert (
        os.read(reader, 1) == b""
    )  # nobody else holds the other end: no waiting for an end that never comes
    os.close(reader)
    where = Path("/proc") / str(process)
    assert os.getsid(process) == process != os.getsid(0)
    assert (where / "cwd").readlink() == Path("/")
    standard = [(where / "fd" / number).readlink() for number in "012"]
    assert standard == [Path("/dev/null"), Path("/dev/null"), home.log]
    names = {entry.partition(b"=")[0] for entry in (where / "environ").read_bytes().split(b"\0")}
    assert names <= {b"", b"HOME", b"PATH", b"XDG_RUNTIME_DIR", b"XDG_CACHE_HOME", b"XDG_CONFIG_HOME"}


@pytest.mark.parametrize("form", ["kallsyms in.map | tee", "kallsyms vmlinux in.map out.S out.bin | tee"])
def test_a_pipe_ends_when_the_client_does(home: Home, form: str) -> None:
    home.kallsyms.write("vmlinux", b"\x7fELF\2\1\1" + bytes(57))
    start = f"{sys.executable} -m kallsyms_client --dialect=v6.11 --all-symbols"
    done = subprocess.run(
        ["sh", "-c", f"({form.replace('kallsyms', start, 1)}) 2>&1"],
        cwd=home.kallsyms.here,
        env=home.kallsyms.environment,
        stdout=subprocess.PIPE,
        timeout=PATIENCE,  # with the pipe open in the daemon, this is an hour
        check=True,
    )
    assert done.stdout == (PLAIN if "vmlinux" not in form else b"")
    home.daemon()


def test_many_clients_start_one_daemon(home: Home) -> None:
    command = [sys.executable, "-m", "kallsyms_client", *ARGUMENTS]
    clients = [
        subprocess.Popen(
            command, cwd=home.kallsyms.here, env=home.kallsyms.environment, stdout=subprocess.PIPE
        )
        for _ in range(12)
    ]
    assert {client.communicate(timeout=60)[0] for client in clients} == {PLAIN}
    home.daemon()
    assert home.log.read_text().count("\n") == 1  # a second one would have said that there is one


def test_a_start_that_failed_is_not_tried_at_once_again(home: Home) -> None:
    (home.runtime / "kallsymsd").mkdir(mode=0o700)
    home.socket.mkdir()  # in the way
    home.socket.with_name("s.lock").touch()  # but of a daemon's place
    assert home.kallsyms(*ARGUMENTS).status == 0
    started = home.runtime / "kallsymsd" / "s.start"
    end = time.monotonic() + PATIENCE
    while not home.log.exists() or "in the way" not in home.log.read_text():
        assert time.monotonic() < end
        time.sleep(0.02)
    home.log.unlink()
    assert home.kallsyms(*ARGUMENTS).status == 0
    assert not home.log.exists()
    home.socket.rmdir()
    long_ago = time.time() - 60
    os.utime(started, (long_ago, long_ago))
    assert home.kallsyms(*ARGUMENTS).status == 0
    home.daemon()


def nothing_started(home: Home) -> bool:
    """Whether a run that found no daemon left none; what is not done when it ends is never done."""
    run = home.kallsyms(*ARGUMENTS)
    assert run.out == PLAIN or run.status == 1
    return not home.daemons() and not home.log.exists()


@pytest.mark.parametrize("name", ["SOURCE_DATE_EPOCH", "RPM_BUILD_ROOT", "CI", "FAKEROOTKEY"])
def test_builds_of_packages_leave_nothing_behind(home: Home, name: str) -> None:
    home.kallsyms.environment[name] = "1"
    assert nothing_started(home)


@pytest.mark.parametrize("policy", ["off", "require"])
def test_only_who_wants_a_daemon_and_can_wait_gets_one(home: Home, policy: str) -> None:
    home.kallsyms.environment["KALLSYMSD"] = policy
    assert nothing_started(home)


def test_without_a_cache_directory_there_is_no_daemon(home: Home) -> None:
    home.kallsyms.environment["XDG_CACHE_HOME"] = "/nonexistent/cache"
    assert nothing_started(home)


def test_without_a_private_place_for_the_socket_there_is_no_daemon(home: Home) -> None:
    (home.runtime / "kallsymsd").mkdir()
    (home.runtime / "kallsymsd").chmod(0o755)
    assert nothing_started(home)


def test_one_that_has_the_lock_is_not_joined_by_another(home: Home) -> None:
    (home.runtime / "kallsymsd").mkdir(mode=0o700)
    lock = Lock(home.runtime / "kallsymsd" / "s.lock")
    assert lock.take()
    assert nothing_started(home)
    lock.close()
    assert home.kallsyms(*ARGUMENTS).status == 0
    home.daemon()


def test_a_socket_in_the_service_managers_care_is_left_to_it(home: Home) -> None:
    wants = Path(home.kallsyms.environment["XDG_CONFIG_HOME"]) / "systemd/user/sockets.target.wants"
    wants.mkdir(parents=True)
    (wants / "kallsymsd.socket").symlink_to("/nonexistent")
    (home.runtime / "systemd").mkdir()
    (home.runtime / "systemd" / "private").touch()
    assert nothing_started(home)
    (home.runtime / "systemd" / "private").unlink()  # no manager runs for this user
    assert home.kallsyms(*ARGUMENTS).status == 0
    home.daemon()
