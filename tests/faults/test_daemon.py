# SPDX-License-Identifier: GPL-2.0-only
"""Faults of the real daemon and of its cache."""

import os
import resource
import shutil
import signal
import socket
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import pytest

from kallsymsd.protocol import asking, wire
from tests.client.conftest import Kallsyms
from tests.faults.conftest import FILES, MAP, PATIENCE, Build
from tests.faults.daemon import STAGES

#: Stages after which the client has its answer.
LATE = ("keep", "store")


def test_a_daemon_without_faults_answers(build: Build) -> None:
    build.start()
    run = build.run("-v")
    assert (run.status, build.outputs()) == (0, build.expected)
    assert run.err.startswith(b"kallsyms: cold: 3000 symbols")
    assert b"in-process" not in run.err
    build.judge(build.run())


@pytest.mark.parametrize("stage", STAGES)
def test_killed_at_a_stage(build: Build, stage: str) -> None:
    process = build.start(f"{stage}:SIGKILL")
    if stage == "load":  # the daemon may be dead before the client comes
        build.judge(build.run(), "closed", "absent")
    elif stage in LATE:  # the worker goes on while the loop sends the answer, and may be killed first
        run = build.run()
        build.judge(run, *(["closed"] if run.err else []))
    else:
        build.judge(build.run(), "closed")
    assert process.wait(PATIENCE) == -signal.SIGKILL
    build.judge(build.run(), "absent")
    build.start()  # what it left behind is no hindrance
    build.judge(build.run())


@pytest.mark.parametrize("stage", ["accept", "request", "hand out", "reply", "build"])
def test_stopped_at_a_stage(build: Build, stage: str) -> None:
    process = build.start(f"{stage}:SIGSTOP")
    build.judge(build.run(), "silent")
    build.judge(build.run(), "silent")  # the kernel goes on taking connections for it
    process.send_signal(signal.SIGCONT)


@pytest.mark.parametrize("error", ["ENOSPC", "EDQUOT", "EIO", "no memory"])
@pytest.mark.parametrize("stage", ["load", "identify", "build", "compute", "keep", "store"])
def test_an_error_at_a_stage(build: Build, stage: str, error: str) -> None:
    process = build.start(f"{stage}:{error}")
    for _ in range(2):
        if stage in LATE:
            build.judge(build.run())
        else:
            build.judge(build.run(), "refused")
    build.stop(process)


def test_a_computation_that_never_ends(build: Build) -> None:
    process = build.start("compute:hang")
    run = build.run()
    assert b": still computes after 2.0 s; computed without it. " in run.err
    build.judge(run, "slow")
    # Whoever comes later does not wait for what nobody waits for any more.
    run = build.run()
    assert b": has computed this map for " in run.err
    build.judge(run, "refused")
    assert process.poll() is None


@pytest.mark.parametrize("limit", [0, 4096, 100_000])
def test_a_full_disk_under_the_cache(build: Build, limit: int) -> None:
    # What RLIMIT_FSIZE forbids fails like a full disk, in the cache and in memory files alike.
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, old[1]))
    try:
        build.start()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)
    for _ in range(2):
        run = build.run()
        build.judge(run, *(["refused"] if run.err else []))


@pytest.mark.parametrize("what", ["a file", "open to others", "read-only", "somebody else's"])
def test_a_cache_directory_that_cannot_be_used(build: Build, what: str) -> None:
    if what == "somebody else's" and os.geteuid() != 0:
        pytest.skip("only root can make somebody else's directory")
    build.cache.parent.mkdir()
    if what == "a file":
        build.cache.touch()
    else:
        build.cache.mkdir(mode=0o700)
    if what == "open to others":
        build.cache.chmod(0o777)
    elif what == "read-only":
        build.cache.chmod(0o500)
    elif what == "somebody else's":
        os.chown(build.cache, 12345, 12345)
    build.start()
    build.judge(build.run())
    build.judge(build.run())


@pytest.mark.parametrize("damage", ["garbage", "truncated", "empty", "missing", "a directory", "flipped"])
@pytest.mark.parametrize("what", ["cache.db", "*.val", "counters.json"])
def test_damage_to_the_cache(build: Build, what: str, damage: str) -> None:
    process = build.start()
    build.judge(build.run())
    build.stop(process)
    victims = [path for path in build.cache.rglob(what) if path.is_file()]
    assert victims
    for path in victims:
        whole = path.read_bytes()
        if damage in ("missing", "a directory"):
            path.unlink()
        if damage == "a directory":
            path.mkdir()
        elif damage != "missing":
            middle = len(whole) // 2
            flipped = whole[:middle] + bytes((whole[middle] ^ 0x40,)) + whole[middle + 1 :]
            path.write_bytes(
                {"garbage": b"\xa5" * 5000, "truncated": whole[:middle], "empty": b"", "flipped": flipped}[
                    damage
                ]
            )
    build.start()
    build.judge(build.run())
    build.judge(build.run())


def test_the_cache_is_deleted_under_the_daemon(build: Build) -> None:
    build.start()
    build.judge(build.run())
    while build.cache.exists():  # it may be writing there
        shutil.rmtree(build.cache, ignore_errors=True)
    build.kallsyms.write("in.map", (build.kallsyms.here / "in.map").read_bytes() + b"\n")
    run = build.run()
    assert run.status == 1  # an empty line is bad input to this dialect, whoever reads it
    (build.kallsyms.here / "in.map").write_bytes((build.kallsyms.here / "in.map").read_bytes()[:-1])
    build.judge(build.run())


def test_an_old_daemon_is_asked_to_leave(build: Build) -> None:
    process = build.start(KALLSYMSD_TEST_VERSION="0.0.1")
    run = build.run()
    assert b": is version 0.0.1, not 0.1.0; computed without it. It is asked to leave\n" in run.err
    build.judge(run, "version")
    assert process.wait(PATIENCE) == 0
    build.judge(build.run(), "absent")


def test_an_old_daemon_answers_its_own_clients_before_it_leaves(build: Build) -> None:
    process = build.start("compute:wait", KALLSYMSD_TEST_VERSION="0.0.1")
    with socket.socket(socket.AF_UNIX) as sock, (build.kallsyms.here / "in.map").open("rb") as file:
        sock.connect(str(build.socket))
        request = wire.BuildRequest(version="0.0.1", dialect="v6.11", options=1, form=wire.ASM)
        data = wire.preamble() + wire.frame(wire.BUILD, request.encode())
        socket.send_fds(sock, [data], [file.fileno()])
        build.judge(build.run(), "version")
        assert not build.socket.exists()
        sock.settimeout(PATIENCE)
        received = b""
        while part := sock.recv(1 << 16):
            received += part
    # Preamble, signs of life, the reply and nothing else.
    frames = received[wire.PREAMBLE_SIZE :].split(wire.frame(wire.HEARTBEAT))
    assert wire.parse_header(frames[-1])[0] == wire.REPLY
    assert wire.BuildReply.decode(frames[-1][wire.HEADER_SIZE :]).status == wire.OK
    assert process.wait(PATIENCE) == 0


def test_a_new_daemon_stays(build: Build) -> None:
    process = build.start(KALLSYMSD_TEST_VERSION="99.0")
    build.judge(build.run(), "version")
    build.judge(build.run(), "version")
    assert process.poll() is None


def test_an_old_daemon_leaves_who_requires_one_too(build: Build) -> None:
    process = build.start(KALLSYMSD_TEST_VERSION="0.0.1")
    build.kallsyms.environment["KALLSYMSD"] = "require"
    assert build.run().status == 1
    assert process.wait(PATIENCE) == 0


def test_fakeroot_does_not_come_between(build: Build, unavailable: Callable[[str], NoReturn]) -> None:
    fakeroot = shutil.which("fakeroot")
    if fakeroot is None:
        unavailable("no fakeroot (Debian: apt install fakeroot)")
    build.start()
    for name in ("out.S", "out.bin"):
        (build.kallsyms.here / name).unlink()
    done = subprocess.run(
        [fakeroot, "python3", "-m", "kallsyms_client", "-v", *FILES],
        cwd=build.kallsyms.here,
        env={**build.kallsyms.environment, "PATH": os.environ["PATH"]},
        stderr=subprocess.PIPE,
        check=True,
    )
    assert build.outputs() == build.expected
    assert b"in-process" not in done.stderr


def test_a_client_that_is_killed_leaves_the_daemon_in_order(build: Build) -> None:
    process = build.start()
    build.judge(build.run())
    for _ in range(20):  # hang up with the request sent, and the reply unread
        with socket.socket(socket.AF_UNIX) as sock, (build.kallsyms.here / "in.map").open("rb") as file:
            sock.connect(str(build.socket))
            request = wire.BuildRequest(version="0.1.0", dialect="v6.11", options=1, form=wire.ASM)
            data = wire.preamble() + wire.frame(wire.BUILD, request.encode())
            socket.send_fds(sock, [data], [file.fileno()])
    build.judge(build.run())
    assert process.poll() is None


def test_sixty_four_clients_at_once(build: Build, tmp_path: Path) -> None:
    build.start()
    programs = []
    for number in range(64):
        here = tmp_path / f"tree{number}"
        shutil.copytree(build.kallsyms.here, here)
        (here / "out.S").unlink()
        programs.append(Kallsyms(here, build.kallsyms.environment))
    clients = [
        subprocess.Popen(
            [shutil.which("python3") or "python3", "-m", "kallsyms_client", *FILES],
            cwd=program.here,
            env={**program.environment, "PATH": os.environ["PATH"]},
            stderr=subprocess.PIPE,
        )
        for program in programs
    ]
    errors = [client.communicate(timeout=120)[1] for client in clients]
    assert [client.returncode for client in clients] == [0] * 64
    for program in programs:
        found = (program.here / "out.S").read_bytes(), (program.here / "out.bin").read_bytes()
        assert found == build.expected
    # On a machine that cannot keep up a client may have gone without, which it said and counted.
    assert len(build.counted()) == sum(map(bool, errors)) < 64
    assert max(error.count(b"\n") for error in errors) <= 1


def test_a_thousand_in_a_row_leave_nothing_behind(build: Build) -> None:
    process = build.start()
    request = wire.BuildRequest(version="0.1.0", dialect="v6.11", options=1, form=wire.ASM)
    environment = {b"KALLSYMSD_SOCKET": bytes(build.socket)}

    def ask() -> None:
        with (build.kallsyms.here / "in.map").open("rb") as file:
            output = asking.ask(request, file.fileno(), len(MAP), environment)
            assert output.ok
            (descriptor,) = output.descriptors
            assert stat.S_ISREG(os.fstat(descriptor).st_mode)
            os.close(descriptor)

    def held() -> tuple[int, int, int]:
        where = Path("/proc") / str(process.pid)
        counts = len(list((where / "fd").iterdir())), len(list((where / "task").iterdir()))
        return *counts, len(list(Path("/proc/self/fd").iterdir()))

    for _ in range(20):
        ask()
    before = held()
    for _ in range(1000):
        ask()
    assert all(after <= first + 2 for after, first in zip(held(), before, strict=True))
