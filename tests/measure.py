# SPDX-License-Identifier: GPL-2.0-only
"""Measuring programs: CPU and wall time of a child, of a function, of a daemon."""

import contextlib
import gc
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.oracles import ROOT

#: Starts the thin client as builds do: isolated, without site, with nothing but its own directories.
LAUNCH = (
    f"import sys; sys.path[:0] = {[os.fspath(ROOT / 'client'), os.fspath(ROOT)]!r}; "
    "from kallsyms_client.main import main; sys.exit(main())"
)

STARTUP_LIMIT = 10.0
SETTLED = 0.05
#: Seconds in which a daemon writes what is new; it does so every 10 s.
SAVE_LIMIT = 15.0


@dataclass(frozen=True)
class Sample:
    """One run, in seconds."""

    cpu: float
    wall: float


def spawn(
    command: Sequence[str | Path],
    directory: Path,
    *,
    stdout: Path | None = None,
    environment: Mapping[str, str] | None = None,
) -> Sample:
    """Run a program in ``directory``; its CPU time includes that of its own children.

    Raises RuntimeError if it fails.
    """
    with (stdout or Path(os.devnull)).open("wb") as out:
        start = time.perf_counter()
        child = subprocess.Popen(
            command, cwd=directory, stdout=out, env={**os.environ, **(environment or {})}
        )
        _, wait_status, usage = os.wait4(child.pid, 0)
        wall = time.perf_counter() - start
    child.returncode = os.waitstatus_to_exitcode(wait_status)
    if child.returncode:
        raise RuntimeError(f"{command[0]} ended with {child.returncode}")
    return Sample(usage.ru_utime + usage.ru_stime, wall)


def in_child(function: Callable[[], object]) -> Sample:
    """Call a function in a fork of this process, where no earlier call has left warm memory behind."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        gc.freeze()  # the collector is not to walk through all that the parent has
        try:
            cpu, wall = time.process_time(), time.perf_counter()
            function()
            cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
            os.write(writer, f"{cpu} {wall}".encode())
            status = 0
        finally:
            os._exit(status)
    os.close(writer)
    with os.fdopen(reader, "rb") as result:
        words = result.read().split()
    os.waitpid(child, 0)
    if not words:
        raise RuntimeError("the measured function failed")
    return Sample(float(words[0]), float(words[1]))


def client(arguments: Sequence[str | Path], directory: Path, environment: Mapping[str, str]) -> Sample:
    """Run the thin client in ``directory``."""
    return spawn([sys.executable, "-I", "-S", "-c", LAUNCH, *arguments], directory, environment=environment)


class Daemon:
    """A kallsymsd of its own, with socket and cache in ``directory``."""

    def __init__(self, directory: Path, *, watch: bool = True) -> None:
        """``watch``: compute ahead when a map is written again."""
        self.socket = directory / "s"
        self.environment = {
            "KALLSYMSD": "require",
            "KALLSYMSD_WATCH": "on" if watch else "off",
            "KALLSYMSD_SOCKET": os.fspath(self.socket),
            "XDG_CACHE_HOME": os.fspath(directory / "cache"),
            "XDG_RUNTIME_DIR": os.fspath(directory),
        }
        self._cache = directory / "cache"
        self._log = directory / "log"

    def __enter__(self) -> Self:
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "kallsymsd"],
                cwd=ROOT,
                env={**os.environ, **self.environment, "PYTHONPATH": os.fspath(ROOT / "client")},
                stdin=subprocess.DEVNULL,
                stderr=log,
            )
        limit = time.monotonic() + STARTUP_LIMIT
        while not self.socket.exists():
            if self._process.poll() is not None or time.monotonic() > limit:
                self.__exit__(None, None, None)
                raise RuntimeError(f"kallsymsd did not start:\n{self._log.read_text()}")
            time.sleep(0.01)
        self.settle()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.terminate()
        self._process.wait(STARTUP_LIMIT)

    def kill(self) -> None:
        """End the daemon without a chance to do anything about it."""
        self._process.kill()
        self._process.wait(STARTUP_LIMIT)

    @contextlib.contextmanager
    def stopped(self) -> Iterator[None]:
        """Let the daemon do nothing meanwhile."""
        self._process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._process.send_signal(signal.SIGCONT)

    def cpu(self) -> float:
        """CPU seconds of the daemon so far, all its threads."""
        # The CPU clock of another process, as clock_getcpuclockid(3) makes it of a pid.
        return time.clock_gettime((~self._process.pid << 3) | 2)

    def memory(self) -> int:
        """Resident bytes of the daemon."""
        rollup = Path(f"/proc/{self._process.pid}/smaps_rollup").read_text()
        return int(rollup.partition("Rss:")[2].split()[0]) << 10

    def peak(self) -> int:
        """The most resident bytes it ever had."""
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        return int(status.partition("VmHWM:")[2].split()[0]) << 10

    def memory_files(self) -> int:
        """Bytes of the memory files it holds open, which are in memory but not resident in the process."""
        total = 0
        for link in Path(f"/proc/{self._process.pid}/fd").iterdir():
            with contextlib.suppress(FileNotFoundError):
                if os.fspath(link.readlink()).startswith("/memfd:"):
                    total += link.stat().st_size
        return total

    def stored(self) -> frozenset[tuple[str, int, int]]:
        """What stands in the cache directory; changes whenever the daemon writes there."""
        found = set()
        # os.walk(), since rglob() fails when the daemon removes a directory that it is about to enter.
        for directory, directories, files in os.walk(self._cache):
            for name in directories + files:
                with contextlib.suppress(FileNotFoundError):
                    status = Path(directory, name).stat()
                    found.add((name, status.st_size, status.st_mtime_ns))
        return frozenset(found)

    def await_save(self) -> None:
        """Wait until the daemon has written what it writes every few seconds, and rests."""
        before = self.stored()
        limit = time.monotonic() + SAVE_LIMIT
        while self.stored() == before:
            if time.monotonic() > limit:
                raise RuntimeError(f"kallsymsd wrote nothing in {SAVE_LIMIT:.0f} s")
            time.sleep(SETTLED)
        self.settle()

    def settle(self) -> None:
        """Wait until the daemon rests: what it does after its reply is part of the cost."""
        before = -1.0
        while (now := self.cpu()) != before:
            before = now
            time.sleep(SETTLED)
