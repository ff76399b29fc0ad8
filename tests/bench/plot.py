# SPDX-License-Identifier: GPL-2.0-only
"""Draws what the measurements cost against what changed, and against the size of the map.

The picture has no background, and greys and colours that can be read on white and on black.
"""

import io
import re
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullLocator

from tests.bench import day, scale
from tests.bench.programs import TOOL_GCC
from tests.bench.recorder import Recorder, median

_GREY = "#7d8590"
_BLUE = "#2f81f7"
_ORANGE = "#db6d28"
_GREEN = "#2da44e"

_STYLE: dict[Any, Any] = {
    "axes.edgecolor": _GREY,
    "axes.labelcolor": _GREY,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlecolor": _GREY,
    "axes.titlesize": 11,
    "font.family": "sans-serif",
    "font.size": 9,
    "svg.fonttype": "none",
    "svg.hashsalt": "kallsymsd",
    "text.color": _GREY,
    "xtick.color": _GREY,
    "ytick.color": _GREY,
}


def plot(path: Path, symbols: int, recorder: Recorder) -> None:
    """Write an SVG of the costs with a map of ``symbols`` symbols."""
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(9.6, 4.0), layout="constrained")
        changed, size = figure.subplots(1, 2, width_ratios=(1.25, 1))
        _against_changes(changed, symbols, recorder)
        _against_size(size, symbols, recorder)
        drawn = io.StringIO()
        figure.savefig(drawn, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    path.write_text(_tidied(drawn.getvalue()))


def _against_changes(axes: Axes, symbols: int, recorder: Recorder) -> None:
    """Cost of a rebuild against the number of symbols that changed."""
    points = []
    for count in day.COUNTS:
        costs = [
            request.cpu * 1e3
            for moved in (False, True)
            for request in recorder.requests.get(day.symbols_row(count, moved=moved), ())
        ]
        axes.plot([count] * len(costs), costs, ".", color=_BLUE, alpha=0.35, markeredgewidth=0)
        points.append((count, median(costs)))
    axes.plot(*zip(*points, strict=True), "o-", color=_BLUE, label="rebuild")
    _level(axes, recorder.program(TOOL_GCC).cpu, "kernel's own tool and gcc -c", _ORANGE)
    _level(axes, recorder.cpu(day.FIRST), "first build (cold)", _GREEN)
    _level(axes, recorder.cpu(day.MOVED_LATER), "addresses only", _BLUE)
    _level(axes, recorder.cpu(day.AGAIN), "nothing changed", _GREY)
    axes.set(xlabel="symbols added, removed or renamed", ylabel="CPU of the daemon, ms")
    axes.set_title(f"A rebuild, {symbols:,} symbols in all", loc="left")
    _logarithmic(axes, {count: f"{count:,}" for count in day.COUNTS})


def _against_size(axes: Axes, symbols: int, recorder: Recorder) -> None:
    """Cost against the number of symbols in the map."""
    colors = {scale.FIRST: _GREEN, scale.EDITED: _BLUE, scale.MOVED_LATER: _GREY}
    names = {
        scale.FIRST: "first build (cold)",
        scale.EDITED: f"{scale.CHANGED} symbols changed",
        scale.MOVED_LATER: "addresses only",
    }
    sizes = [symbols * times for times in scale.SIZES]
    for way, color in colors.items():
        costs = [recorder.cpu(scale.row(way, times)) * 1e3 for times in scale.SIZES]
        axes.plot(sizes, costs, "o-", color=color)
        # Where the other lines are not: above a line's end, and below the lowest one.
        lowest = way == scale.MOVED_LATER
        axes.annotate(
            names[way],
            (sizes[1], costs[1]) if lowest else (sizes[-1], costs[-1]),
            (8, -10) if lowest else (-10, 3),
            textcoords="offset points",
            ha="left" if lowest else "right",
            color=color,
        )
    axes.set(xlabel="symbols in all")
    axes.set_title("Larger maps", loc="left")
    _logarithmic(axes, {size: f"{size / 1e3:,.0f}k" for size in sizes})


def _level(axes: Axes, seconds: float, name: str, color: str) -> None:
    """A cost that does not depend on how much changed."""
    axes.axhline(seconds * 1e3, color=color, linewidth=1, linestyle=(0, (5, 3)))
    cost = f"{seconds * 1e3:,.0f}" if seconds >= 0.01 else f"{seconds * 1e3:.1f}"
    axes.annotate(
        f"{name}, {cost} ms",
        (1, seconds * 1e3),
        (-2, 3),
        xycoords=("axes fraction", "data"),
        textcoords="offset points",
        ha="right",
        color=color,
    )


def _logarithmic(axes: Axes, ticks: dict[int, str]) -> None:
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xticks(list(ticks), list(ticks.values()))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda number, _: f"{number:,g}"))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_minor_locator(NullLocator())
    axes.grid(axis="y", color=_GREY, alpha=0.25, linewidth=0.6)


def _tidied(svg: str) -> str:
    """The drawing with its license first: without the XML declaration, which would have to be that."""
    body = svg[svg.index("<svg") :]
    body = re.sub(r"\s*<metadata>.*?</metadata>", "", body, flags=re.DOTALL)
    body = "\n".join(line.rstrip() for line in body.splitlines())
    return f"<!-- SPDX-License-Identifier: GPL-2.0-only -->\n{body}\n"
