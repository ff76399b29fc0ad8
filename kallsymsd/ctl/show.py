# SPDX-License-Identifier: GPL-2.0-only
"""Formats numbers and tables for people: tables on a terminal, plain lines elsewhere."""

import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from kallsymsd.counters.table import Unit
from kallsymsd.ctl.terminal import console, tell
from kallsymsd.protocol.messages import printable

if TYPE_CHECKING:
    from rich.console import Group

#: Key, value and explanation.
Rows = Sequence[tuple[str, str, str]]


def show_tables(tables: Sequence[tuple[str, Rows]], *, numbers: bool = False) -> None:
    """Print tables, each with a title and rows, with their columns aligned.

    ``numbers``: the values are numbers and are aligned to the right.
    """
    if sys.stdout.isatty():
        console().print(rich_tables(tables, numbers=numbers))
        return
    width = max(len(key) for _, rows in tables for key, _, _ in rows)
    for _, rows in tables:
        for key, value, _ in rows:
            tell(f"{key:{width}} {value}".rstrip())


def rich_tables(tables: Sequence[tuple[str, Rows]], *, numbers: bool = False) -> "Group":
    """The tables as one rich object."""
    from rich.console import Group  # noqa: PLC0415  as above
    from rich.table import Table  # noqa: PLC0415  as above
    from rich.text import Text  # noqa: PLC0415  as above

    def text(cell: str, style: str = "") -> Text:
        return Text(printable(cell, keep=""), style)

    rows = [row for _, rows in tables for row in rows]
    widths = [max(len(row[column]) for row in rows) for column in range(2)]
    parts: list[Text | Table] = []
    for title, rows_of_title in tables:
        table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
        table.add_column(width=widths[0] + 2, no_wrap=True)
        if numbers:
            table.add_column(width=widths[1], justify="right", no_wrap=True)
        else:
            table.add_column(overflow="fold")
        table.add_column(style="dim", overflow="fold")
        for key, value, explanation in rows_of_title:
            table.add_row(text(f"  {key}"), text(value), text(explanation))
        parts += [text(title, style="bold"), table]
    return Group(*parts)


def number_text(value: float, unit: Unit) -> str:
    """A number with its unit."""
    match unit:
        case Unit.BYTES:
            return bytes_text(value)
        case Unit.SECONDS:
            return seconds_text(value)
        case Unit.COUNT:
            return f"{value:,}"


def counted_text(count: int, what: str) -> str:
    """A count and a noun, such as "2 symbols"; the plural adds an s."""
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def bytes_text(count: float) -> str:
    """A number of bytes in the largest binary unit that gives at least 1."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} TiB"


def seconds_text(seconds: float) -> str:
    """A time in a suitable unit; with three digits below a second."""
    if not seconds:
        return "0 s"
    if seconds < 0.001:
        return f"{seconds * 1e6:.0f} us"
    if seconds < 1:
        return f"{seconds * 1000:#.3g}".rstrip(".") + " ms" if seconds < 0.9995 else "1.0 s"
    if seconds < 120:
        return f"{seconds:.1f} s"
    minutes = seconds / 60
    return f"{minutes:.0f} min" if minutes < 120 else long_text(seconds)


def long_text(seconds: float) -> str:
    """A time in hours or days."""
    return f"{seconds / 3600:.0f} h" if seconds < 48 * 3600 else f"{seconds / 86400:.0f} days"


def share_text(part: float, whole: float) -> str:
    """``part`` of ``whole`` in per cent; "" if ``whole`` is 0."""
    return f"{100 * part / whole:.1f} %" if whole else ""


def moment_text(moment: float) -> str:
    """A time in seconds since the epoch as local date and time."""
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(moment))
