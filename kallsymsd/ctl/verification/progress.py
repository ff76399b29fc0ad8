# SPDX-License-Identifier: GPL-2.0-only
"""Shows the present step of a command that takes long."""

import sys
import threading
import time
from types import TracebackType
from typing import Self

#: Seconds without output before steps are shown.
PATIENCE = 2.0


class Progress:
    """Prints steps on standard error, starting with the one under way after PATIENCE seconds."""

    def __init__(self) -> None:
        self._step = ""
        self._said = False
        self._lock = threading.Lock()
        self._timer = threading.Timer(PATIENCE, self._begin)
        self._timer.daemon = True

    def __enter__(self) -> Self:
        self._timer.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._timer.cancel()

    def step(self, text: str) -> float:
        """Start the next step; returns the present time of the monotonic clock."""
        with self._lock:
            self._step = text
            if self._said:
                self._say()
        return time.monotonic()

    def _begin(self) -> None:
        with self._lock:
            self._said = True
            if self._step:
                self._say()

    def _say(self) -> None:
        print(f"kallsymsctl: {self._step} ...", file=sys.stderr, flush=True)
