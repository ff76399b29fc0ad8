# SPDX-License-Identifier: GPL-2.0-only
"""A daemon gets rid of the limits that it was started with, or does not start."""

import os
import resource
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import pytest

from kallsymsd.protocol import wire
from kallsymsd.service import surroundings
from kallsymsd.service.surroundings import LimitedError, leave_build, lift_limits
from kallsymsd.service.workers import NoThreadsError, Workers
from tests.client.conftest import kallsyms, socket_path
from tests.client.test_spawn import ARGUMENTS, PLAIN, Home, home
from tests.service.peer import PATIENCE
from tests.service.test_process import SMALL_MAP, Program, program

__all__ = ["home", "kallsyms", "program", "socket_path"]

MANY = b"".join(b"%016x t symbol_number_%d\n" % (0xFFFFFFFF81000000 + 16 * i, i * i) for i in range(3000))

#: What a build may be limited to, and what of it the daemon's line names.
LIMITS = [
    (resource.RLIMIT_FSIZE, 4096, "ulimit -f"),
    (resource.RLIMIT_FSIZE, 0, "ulimit -f"),
    (resource.RLIMIT_FSIZE, 1 << 30, "ulimit -f"),
    (resource.RLIMIT_CPU, 60, "ulimit -t"),
    (resource.RLIMIT_CPU, 1 << 30, "ulimit -t"),
    (resource.RLIMIT_AS, 1 << 30, "ulimit -v"),
    (resource.RLIMIT_DATA, 1 << 29, "ulimit -d"),
    (resource.RLIMIT_STACK, 512 << 10, "ulimit -s"),
]
LOW = pytest.mark.parametrize(("which", "limit", "option"), LIMITS)


def limiting(which: int, soft: int, hard: int) -> Callable[[], None]:
    """Sets a limit in a process that is about to run a program."""
    return lambda: resource.setrlimit(which, (soft, hard))


def start(program: Program, prepare: Callable[[], None]) -> "subprocess.Popen[str]":
    """A daemon, started by a process that has done ``prepare``."""
    process = subprocess.Popen(
        [sys.executable, "-B", "-m", "kallsymsd"],
        env=program.environment,
        cwd=program.home,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=prepare,  # noqa: PLW1509  there are no other threads
    )
    program.processes.append(process)
    return process


@LOW
def test_a_hard_limit_that_is_too_low_prevents_a_start(
    program: Program, which: int, limit: int, option: str
) -> None:
    process = start(program, limiting(which, limit, limit))
    out, error = process.communicate(timeout=PATIENCE)
    assert (process.returncode, out) == (1, "")
    (line,) = error.splitlines()
    assert line.startswith("kallsymsd: ")
    assert line.endswith(f"to {limit}; see {option}")
    assert not program.socket.parent.exists()


@LOW
def test_a_soft_limit_is_lifted(
    program: Program, tmp_path: Path, which: int, limit: int, option: str
) -> None:
    assert option
    hard = resource.getrlimit(which)[1]
    process = start(program, limiting(which, limit, hard))
    while not program._connects():
        assert process.poll() is None
    assert resource.prlimit(process.pid, which) == (hard, hard)
    path = tmp_path / "in.map"
    path.write_bytes(MANY)
    reply, content = program.build(path)
    assert (reply.status, len(content) > 4096) == (wire.OK, True)


def test_threads_have_their_stacks_whatever_the_limit(program: Program, tmp_path: Path) -> None:
    start(program, limiting(resource.RLIMIT_STACK, 1 << 20, 1 << 20))
    while not program._connects():
        pass
    path = tmp_path / "in.map"
    path.write_bytes(MANY)
    assert program.build(path)[0].status == wire.OK
    maps = Path(f"/proc/{program.processes[0].pid}/maps").read_text()
    sizes = [
        int(end, 16) - int(begin, 16) for begin, end in (m.split()[0].split("-") for m in maps.splitlines())
    ]
    assert sizes.count(8 << 20) >= 2


def test_a_limit_that_may_not_be_raised_prevents_a_start(monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(*_: object) -> NoReturn:
        raise ValueError("not allowed to raise maximum limit")

    monkeypatch.setattr(resource, "getrlimit", lambda _: (4096, resource.RLIM_INFINITY))
    monkeypatch.setattr(resource, "setrlimit", forbidden)
    with pytest.raises(LimitedError, match="the size of files must not be limited to 4096"):
        lift_limits()
    assert surroundings.raise_descriptor_limit(8192) == 4096


def test_many_processes_are_no_reason_to_fail_without_a_word(monkeypatch: pytest.MonkeyPatch) -> None:
    left = [1]
    whole = threading.Thread.start

    def start(thread: threading.Thread) -> None:
        if not left[0]:
            raise RuntimeError("can't start new thread")
        left[0] -= 1
        whole(thread)

    monkeypatch.setattr(threading.Thread, "start", start)
    few = Workers(3)
    done, never = threading.Event(), threading.Event()
    few.submit(never.set, ahead=True)  # the last thread is for clients
    few.submit(done.set)
    assert done.wait(PATIENCE)
    few._running[threading.current_thread()] = 0.0, False
    few.replace_stuck(0.0)  # there is none in its place
    assert few.stuck == 0
    del few._running[threading.current_thread()]
    assert few.stop(PATIENCE)
    assert not never.is_set()
    with pytest.raises(NoThreadsError, match=r"can't start new thread.*ulimit -u"):
        Workers(3)


# What a build is among processes.


@pytest.mark.parametrize(
    ("which", "limit"),
    [(resource.RLIMIT_FSIZE, 4096), (resource.RLIMIT_CPU, 60), (resource.RLIMIT_AS, 1 << 30)],
)
def test_a_limited_build_starts_none_that_harms_others(home: Home, which: int, limit: int) -> None:
    subprocess.run(
        [sys.executable, "-B", "-m", "kallsyms_client", *ARGUMENTS],
        cwd=home.kallsyms.here,
        env=home.kallsyms.environment,
        stdout=subprocess.DEVNULL,
        preexec_fn=limiting(which, limit, limit),
        check=True,
    )
    while any(home.daemons()) or not home.log.exists() or not home.log.read_text():
        assert not home.socket.exists()
    (line,) = home.log.read_text().splitlines()
    assert "must not be limited to" in line
    run = home.kallsyms(*ARGUMENTS)
    assert (run.status, run.out, run.err) == (0, PLAIN, b"")


def _lowered() -> None:
    os.nice(7)
    os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
    os.sched_setaffinity(0, [min(os.sched_getaffinity(0))])
    Path("/proc/self/oom_score_adj").write_text("500")
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM, signal.SIGINT, signal.SIGALRM])
    os.umask(0)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can raise a priority")
def test_a_daemon_leaves_the_place_of_the_build_that_starts_it(home: Home) -> None:
    subprocess.run(
        [sys.executable, "-m", "kallsyms_client", *ARGUMENTS],
        cwd=home.kallsyms.here,
        env=home.kallsyms.environment,
        stdout=subprocess.DEVNULL,
        preexec_fn=_lowered,
        check=True,
    )
    process = home.daemon()
    assert os.getpriority(os.PRIO_PROCESS, process) == 0
    assert os.sched_getscheduler(process) == os.SCHED_OTHER
    assert os.sched_getaffinity(process) == os.sched_getaffinity(0)
    assert Path(f"/proc/{process}/oom_score_adj").read_text() == "0\n"
    assert home.socket.stat().st_mode & 0o077 == 0
    assert home.kallsyms("-v", *ARGUMENTS).err.startswith(b"kallsyms: ")
    os.kill(process, signal.SIGTERM)
    while home.daemons():
        pass
    assert not home.socket.exists()


@pytest.mark.parametrize("call", ["setpriority", "sched_setscheduler"])
def test_a_priority_that_cannot_be_raised_prevents_a_start(
    monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    def forbidden(*_: object) -> NoReturn:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "sched_setaffinity", lambda *_: None)
    monkeypatch.setattr(os, "getpriority", lambda *_: 7)
    monkeypatch.setattr(os, "sched_getscheduler", lambda _: os.SCHED_IDLE)
    monkeypatch.setattr(os, "setpriority", lambda *_: None)
    monkeypatch.setattr(os, "sched_setscheduler", lambda *_: None)
    monkeypatch.setattr(os, call, forbidden)
    with pytest.raises(
        LimitedError, match=r"low priority, which cannot be raised \(Operation not permitted\)"
    ):
        leave_build()


def test_a_daemon_that_a_person_starts_keeps_the_priority_it_was_given(program: Program) -> None:
    process = start(
        program, lambda: os.setpriority(os.PRIO_PROCESS, 0, os.getpriority(os.PRIO_PROCESS, 0) + 5)
    )
    while not program._connects():
        assert process.poll() is None
    assert os.getpriority(os.PRIO_PROCESS, process.pid) == os.getpriority(os.PRIO_PROCESS, 0) + 5


@pytest.mark.parametrize("disposition", ["ignored", "blocked"])
def test_it_ends_by_a_signal_that_its_starter_did_not_want(
    program: Program, a_map: Callable[[bytes], Path], disposition: str
) -> None:
    def prepare() -> None:
        if disposition == "ignored":
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
        else:
            signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])

    process = start(program, prepare)
    while not program._connects():
        assert process.poll() is None
    assert program.build(a_map(SMALL_MAP))[0].status == wire.OK
    process.terminate()
    assert process.wait(PATIENCE) == 0
