# SPDX-License-Identifier: GPL-2.0-only
"""kallsymsctl top: shows continuously what the daemon is doing."""

import argparse
import sys
import time
from typing import TYPE_CHECKING

from kallsymsd.counters import kept
from kallsymsd.counters.table import Counter
from kallsymsd.ctl import absence, command
from kallsymsd.ctl.command import CommandError, Context, Parsers
from kallsymsd.ctl.commands import stats, status
from kallsymsd.ctl.commands.stop import LIMIT
from kallsymsd.ctl.query import QueryError, ask, is_running, reading, wait_until_gone
from kallsymsd.ctl.show import Rows, bytes_text, counted_text, rich_tables
from kallsymsd.ctl.since import Span
from kallsymsd.ctl.terminal import complain, console

if TYPE_CHECKING:
    from rich.console import Group

_TEXT = """\
Shows continuously what the daemon is computing, the trees in its memory, and
what was counted since this command started. Ends with Ctrl-C, or when the
daemon ends. Needs a terminal.
"""
_EXAMPLES = """\
kallsymsctl top               # during a build, in another terminal
kallsymsctl top --interval 5  # update every five seconds
"""
# Limits of the interval in seconds.
_SHORTEST, _LONGEST = 0.1, 3600.0


def register(parsers: Parsers) -> None:
    """Add the subcommand."""
    parser = command.add(
        parsers, "top", _run, summary="watch the daemon work", text=_TEXT, examples=_EXAMPLES
    )
    parser.add_argument(
        "--interval",
        type=_interval,
        default=0.5,
        metavar="SECONDS",
        help="time between updates (default: 0.5)",
    )


def _run(context: Context, options: argparse.Namespace) -> int:
    if not is_running(context.socket):
        raise CommandError(absence.describe(context))
    if not sys.stdout.isatty():
        raise CommandError("top needs a terminal; kallsymsctl stats --json is for programs")
    from rich.live import Live  # noqa: PLC0415  takes time to load

    begin = Span(kept.read(ask(context.socket, "stats")).figures, time.time())
    with Live(_screen(context, begin), console=console(), screen=True, auto_refresh=False) as live:
        while is_running(context.socket):
            try:
                live.update(_screen(context, begin), refresh=True)
            except QueryError:
                # A daemon that is stopping does not answer.
                if not wait_until_gone(context.socket, LIMIT):
                    raise
                break
            time.sleep(options.interval)
    complain("the daemon has ended")
    return 0


def _screen(context: Context, begin: Span) -> "Group":
    """The present contents of the screen."""
    from rich.console import Group  # noqa: PLC0415  as above

    from kallsymsd.ctl.statssummary import sections  # noqa: PLC0415  as above

    answer = ask(context.socket, "status")
    figures = kept.read(ask(context.socket, "stats")).figures.minus(begin.figures)
    made = stats.made_of(Span(figures, begin.begin), context.cache, running=True)
    counters = figures.counters
    cache = f"{bytes_text(counters[Counter.CACHE_BYTES])} of {bytes_text(counters[Counter.CACHE_LIMIT])}"
    with reading(answer):
        now: Rows = [
            ("state", f"{answer['state']}, {counted_text(answer['clients'], 'client')}", ""),
            ("cache", cache, ""),
            *(status.busy(answer) or [("busy", "no", "")]),
        ]
        tables = [(f"kallsymsd {answer['version']}, pid {answer['pid']}", now)]
        if trees := status.trees(answer):
            tables.append(("Trees in memory", trees))
    return Group(rich_tables(tables), rich_tables(sections(made)[:-1], numbers=True))


def _interval(text: str) -> float:
    seconds = float(text)
    if not _SHORTEST <= seconds <= _LONGEST:
        raise ValueError
    return seconds
