# SPDX-License-Identifier: GPL-2.0-only
"""The results as tables for a person and as JSON for a program."""

import json
import os
import platform
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from rich.table import Table

from kallsymsd.protocol.wire import STAGES
from tests.bench import limits
from tests.bench.job import Job
from tests.bench.programs import TOOL, TOOL_GCC
from tests.bench.recorder import Recorder, median
from tests.bench.tree import Request

_MARKS = {True: "EXCEEDED", False: "met"}


def tables(title: str, recorder: Recorder) -> Iterator[Table]:
    """For a person."""
    yield _programs(title, recorder)
    yield _requests(recorder)
    yield _checks(recorder)
    yield _stages(recorder)


def _table(title: str, *headings: str) -> Table:
    table = Table(title=title)
    table.add_column("", no_wrap=True)
    for heading in headings:
        table.add_column(heading, justify="right")
    return table


def _programs(title: str, recorder: Recorder) -> Table:
    table = _table(
        title, "CPU ms", "wall ms", "CPU : tool", "CPU : tool+gcc", "wall : tool", "wall : tool+gcc"
    )
    tool, tool_gcc = recorder.program(TOOL), recorder.program(TOOL_GCC)
    for name in recorder.programs:
        row = recorder.program(name)
        table.add_row(
            name,
            f"{row.cpu * 1e3:.1f}",
            f"{row.wall * 1e3:.1f}",
            f"{row.cpu / tool.cpu:.4f}",
            f"{row.cpu / tool_gcc.cpu:.4f}",
            f"{row.wall / tool.wall:.4f}",
            f"{row.wall / tool_gcc.wall:.4f}",
        )
    return table


def _requests(recorder: Recorder) -> Table:
    table = _table(
        "CPU of the daemon", "samples", "CPU ms", "least", "most", "wall ms", "CPU : tool+gcc", "limit", ""
    )
    tool_gcc = recorder.program(TOOL_GCC).cpu
    for name, requests in recorder.requests.items():
        cpu = recorder.cpu(name)
        limit = limits.OF_TOOL_GCC.get(name)
        table.add_row(
            name,
            str(len(requests)),
            f"{cpu * 1e3:.2f}",
            f"{min(request.cpu for request in requests) * 1e3:.2f}",
            f"{max(request.cpu for request in requests) * 1e3:.2f}",
            f"{median(request.wall for request in requests) * 1e3:.2f}",
            f"{cpu / tool_gcc:.5f}",
            f"{limit:.3f}" if limit is not None else "",
            _MARKS[cpu / tool_gcc > limit] if limit is not None else "",
        )
    return table


def _checks(recorder: Recorder) -> Table:
    table = _table("Against the limits", "measured", "limit", "unit", "")
    for check in limits.checks(recorder):
        table.add_row(
            check.what, f"{check.value:.4g}", f"{check.limit:g}", check.unit, _MARKS[check.exceeded]
        )
    for name, value in _amounts(recorder):
        number, unit = value.split(" ", 1)
        table.add_row(name, number, "", unit, "")
    return table


def _amounts(recorder: Recorder) -> Iterator[tuple[str, str]]:
    """Amounts that have no limit. Seconds and bytes of these measurements are far apart."""
    limited = {check.what for check in limits.checks(recorder)}
    for name, values in recorder.amounts.items():
        value = median(values)
        if name not in limited:
            yield name, f"{value * 1e3:.1f} ms CPU" if value < 1e4 else f"{value / 1e6:.4g} MB"


def _stages(recorder: Recorder) -> Table:
    table = _table("Stages as the daemon tells them, wall ms", *STAGES, "sum", "CPU")
    for name, requests in recorder.requests.items():
        stages = stage_medians(requests)
        cells = [f"{stage / 1e3:.2f}" for stage in (*stages, sum(stages))]
        table.add_row(name, *cells, f"{recorder.cpu(name) * 1e3:.2f}")
    return table


def stage_medians(requests: list[Request]) -> list[float]:
    """Microseconds of each stage."""
    return [median(request.how.stages[at] for request in requests) for at in range(len(STAGES))]


def as_markdown(recorder: Recorder) -> str:
    """The tables of docs/performance.md."""
    return "\n".join(
        (
            *_markdown(("program", "CPU ms", "wall ms", "CPU : tool + gcc"), _program_cells(recorder)),
            "",
            *_markdown(
                ("what the daemon is asked", "CPU ms", "wall ms", "CPU : tool + gcc", "limit"),
                _row_cells(recorder),
            ),
            "",
            *_markdown(("", "measured", "limit"), _other_cells(recorder)),
            "",
            *_markdown(("wall ms of stages", *STAGES), _stage_cells(recorder)),
            "",
        )
    )


def _markdown(headings: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    yield f"| {' | '.join(headings)} |"
    yield f"| --- |{' ---: |' * (len(headings) - 1)}"
    for row in rows:
        cells = (cell.replace("|", "\\|") for cell in row)
        yield f"| {' | '.join(cells)} |"


def _program_cells(recorder: Recorder) -> Iterator[tuple[str, ...]]:
    tool_gcc = recorder.program(TOOL_GCC)
    for name in recorder.programs:
        row = recorder.program(name)
        yield name, f"{row.cpu * 1e3:.1f}", f"{row.wall * 1e3:.1f}", f"{row.cpu / tool_gcc.cpu:.4f}"


def _row_cells(recorder: Recorder) -> Iterator[tuple[str, ...]]:
    tool_gcc = recorder.program(TOOL_GCC).cpu
    for name, requests in recorder.requests.items():
        cpu = recorder.cpu(name)
        wall = median(request.wall for request in requests)
        limit = limits.OF_TOOL_GCC.get(name)
        beyond = limit is not None and cpu / tool_gcc > limit
        shown = f"**{cpu / tool_gcc:.5f}**" if beyond else f"{cpu / tool_gcc:.5f}"
        yield (
            name,
            f"{cpu * 1e3:.2f}",
            f"{wall * 1e3:.2f}",
            shown,
            f"{limit:.3f}" if limit is not None else "",
        )


def _other_cells(recorder: Recorder) -> Iterator[tuple[str, ...]]:
    for check in limits.checks(recorder):
        if check.what not in limits.OF_TOOL_GCC:
            value = f"{check.value:.3g} {check.unit}"
            yield check.what, f"**{value}**" if check.exceeded else value, f"{check.limit:g}"
    for name, value in _amounts(recorder):
        yield name, value, ""


def _stage_cells(recorder: Recorder) -> Iterator[tuple[str, ...]]:
    for name, requests in recorder.requests.items():
        yield name, *(f"{stage / 1e3:.2f}" for stage in stage_medians(requests))


def as_json(job: Job, rounds: int, recorder: Recorder) -> str:
    """For a program: seconds, ratios and every single run, and where they were measured."""
    tool, tool_gcc = recorder.program(TOOL), recorder.program(TOOL_GCC)
    return json.dumps(
        {
            "map": job.real_map.name,
            "symbols": job.symbols,
            "tool": f"linux-kbuild-{job.oracle.version}",
            "rounds": rounds,
            "machine": {
                "cpus": os.cpu_count(),
                "model": cpu_model(),
                "kernel": platform.release(),
                "python": platform.python_version(),
            },
            "measurements": {
                name: {
                    "cpu_seconds": (row := recorder.program(name)).cpu,
                    "wall_seconds": row.wall,
                    "cpu_to_tool": row.cpu / tool.cpu,
                    "cpu_to_tool_and_gcc": row.cpu / tool_gcc.cpu,
                    "wall_to_tool": row.wall / tool.wall,
                    "wall_to_tool_and_gcc": row.wall / tool_gcc.wall,
                    "runs": [[sample.cpu, sample.wall] for sample in runs],
                }
                for name, runs in recorder.programs.items()
            },
            "requests": {
                name: {
                    "daemon_cpu_seconds": recorder.cpu(name),
                    "daemon_cpu_to_tool_and_gcc": recorder.cpu(name) / tool_gcc.cpu,
                    "limit": limits.OF_TOOL_GCC.get(name),
                    "runs": [_request(request) for request in requests],
                }
                for name, requests in recorder.requests.items()
            },
            "amounts": dict(recorder.amounts),
            "limits": [
                {
                    "what": check.what,
                    "value": check.value,
                    "limit": check.limit,
                    "unit": check.unit,
                    "exceeded": check.exceeded,
                }
                for check in limits.checks(recorder)
            ],
        },
        indent=1,
    )


def _request(request: Request) -> dict[str, Any]:
    how = request.how
    return {
        "cpu": request.cpu,
        "after": request.after,
        "wall": request.wall,
        "made": request.made,
        "precomputed": request.precomputed,
        "changed": how.changed,
        "kept": how.kept,
        "steps": how.steps,
        "stages": how.stages,
    }


def cpu_model() -> str:
    """What the kernel says of the processor."""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(": ")[2]
    return platform.machine()
