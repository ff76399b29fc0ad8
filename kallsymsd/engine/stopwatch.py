# SPDX-License-Identifier: GPL-2.0-only
"""Times the stages of a computation."""

from time import perf_counter_ns

from kallsymsd.protocol.wire import STAGES


class Stopwatch:
    """Microseconds spent in each of wire.STAGES."""

    def __init__(self) -> None:
        self.stages = [0] * len(STAGES)
        self._since = perf_counter_ns()

    def lap(self, stage: str) -> None:
        """Book the time since the last lap to ``stage``."""
        now = perf_counter_ns()
        self.stages[STAGES.index(stage)] += (now - self._since) // 1000
        self._since = now
