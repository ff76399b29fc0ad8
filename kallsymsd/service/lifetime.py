# SPDX-License-Identifier: GPL-2.0-only
"""When the daemon ends: when told to, when idle, or when its own files were replaced."""

from __future__ import annotations

import logging
import math
import time
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from kallsymsd.service.workers import Job

_log = logging.getLogger("kallsymsd")

#: Seconds that stopping may take.
DRAIN_LIMIT = 5.0
# Seconds that clients which had just connected get to send their request when the daemon is told to stop.
_DRAIN_GRACE = 0.1
#: Seconds between two checks whether the daemon's own files were replaced, while it is idle.
CHECK_INTERVAL = 60.0


class State(Enum):
    """The daemon's life; each state leads to the next and to no other."""

    SERVING = "serving"
    DRAINING = "draining"  # no new connections; requests under way are answered
    STOPPED = "stopped"


class Lifetime:
    """Belongs to the loop's thread, except request_stop().

    began  when the daemon started, in seconds of the loop's clock
    state  where it is in its life
    """

    def __init__(
        self,
        *,
        idle_limit: float,
        replaced: Callable[[], Path | None],
        submit: Callable[[Job], None],
        wake: Callable[[], None],
    ) -> None:
        """``idle_limit`` is in seconds without a client after which the daemon ends; 0 for never.

        replaced  says which of the daemon's own files was replaced, if any; a worker calls it
        submit    has a worker do something
        wake      makes the loop call is_over(), from any thread
        """
        self.began = time.monotonic()
        self.state = State.SERVING
        self._idle_limit = idle_limit
        self._replaced = replaced
        self._submit = submit
        self._wake = wake
        self._last_use = self.began
        self._check_at = self.began + CHECK_INTERVAL
        self._outdated: Path | None = None
        self._stop_requested = False
        self._drain_began = 0.0

    def request_stop(self) -> None:
        """Begin to stop; may be called from a signal handler and from any thread."""
        self._stop_requested = True
        self._wake()

    def due(self, *, is_used: bool) -> float:
        """When is_over() or end() is to be called even if nothing happens; inf for never."""
        if self.state is State.DRAINING:
            return time.monotonic() + _DRAIN_GRACE / 2
        if is_used:
            return math.inf
        return min(self._last_use + self._idle_limit if self._idle_limit else math.inf, self._check_at)

    def is_over(self, now: float, *, is_used: bool) -> bool:
        """Whether to begin to stop; ``is_used`` while there are clients or jobs."""
        if is_used:
            self._last_use = now
        elif self._outdated is not None:  # an old daemon must not answer for what is installed now
            _log.info("%s was replaced", self._outdated)
            return True
        elif now >= self._check_at:
            self._check_at = now + CHECK_INTERVAL
            self._submit(self._check)
        return self._stop_requested or 0 < self._idle_limit <= now - self._last_use

    def drain(self) -> None:
        """Stopping begins."""
        _log.info("stopping")
        self.state = State.DRAINING
        self._drain_began = time.monotonic()

    def end(self, now: float, *, is_busy: bool) -> None:
        """End draining when no client is left to be answered, or no time for that."""
        elapsed = now - self._drain_began
        if elapsed >= DRAIN_LIMIT or (elapsed >= _DRAIN_GRACE and not is_busy):
            self.state = State.STOPPED

    def left(self, least: float) -> float:
        """Seconds that stopping may still take, at least so many."""
        spent = time.monotonic() - self._drain_began if self.state is not State.SERVING else 0.0
        return max(DRAIN_LIMIT - spent, least)

    def _check(self) -> None:
        """A worker's job."""
        self._outdated = self._replaced()
        self._wake()
