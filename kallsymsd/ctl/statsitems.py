# SPDX-License-Identifier: GPL-2.0-only
"""The items that ``kallsymsctl stats`` reports, and its output formats for programs."""

from collections.abc import Iterator
from typing import NamedTuple

from kallsymsd.counters.figures import Figures
from kallsymsd.counters.latency import BOUNDS, Histogram
from kallsymsd.counters.table import TABLE, Counter, Row, Unit
from kallsymsd.ctl import terminal

#: Percentiles reported for each stage.
PERCENTILES = (50, 90, 99)

# Every fourth bucket, each second power of two, is enough for a graph.
_BUCKET_STEP = 4


class Report(NamedTuple):
    """The contents of a report.

    figures  what was counted
    begin    start, in seconds since the epoch; 0 for the first request ever
    running  whether a daemon runs
    unknown  counters without a value, because a cost they need was never measured
    """

    figures: Figures
    begin: float
    running: bool
    unknown: frozenset[Counter] = frozenset()


class Item(NamedTuple):
    """One number of a report; None if it is unknown."""

    key: str
    value: float | None
    unit: Unit
    help: str


def items(report: Report) -> Iterator[Item]:
    """All numbers of a report, in the order of display."""
    for row in TABLE:
        value = report.figures.counters[row.counter] if row.counter not in report.unknown else None
        yield Item(row.counter.value, value, row.unit, row.help)
    for name, histogram in report.figures.latencies.items():
        for percentile in PERCENTILES:
            what = "a request" if name == "request" else f"the stage {name}"
            text = f"time that {percentile} % of all took at most for {what}"
            yield Item(f"p{percentile}_{name}", histogram.percentile(percentile / 100), Unit.SECONDS, text)


def as_json(report: Report) -> str:
    """One JSON object."""
    values: dict[str, object] = {item.key: _rounded(item) for item in items(report)}
    return terminal.as_json({**values, "since": report.begin, "running": report.running})


def as_tab(report: Report) -> str:
    """A line for each number: key, tab, number."""
    lines = [f"{item.key}\t{_rounded(item)}" for item in items(report) if item.value is not None]
    return "\n".join([*lines, f"since\t{report.begin:.0f}", f"running\t{int(report.running)}"])


def as_prometheus(report: Report) -> str:
    """Prometheus' text exposition format, version 0.0.4, for node_exporter's textfile collector."""
    lines = _metric("kallsymsd_up", "gauge", "whether a daemon runs", [("", int(report.running))])
    for row in TABLE:
        if row.counter in report.unknown:
            continue
        kind = "gauge" if row.gauge else "counter"
        value = report.figures.counters[row.counter]
        lines += _metric(metric_name(row), kind, row.help, [("", value)])
    samples = []
    for stage, histogram in report.figures.latencies.items():
        samples += _buckets(stage, histogram)
    lines += _metric("kallsymsd_stage_duration_seconds", "histogram", "time by stage", samples)
    return "\n".join(lines)


def metric_name(row: Row) -> str:
    """The metric name of a counter: its unit comes last, before the _total of a sum."""
    name = row.counter.value.replace("_seconds_", "_")
    unit = "" if row.unit is Unit.COUNT or name.endswith(row.unit) else f"_{row.unit.value}"
    return f"kallsymsd_{name}{unit}{'' if row.gauge else '_total'}"


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
    # Print all digits of an integer: a count of bytes soon has more digits than a float shows.
    return lines + [
        f"{name}{suffix} {value if isinstance(value, int) else format(value, '.10g')}"
        for suffix, value in samples
    ]


def _rounded(item: Item) -> float | None:
    return round(item.value, 6) if isinstance(item.value, float) else item.value
