# SPDX-License-Identifier: GPL-2.0-only
"""The daemon under the soak: killed, stopped for a moment, started again, and measured."""

import contextlib
import random
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import NamedTuple

#: Seconds for a daemon to end in order.
_PATIENCE = 30.0


class Level(NamedTuple):
    """What a process holds."""

    descriptors: int
    threads: int
    rss_kib: int


class Daemon:
    """A daemon that is there most of the time.

    kills  how often each signal was sent
    """

    def __init__(self, environment: dict[str, str], log: Path, seed: int) -> None:
        self.kills = {"SIGKILL": 0, "SIGTERM": 0, "SIGSTOP": 0}
        self._environment = environment
        self._log = log
        self._rng = random.Random(seed)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, unless it is there."""
        if self._process is None or self._process.poll() is not None:
            with self._log.open("ab") as log:
                self._process = subprocess.Popen(
                    [sys.executable, "-m", "kallsymsd"],
                    env=self._environment,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=log,
                )

    def torment(self, end: threading.Event) -> None:
        """Kill or stop it now and then, until ``end``."""
        while not end.wait(self._rng.uniform(0.5, 4)):
            assert self._process is not None
            name = self._rng.choice([*self.kills])
            self.kills[name] += 1
            self._process.send_signal(getattr(signal, name))
            if name == "SIGSTOP":
                end.wait(self._rng.uniform(0.1, 1.5))
                self._process.send_signal(signal.SIGCONT)
                continue
            self._process.wait(_PATIENCE)
            end.wait(self._rng.uniform(0, 1))
            self.start()

    def level(self) -> Level:
        """What it holds now."""
        assert self._process is not None
        place = Path(f"/proc/{self._process.pid}")
        status = (place / "status").read_text()
        numbers = [
            int(match[1]) for match in re.finditer(r"^(?:Threads|VmRSS):\s+(\d+)", status, re.MULTILINE)
        ]
        rss, threads = numbers
        return Level(len(list((place / "fd").iterdir())), threads, rss)

    def stop(self) -> int:
        """End it in order; its exit status."""
        assert self._process is not None
        self._process.terminate()
        try:
            return self._process.wait(_PATIENCE)
        finally:
            with contextlib.suppress(OSError):
                self._process.kill()
