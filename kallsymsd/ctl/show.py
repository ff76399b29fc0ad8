# SPDX-License-Identifier: GPL-2.0-only
"""Numbers as a person reads them: tables on a terminal, plain lines anywhere else."""

import sys

from kallsymsd.service.stats import TABLE, Row, Snapshot, Unit


def show_rows(title: str, rows: list[tuple[str, str, str]]) -> None:
    """Print rows of key, value and explanation."""
    if sys.stdout.isatty():
        from rich.console import Console  # noqa: PLC0415  costs more start-up time than all else
        from rich.table import Table  # noqa: PLC0415

        table = Table(title=title, title_justify="left", box=None, show_header=False)
        table.add_column(style="bold")
        table.add_column(justify="right")
        table.add_column(style="dim")
        for row in rows:
            table.add_row(*row)
        Console().print(table)
        return
    width = max(len(key) for key, _, _ in rows)
    for key, value, _ in rows:
        print(f"{key:{width}} {value}")


def stats_rows(values: Snapshot) -> list[tuple[str, str, str]]:
    """Key, value and explanation of every counter."""
    return [(row.counter.value, _render(row, values.get(row.counter.value, 0)), row.help) for row in TABLE]


def bytes_text(count: float) -> str:
    """A number of bytes with the largest binary unit that leaves at least 1."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} TiB"


def _render(row: Row, value: float) -> str:
    match row.unit:
        case Unit.BYTES:
            return bytes_text(value)
        case Unit.SECONDS:
            return f"{value:.3f} s"
        case Unit.COUNT:
            return str(value)
