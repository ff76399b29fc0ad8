# SPDX-License-Identifier: GPL-2.0-only
"""Saves counters, answers and states every few seconds, and takes in what clients recorded."""

from __future__ import annotations

import math
import time
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from kallsymsd.protocol.notes import Note
    from kallsymsd.service.builds import Builds
    from kallsymsd.service.tally import Tally
    from kallsymsd.service.workers import Job


class Saving:
    """Belongs to the loop's thread.

    What touches a disk is a worker's job: the home directory may be on a file server that does not answer.
    """

    def __init__(
        self,
        builds: Builds,
        tally: Tally,
        *,
        take_noted: Callable[[], Sequence[Note]],
        submit: Callable[[Job], None],
        wake: Callable[[], None],
    ) -> None:
        """``take_noted`` takes away what clients recorded.

        submit  has a worker do something
        wake    makes the loop call turn(), from any thread
        """
        self._builds = builds
        self._tally = tally
        self._take_noted = take_noted
        self._submit = submit
        self._wake = wake
        self._taken: deque[Sequence[Note]] = deque()
        self._is_taking = False

    def begin(self) -> None:
        """Take in what clients recorded before the daemon started."""
        self._is_taking = True
        self._submit(self._take)

    def due(self) -> float:
        """When turn() must be called even if nothing happens; inf for never."""
        return math.inf if self._is_taking else self._tally.save_due()

    def turn(self, now: float) -> None:
        """Do what is due. Records are taken right before counters are written: a kill between loses them."""
        if now >= self.due():
            self.begin()
        while self._taken:
            self._is_taking = False
            self._fold(self._taken.popleft())
            if self._tally.save_due() < math.inf:
                self._submit(self._tally.take_save(now, self._builds.store))
                self._submit(self._save_engine)

    def finish(self) -> None:
        """Write everything, in the calling thread, after workers and loop have ended."""
        self._save_engine()
        while self._taken:
            self._fold(self._taken.popleft())
        self._tally.take_save(time.monotonic(), self._builds.store)()

    def _take(self) -> None:
        """A worker's job."""
        noted: Sequence[Note] = []
        try:
            noted = self._take_noted()
        finally:
            self._taken.append(noted)
            self._wake()

    def _fold(self, noted: Sequence[Note]) -> None:
        self._tally.fall_back(noted)
        self._builds.history.fall_back(noted)

    def _save_engine(self) -> None:
        engine = self._builds.engine
        if engine is not None:
            engine.save()
