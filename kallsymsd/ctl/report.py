# SPDX-License-Identifier: GPL-2.0-only
"""What ``kallsymsctl stats`` reports, and its forms for programs: one list of items makes them all."""

import json
from collections.abc import Iterator
from typing import NamedTuple

from kallsymsd.ctl.saved import Saved
from kallsymsd.service.figures import Figures
from kallsymsd.service.latency import BOUNDS, Histogram
from kallsymsd.service.stats import TABLE, Row, Unit

#: Percentiles that are reported of each stage.
PERCENTILES = (50, 90, 99)

# Fewer buckets than we keep are enough for a graph: each fourth power of two.
_BUCKET_STEP = 4


class Report(NamedTuple):
    """What is reported.

    figures  what was counted
    saved    estimates made of it
    begin    since when, in seconds of the epoch; 0 for the first request ever
    running  whether a daemon runs
    """

    figures: Figures
    saved: Saved
    begin: float
    running: bool


class Item(NamedTuple):
    """A number of a report; None where it is not known."""

    key: str
    value: float | None
    unit: Unit
    help: str


_SAVED_HELP = {
    "saved_seconds_cold": "estimated time saved against cold runs, from those measured here",
    "saved_seconds_stock": "estimated time saved against the kernel's own tool, as verify measured it here",
}


def items(report: Report) -> Iterator[Item]:
    """All numbers of a report, in the order of display."""
    for row in TABLE:
        yield Item(row.counter.value, report.figures.counters[row.counter], row.unit, row.help)
    for key, seconds in zip(_SAVED_HELP, report.saved, strict=True):
        yield Item(key, seconds, Unit.SECONDS, _SAVED_HELP[key])
    for name, histogram in report.figures.latencies.items():
        for percentile in PERCENTILES:
            what = "a request" if name == "request" else f"the stage {name}"
            text = f"time that {percentile} % needed at most for {what}"
            yield Item(f"p{percentile}_{name}", histogram.percentile(percentile / 100), Unit.SECONDS, text)


def as_json(report: Report) -> str:
    """One JSON object."""
    values: dict[str, object] = {item.key: _rounded(item) for item in items(report)}
    return json.dumps({**values, "since": report.begin, "running": report.running}, indent=2)


def as_tab(report: Report) -> str:
    """A line for each number: key, tabulator, number."""
    lines = [f"{item.key}\t{_rounded(item)}" for item in items(report) if item.value is not None]
    return "\n".join([*lines, f"since\t{report.begin:.0f}", f"running\t{int(report.running)}"])


def as_prometheus(report: Report) -> str:
    """The text exposition format, version 0.0.4, which node_exporter's textfile collector reads."""
    lines = _metric("kallsymsd_up", "gauge", "whether a daemon runs", [("", int(report.running))])
    for row in TABLE:
        kind = "gauge" if row.gauge else "counter"
        value = report.figures.counters[row.counter]
        lines += _metric(metric_name(row), kind, row.help, [("", value)])
    for key, seconds in zip(_SAVED_HELP, report.saved, strict=True):
        if seconds is not None:
            name = f"kallsymsd_{key.replace('_seconds', '')}_seconds"
            lines += _metric(name, "gauge", _SAVED_HELP[key], [("", seconds)])
    samples = []
    for stage, histogram in report.figures.latencies.items():
        samples += _buckets(stage, histogram)
    lines += _metric("kallsymsd_stage_duration_seconds", "histogram", "time by stage", samples)
    return "\n".join(lines)


def metric_name(row: Row) -> str:
    """Name of a counter's metric: the unit goes last, but for a sum's _total."""
    unit = "" if row.unit is Unit.COUNT or row.counter.endswith(row.unit) else f"_{row.unit.value}"
    return f"kallsymsd_{row.counter.value}{unit}{'' if row.gauge else '_total'}"


def _buckets(stage: str, histogram: Histogram) -> list[tuple[str, float]]:
    label = f'stage="{stage}"'
    samples: list[tuple[str, float]] = [
        (f'_bucket{{{label},le="{BOUNDS[i] / 1e6:.9g}"}}', sum(histogram.counts[: i + 1]))
        for i in range(_BUCKET_STEP - 1, len(BOUNDS) - 1, _BUCKET_STEP)
    ]
    samples.append((f'_bucket{{{label},le="+Inf"}}', histogram.events))
    samples.append((f"_sum{{{label}}}", histogram.total / 1e6))
    samples.append((f"_count{{{label}}}", histogram.events))
    return samples


def _metric(name: str, kind: str, text: str, samples: list[tuple[str, float]]) -> list[str]:
    lines = [f"# HELP {name} {text}", f"# TYPE {name} {kind}"]
    # All digits of a count: one of bytes soon has more than a float is usually shown with.
    return lines + [
        f"{name}{suffix} {value if isinstance(value, int) else format(value, '.10g')}"
        for suffix, value in samples
    ]


def _rounded(item: Item) -> float | None:
    return round(item.value, 6) if isinstance(item.value, float) else item.value
