# SPDX-License-Identifier: GPL-2.0-only
"""Faults of the output itself, and of the client."""

import os
import resource
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import IO

import pytest

from tests.client.conftest import Run
from tests.faults.conftest import FILES, Build

PROGRAM = Path(__file__).parent / "program.py"
OLD = b"old text\n", b"old binary"
#: Calls of the client that touch files; each in turn is the one that fails.
CALLS = ("open", "write", "sendfile", "pread", "close", "rename", "link", "fstat", "unlink", "lstat")
MAKERS = ("daemon", "in-process")


@pytest.fixture(params=MAKERS)
def made_by(request: pytest.FixtureRequest, build: Build) -> Build:
    """A build whose result comes from the daemon, or from the client itself, with old files in place."""
    if request.param == "daemon":
        build.start()
        build.judge(build.run())
    else:
        build.kallsyms.environment["KALLSYMSD"] = "off"
    return build


def put_old(build: Build) -> None:
    """Put old files in place, and nothing else."""
    for name, content in zip(("out.S", "out.bin"), OLD, strict=True):
        build.kallsyms.write(name, content)
    for name in build.kallsyms.left_over():
        (build.kallsyms.here / name).unlink()


def found_in(build: Build) -> tuple[bytes | None, bytes | None]:
    """The .S and the .bin, None for one that is not there."""
    paths = [build.kallsyms.here / name for name in ("out.S", "out.bin")]
    text, binary = (path.read_bytes() if path.exists() else None for path in paths)
    return text, binary


def run_failing(
    build: Build,
    call: str,
    number: int,
    fault: str,
    arguments: Sequence[str] = FILES,
    stdout: int | IO[bytes] = subprocess.PIPE,
) -> Run:
    done = subprocess.run(
        [sys.executable, PROGRAM, call, str(number), fault, *arguments],
        cwd=build.kallsyms.here,
        env=build.kallsyms.environment,
        stdout=stdout,
        stderr=subprocess.PIPE,
        timeout=60,
        check=False,
    )
    return Run(done.returncode, done.stdout or b"", done.stderr)


@pytest.mark.parametrize(
    ("call", "fault"),
    [
        *((call, fault) for call in CALLS for fault in ("EIO", "ENOSPC", "SIGKILL", "SIGTERM")),
        ("write", "EDQUOT"),
        ("sendfile", "EDQUOT"),
        ("rename", "SIGHUP"),
        ("rename", "SIGINT"),
        ("unlink", "SIGINT"),
    ],
)
def test_each_call_fails_in_turn(made_by: Build, call: str, fault: str) -> None:
    for number in range(1, 100):
        put_old(made_by)
        run = run_failing(made_by, call, number, fault)
        found = found_in(made_by)
        if run.err.endswith(b"unhit\n"):
            assert (run.status, found) == (0, made_by.expected)
            break
        if fault.startswith("SIG"):
            assert (run.status, run.err) == (-signal.Signals[fault], b"")
            # Each is whole. Between two states there is no .S, and whoever needs it makes it again.
            between = [(None, OLD[1]), (None, made_by.expected[1])] if fault == "SIGKILL" else []
            assert found in (OLD, made_by.expected, *between)
            assert fault == "SIGKILL" or made_by.kallsyms.left_over() == []
            continue
        if run.status == 0:  # a call that need not succeed, or one that asks the daemon
            assert found == made_by.expected
        else:
            assert run.status == 1
            assert found == OLD
            # The second and third are the kernel's own words.
            assert run.err.startswith((b"kallsyms: ", b"in.map: ", b"read_symbol: ")), run.err
        assert run.err.count(b"\n") <= 1, run.err
        if call != "unlink":
            assert made_by.kallsyms.left_over() == []
    else:
        pytest.fail("it never ends")


def run_limited(build: Build, limit: int) -> Run:
    """A run that may write no more than ``limit`` bytes to a file."""
    old = resource.getrlimit(resource.RLIMIT_FSIZE)

    def restrict() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, old[1]))

    done = subprocess.run(
        [sys.executable, "-m", "kallsyms_client", *FILES],
        cwd=build.kallsyms.here,
        env=build.kallsyms.environment,
        capture_output=True,
        timeout=60,
        check=False,
        preexec_fn=restrict,
    )
    return Run(done.returncode, done.stdout, done.stderr)


@pytest.mark.parametrize("limit", [0, 1, 1000, 10_000])
def test_a_full_disk(made_by: Build, limit: int) -> None:
    put_old(made_by)
    run = run_limited(made_by, limit)
    assert (run.status, run.out) == (1, b"")
    assert run.err == b"kallsyms: out.bin: File too large\n"
    assert made_by.outputs() == OLD
    assert made_by.kallsyms.left_over() == []


def test_few_descriptors(made_by: Build) -> None:
    ends = set()
    for limit in range(3, 16):
        put_old(made_by)
        run = run_failing(made_by, "open", limit, "EMFILE")
        ends.add(run.status)
        assert made_by.outputs() == (OLD if run.status else made_by.expected)
        assert made_by.kallsyms.left_over() == []
        assert run.err.count(b"\n") <= 1, run.err
    assert ends == {0, 1}


def test_killed_while_it_waits(build: Build) -> None:
    process = build.start("build:SIGSTOP")
    put_old(build)
    with subprocess.Popen(
        [sys.executable, "-m", "kallsyms_client", *FILES],
        cwd=build.kallsyms.here,
        env=build.kallsyms.environment,
    ) as client:
        os.waitid(os.P_PID, process.pid, os.WSTOPPED)
        client.kill()
    process.send_signal(signal.SIGCONT)
    assert build.outputs() == OLD
    assert build.kallsyms.left_over() == []
