# SPDX-License-Identifier: GPL-2.0-only
"""A build, a daemon that can be made to fail, and the judge of both."""

import os
import signal
import socket as sockets
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from kallsymsd.protocol import notes, wire
from tests.client.conftest import Kallsyms, Run, elf, kallsyms, socket_path
from tests.oracles import ROOT

__all__ = ["build", "kallsyms", "socket_path"]

#: Seconds for what is none of the client's waits.
PATIENCE = 20.0
#: Longest sum of a client's waits for a daemon that fails, as the client counts them.
WAITS = 0.5

FILES = ("--dialect=v6.11", "--all-symbols", "vmlinux", "in.map", "out.S", "out.bin")

MAP = b"".join(b"%016x t symbol_number_%d\n" % (0xFFFFFFFF81000000 + 16 * i, i * i) for i in range(3000))


@dataclass
class Build:
    """A build step whose daemon is at ``socket``.

    kallsyms  the client
    cache     the cache directory
    expected  the right .S and .bin
    daemons   those that were started
    """

    kallsyms: Kallsyms
    socket: Path
    cache: Path
    expected: tuple[bytes, bytes] = (b"", b"")
    daemons: list["subprocess.Popen[bytes]"] = field(default_factory=list)

    def run(self, *options: str) -> Run:
        """Run the client, from nothing."""
        for name in ("out.S", "out.bin"):
            (self.kallsyms.here / name).unlink(missing_ok=True)
        return self.kallsyms(*options, *FILES)

    def outputs(self) -> tuple[bytes, bytes]:
        """The .S and the .bin."""
        here = self.kallsyms.here
        return (here / "out.S").read_bytes(), (here / "out.bin").read_bytes()

    def counted(self) -> list[str]:
        """What was counted since this was last asked, after proof that no wait was too long."""
        records = notes.fallbacks(notes.take(bytes(self.cache)))
        for each in records:
            assert each.waited <= (wire.patience(len(MAP)) if each.reason == "slow" else WAITS)
        return [each.reason for each in records]

    def judge(self, run: Run, *reasons: str) -> None:
        """A run without an answer for one of ``reasons``, or with one where there are none."""
        counted = self.reasons(run)
        assert len(counted) == bool(reasons)
        assert set(counted) <= set(reasons)

    def reasons(self, run: Run) -> list[str]:
        """Why a run had no answer, if it had none, after proof that all else is as it must be."""
        assert (run.status, run.out) == (0, b""), run
        assert self.outputs() == self.expected
        counted = self.counted()
        assert len(counted) <= 1
        lines = run.err.splitlines()
        if counted in ([], ["absent"], ["starting"]):
            assert lines == []
        else:
            (line,) = lines
            assert line.startswith(b"kallsyms: warning: ")
            assert b"; computed without it. " in line
        return counted

    def start(self, failpoint: str = "", **environment: str) -> "subprocess.Popen[bytes]":
        """A daemon that listens, and fails at ``failpoint``."""
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.daemon", "--socket", str(self.socket)],
            cwd=ROOT,
            env={
                **self.kallsyms.environment,
                "PYTHONPATH": os.pathsep.join(sys.path),
                "KALLSYMSD_TEST_FAILPOINT": failpoint,
                **environment,
            },
            stdin=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self.daemons.append(process)
        end = time.monotonic() + PATIENCE
        while not self.is_listening():
            if process.poll() == -signal.SIGKILL and failpoint:
                break
            assert process.poll() is None
            assert time.monotonic() < end
            time.sleep(0.02)
        return process

    def is_listening(self) -> bool:
        """Whether somebody listens at the socket. Asks the kernel: some failpoints wait for a connection."""
        for line in Path("/proc/net/unix").read_text().splitlines():
            fields = line.split()
            if fields[-1] == str(self.socket) and fields[3] == "00010000":  # flag __SO_ACCEPTCON
                return True
        return False

    def stop(self, process: "subprocess.Popen[bytes]") -> None:
        """End a daemon in order."""
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE) == 0

    def listen(self, backlog: int = 8) -> sockets.socket:
        """A socket that listens where the daemon would."""
        listener = sockets.socket(sockets.AF_UNIX)
        listener.bind(str(self.socket))
        listener.listen(backlog)
        return listener


@pytest.fixture
def build(kallsyms: Kallsyms, socket_path: Path) -> Iterator[Build]:
    """A build in a directory of its own; what it must give is what the client makes alone."""
    cache = Path(kallsyms.environment["XDG_CACHE_HOME"]) / "kallsymsd"
    kallsyms.environment["KALLSYMSD_SOCKET"] = str(socket_path)
    kallsyms.write("in.map", MAP)
    kallsyms.write("vmlinux", elf())
    build = Build(kallsyms, socket_path, cache)
    kallsyms.environment["KALLSYMSD"] = "off"
    assert build.run().status == 0
    del kallsyms.environment["KALLSYMSD"]
    build.expected = build.outputs()
    yield build
    for process in build.daemons:
        process.kill()
        process.wait()
