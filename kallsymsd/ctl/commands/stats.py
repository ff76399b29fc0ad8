# SPDX-License-Identifier: GPL-2.0-only
"""kallsymsctl stats: shows the counters."""

import argparse
import time
from collections.abc import Iterable
from pathlib import Path

from kallsymsd.counters import costs, kept
from kallsymsd.counters.kept import Kept
from kallsymsd.counters.table import Counter, Snapshot, noted
from kallsymsd.ctl import clientnotes, command, statsitems
from kallsymsd.ctl.command import CommandError, Context, Parsers
from kallsymsd.ctl.query import ask, is_running
from kallsymsd.ctl.since import Span, since
from kallsymsd.ctl.statsitems import Report
from kallsymsd.ctl.terminal import complain
from kallsymsd.protocol.notes import Note

_TEXT = """\
Shows the daemon's counters, which continue across restarts. If no daemon runs,
shows the counters that the last one saved. Prints a summary on a terminal, and
one line per number elsewhere.

WHEN, for --since, is one of:
  build    the start of the last build: the first request after half a minute
           without one
  zero     the last reset with --zero; the default
  90m, 2d  a number of seconds (s), minutes (m), hours (h), days (d) or weeks
           (w) ago
  DATE     a date, or date and time, such as 2026-01-31T14:00
The daemon saves its counters when a build starts, and after each half hour of
uninterrupted work. --since uses the newest such point that is not later than
WHEN; "since" in the output shows it.

The time saved is an estimate: the number of symbols in an answer, times the
cost per symbol, less the time that the answer took. The cost is that of this
daemon's cold runs, or of the kernel's own tool as measured on this machine by
"kallsymsctl verify". Each estimate uses the costs known at that time; later
measurements do not change it. For --one-link, it is the number of links saved,
times the duration of the link that was done.

Requests of KALLSYMSD=verify and "kallsymsctl verify", and requests for the
empty map that starts a link since v6.11, are counted separately and are in no
other counter.
"""
_EXAMPLES = """\
kallsymsctl stats                    # summary
kallsymsctl stats --since build      # only the last build
kallsymsctl stats --json | jq .hits  # for programs; keys do not change
kallsymsctl stats --format tab       # key, tab, number
kallsymsctl stats --format prometheus > k.$$ && mv k.$$ kallsymsd.prom
                                     # for node_exporter's textfile collector
"""


def register(parsers: Parsers) -> None:
    """Add the subcommand."""
    parser = command.add(
        parsers,
        "stats",
        _run,
        summary="show counters: requests, time, symbols, cache",
        text=_TEXT,
        examples=_EXAMPLES,
    )
    parser.add_argument(
        "--format",
        choices=("human", "json", "tab", "prometheus"),
        default="human",
        help="output format (default: human, a summary on a terminal, plain lines elsewhere)",
    )
    parser.add_argument(
        "--json", action="store_const", const="json", dest="format", help="same as --format json"
    )
    parser.add_argument("--since", metavar="WHEN", default="zero", help="count only from WHEN on")
    parser.add_argument("--zero", action="store_true", help="show the counters, then reset them to zero")


def _run(context: Context, options: argparse.Namespace) -> int:
    running = is_running(context.socket)
    known = _known(context, running=running, zero=options.zero)
    if known is None:
        raise CommandError(f"no daemon serves {context.socket}, and no counters were saved")
    span = since(known, options.since, time.time())
    span = with_notes(span, clientnotes.take() if options.zero else clientnotes.read())
    made = made_of(span, context.cache, running=running)
    match options.format:
        case "json":
            print(statsitems.as_json(made))
        case "tab":
            print(statsitems.as_tab(made))
        case "prometheus":
            print(statsitems.as_prometheus(made))
        case _:
            from kallsymsd.ctl.statssummary import show_report  # noqa: PLC0415  programs do not need it

            if not running:
                complain(f"no daemon serves {context.socket}; showing saved counters")
            show_report(made)
    return 0


def with_notes(span: Span, left: Iterable[Note]) -> Span:
    """The span with the clients' records since its start. The daemon counts these when it starts."""
    added = noted(each for each in left if each.time >= int(span.begin))
    counters: Snapshot = {key: value + added[key] for key, value in span.figures.counters.items()}
    return span._replace(figures=span.figures._replace(counters=counters))


def made_of(span: Span, cache: Path, *, running: bool) -> Report:
    """The report of a span."""
    counters = span.figures.counters
    unknown = set()
    if not counters[Counter.SAVED_COLD] and not counters[Counter.COLD_SYMBOLS]:
        unknown.add(Counter.SAVED_COLD)
    if not counters[Counter.SAVED_STOCK] and costs.load(cache) is None:
        unknown.add(Counter.SAVED_STOCK)
    return Report(span.figures, span.begin, running, frozenset(unknown))


def _known(context: Context, *, running: bool, zero: bool) -> Kept | None:
    """The counters; with ``zero``, they are reset afterwards."""
    if running:
        return kept.read(ask(context.socket, "zero" if zero else "stats"))
    known = kept.load(context.cache)
    if known is not None and zero:
        try:
            # Gauges keep their values.
            empty = known.figures.minus(known.figures)
            kept.save(context.cache, Kept(empty, [], zero=time.time(), cold_each=known.cold_each))
        except OSError as error:
            raise CommandError(f"{context.cache}: cannot write: {error.strerror}") from error
    return known
