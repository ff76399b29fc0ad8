# SPDX-License-Identifier: GPL-2.0-only
"""Faults of the machine that client and daemon run on."""

import os
import resource
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from kallsymsd import __main__ as program
from kallsymsd.counters import kept
from kallsymsd.ctl.since import since
from kallsymsd.engine.engine import Engine
from kallsymsd.service import instance
from tests.faults.conftest import PATIENCE, Build
from tests.service.peer import Daemon, FakeCore, Peer, serving

# Descriptors.


def free_descriptor(process: "subprocess.Popen[bytes]") -> int:
    """The least descriptor that a process does not have, once that stays the same for a while."""
    where = Path(f"/proc/{process.pid}/fd")
    taken: set[int] = set()
    while (now := {int(path.name) for path in where.iterdir()}) != taken:
        taken = now
        time.sleep(0.2)
    return min(set(range(len(taken) + 1)) - taken)


def cpu_seconds(process: "subprocess.Popen[bytes]") -> float:
    """What a process has used so far."""
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def set_limit(process: "subprocess.Popen[bytes]", limit: int) -> None:
    """How many descriptors a running process may have."""
    _, hard = resource.prlimit(process.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (limit, hard))


def test_a_daemon_without_descriptors_neither_spins_nor_dies(build: Build) -> None:
    process = build.start()
    build.judge(build.run())
    whole = resource.prlimit(process.pid, resource.RLIMIT_NOFILE)[0]
    set_limit(process, 3)
    build.judge(build.run(), "silent")
    with socket.socket(socket.AF_UNIX) as waiting:
        waiting.connect(str(build.socket))
        before = cpu_seconds(process)
        time.sleep(1)
        assert cpu_seconds(process) - before < 0.3
        set_limit(process, whole)
        waiting.settimeout(PATIENCE)
        assert waiting.recv(4) == b"KSYM"
    build.judge(build.run())
    assert process.poll() is None


def test_a_daemon_with_few_descriptors(build: Build) -> None:
    process = build.start()
    build.judge(build.run())
    whole = resource.prlimit(process.pid, resource.RLIMIT_NOFILE)[0]
    reasons = []
    for number in range(8):
        with Peer(build.socket) as peer:
            peer.control({"command": "clear"})
            peer.answer()
        set_limit(process, free_descriptor(process) + number)
        run = build.run()
        reasons += build.reasons(run)
        set_limit(process, whole)
        build.judge(build.run())
    assert {"silent", "refused"} <= set(reasons) <= {"silent", "refused", "closed"}
    assert len(reasons) < 8
    assert process.poll() is None


# Space.


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 256 KiB."""
    place = tmp_path / "small"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=256k,mode=0700", "none", place], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"a file system cannot be mounted here, only root can: {mounted.stderr.decode()}")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", place], check=True)


def fill(place: Path, *, less: int = 0) -> None:
    """Leave ``less`` bytes free."""
    with (place / "filler").open("wb", buffering=0) as file:
        try:
            while file.write(bytes(4096)):
                pass
        except OSError:
            file.truncate(max(0, file.tell() - less))


@pytest.mark.parametrize("less", [0, 8192, 65536])
def test_a_disk_that_gets_full_under_the_cache(build: Build, small_disk: Path, less: int) -> None:
    build.kallsyms.environment["XDG_CACHE_HOME"] = str(small_disk)
    build.cache = small_disk / "kallsymsd"
    process = build.start()
    fill(small_disk, less=less)
    for _ in range(2):
        run = build.run()
        assert (run.status, run.err, build.outputs()) == (0, b"", build.expected)
    build.stop(process)
    build.start()
    build.judge(build.run())
    (small_disk / "filler").unlink()
    build.judge(build.run())


@pytest.mark.parametrize("less", [0, 8192])
def test_a_full_disk_under_the_build(build: Build, small_disk: Path, less: int) -> None:
    build.start()
    for name in ("vmlinux", "in.map"):
        (small_disk / name).write_bytes((build.kallsyms.here / name).read_bytes())
    build.kallsyms.here = small_disk
    fill(small_disk, less=less)
    run = build.run()
    assert (run.status, run.out) == (1, b"")
    assert run.err == b"kallsyms: out.bin: No space left on device\n"
    assert build.kallsyms.left_over() == []


# Time.


def test_a_clock_that_jumps(tmp_path: Path) -> None:
    core = FakeCore()
    offset = 0.0
    clock = lambda: time.time() + offset  # noqa: E731  the offset changes below
    with serving(tmp_path / "run" / "s", lambda: Engine(None, core), clock) as daemon:
        for number, offset in enumerate((0.0, -4e7, -1e9, 4e8, -1.0)):
            path = tmp_path / f"{number}.map"
            path.write_bytes(b"wait" + bytes((65 + number,)))
            core.release.clear()
            with daemon.peer() as peer:
                peer.build(path)
                assert core.started.acquire(timeout=PATIENCE)
                assert beats(peer.receive_any().kind for _ in range(2))
                core.release.set()
                assert peer.reply()[0].how.symbols == 5
            check_counters(daemon, number + 1, time.time() + offset)


def beats(kinds: Iterator[int]) -> bool:
    """Whether all frames are signs of life."""
    return set(kinds) == {3}


def check_counters(daemon: Daemon, requests: int, now: float) -> None:
    """Nothing is lost, and each jump begins a build."""
    counters = daemon.stats()
    assert counters["requests"] == counters["misses"] == requests
    assert since(kept.read(counters), "build", now).figures.counters["requests"] == 1
    assert counters["seconds"] < PATIENCE


# The map.


def rewritten(build: Build, times: int) -> None:
    """Expect what the map gives after as many changes as the daemon's failpoint makes."""
    path = build.kallsyms.here / "in.map"
    whole = path.read_bytes()
    changed = bytes((whole[-2] + times,)) + whole[-1:]
    path.write_bytes(whole[:-2] + changed)
    build.kallsyms.environment["KALLSYMSD"] = "off"
    assert build.run().status == 0
    del build.kallsyms.environment["KALLSYMSD"]
    build.expected = build.outputs()
    path.write_bytes(whole)


def test_a_map_that_is_rewritten_while_the_daemon_reads_it_is_read_again(build: Build) -> None:
    rewritten(build, 1)
    build.start("read:rewrite once", KALLSYMSD_TEST_MAP=str(build.kallsyms.here / "in.map"))
    build.judge(build.run())
    build.judge(build.run())


def test_of_a_map_that_never_keeps_still_the_client_makes_what_it_reads_itself(build: Build) -> None:
    rewritten(build, 3)  # the daemon tries as often
    build.start("read:rewrite always", KALLSYMSD_TEST_MAP=str(build.kallsyms.here / "in.map"))
    run = build.run()
    assert b": the map changes while it is read; computed without it. " in run.err
    build.judge(run, "refused")


# Places.


@pytest.fixture
def own_process() -> Iterator[None]:
    """What the daemon's main() changes in its process, and leaves so, is as it was afterwards."""
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    umask = os.umask(0o022)
    os.umask(umask)
    descriptors = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, descriptors)
    os.umask(umask)
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)


@pytest.mark.usefixtures("own_process")
def test_a_socket_on_another_machine_is_refused(
    build: Build, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(instance, "filesystem_type", lambda _: "nfs4")
    monkeypatch.setenv("XDG_CACHE_HOME", str(build.cache.parent))
    assert program.main(["--socket", str(build.socket)]) == 1
    place = "name a place on this machine with KALLSYMSD_SOCKET"
    assert caplog.messages == [f"{build.socket}: lies on nfs4; {place}"]
    assert not build.socket.exists()
    build.judge(build.run(), "absent")
