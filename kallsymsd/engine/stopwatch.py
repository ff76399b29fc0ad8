# SPDX-License-Identifier: GPL-2.0-only
"""Measures the stages of a computation."""

from time import perf_counter_ns

from kallsymsd.protocol.wire import STAGES


class Stopwatch:
    """Microseconds spent in each of wire.STAGES."""

    def __init__(self) -> None:
        self._stages = [0] * len(STAGES)
        self._since = perf_counter_ns()

    @property
    def stages(self) -> tuple[int, ...]:
        """What was counted so far, as How has it."""
        return tuple(self._stages)

    def lap(self, stage: str) -> None:
        """Count the time since the last lap, or the start, to ``stage``."""
        now = perf_counter_ns()
        self._stages[STAGES.index(stage)] += (now - self._since) // 1000
        self._since = now

    def spent(self, stage: str) -> int:
        """Microseconds counted to ``stage``."""
        return self._stages[STAGES.index(stage)]
