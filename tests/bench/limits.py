# SPDX-License-Identifier: GPL-2.0-only
"""What the measurements may come to, and what they come to."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

from tests.bench import day, linked, scale
from tests.bench.programs import TOOL_GCC
from tests.bench.recorder import Recorder, median

_MEGABYTE = 1e6

#: Rows of requests to the most CPU they may cost the daemon, as part of the kernel's own tool with gcc.
OF_TOOL_GCC = {
    day.AGAIN: 0.001,
    day.FOUND: 0.005,
    day.MOVED: 0.003,
    day.MOVED_LATER: 0.003,
    **{row: 0.005 for count in (1, 10, 100) for row in day.rows_of(count)},
    **dict.fromkeys(day.rows_of(1000), 0.012),
}


@dataclass(frozen=True)
class Check:
    """A measured number beside what it may be.

    what   is measured
    value  medians of all rounds
    limit  the most it may be
    unit   of both
    """

    what: str
    value: float
    limit: float
    unit: str

    @property
    def exceeded(self) -> bool:
        """Whether it is more than it may be, or was not measured at all."""
        return not self.value <= self.limit


def checks(recorder: Recorder) -> Iterator[Check]:
    """All numbers that have a limit. Rows that no round happened to give are left out."""
    tool_gcc = recorder.program(TOOL_GCC).cpu
    for row, limit in OF_TOOL_GCC.items():
        value = recorder.cpu(row) / tool_gcc
        if not math.isnan(value):
            yield Check(row, value, limit, "of tool + gcc")
    nm_sed = recorder.program(linked.NM_SED).cpu
    yield Check(linked.OURS, recorder.program(linked.OURS).cpu / nm_sed, 0.3, "of nm + mksysmap")
    yield Check(day.LOADED, recorder.cpu(day.LOADED) / recorder.cpu(day.FIRST), 0.5, "of cold")
    yield Check(day.ONE_TREE, median(recorder.amounts[day.ONE_TREE]) / _MEGABYTE, 120, "MB")
    yield Check(day.FURTHER_TREE, median(recorder.amounts[day.FURTHER_TREE]) / _MEGABYTE, 40, "MB")
    most = scale.SIZES[-1]
    for way in scale.WAYS:
        times = recorder.cpu(scale.row(way, most)) / recorder.cpu(scale.row(way, 1))
        limit = 12 if way == scale.FIRST else 11
        yield Check(f"x{most} the symbols: {way}", times, limit, "times x1")


def verdict(recorder: Recorder) -> str:
    """In one line whether all limits are met, and which are not."""
    found = list(checks(recorder))
    exceeded = [check.what for check in found if check.exceeded]
    if not exceeded:
        return f"all {len(found)} limits are met"
    return f"{len(found) - len(exceeded)} of {len(found)} limits are met; exceeded: {'; '.join(exceeded)}"
