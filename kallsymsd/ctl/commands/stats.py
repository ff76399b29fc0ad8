# SPDX-License-Identifier: GPL-2.0-only
"""kallsymsctl stats: what was counted."""

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
What the daemon has counted, over all its lives, until it is set to zero.
Where no daemon runs, what it has kept; none is started. On a terminal a
summary, elsewhere one line for each number.

What --since takes as WHEN:
  build    the last build's begin: the first request after half a minute
           without one
  zero     when everything was set to zero; the default
  90m, 2d  so many seconds (s), minutes (m), hours (h), days (d) or weeks (w)
           ago
  DATE     a date, or date and time, as 2026-01-31T14:00
The daemon notes its counters when a build begins, and after each half hour
of uninterrupted work. The newest note is taken that leaves nothing out, so
that a bit more than asked for may be in the numbers; "since" tells.

The time saved is an estimate: the symbols in an answer, times what a symbol
costs in a cold run of this daemon, or in a run of the kernel's own tool as
"kallsymsctl verify" measured it on this machine, less the time that the answer
took. It is reckoned when the answer is given, by what was measured until then,
and added up; later measurements change nothing of it. That of links that
"--one-link" saved is their number, times what the one that was done took.

Requests of KALLSYMSD=verify and "kallsymsctl verify", and those about the
empty map with which a link begins since v6.11, are no builds: they are counted
apart, and are in no other number.
"""
_EXAMPLES = """\
kallsymsctl stats                    # a summary
kallsymsctl stats --since build      # what the last build was given
kallsymsctl stats --json | jq .hits  # for programs; keys do not change
kallsymsctl stats --format tab       # key, tabulator, number
kallsymsctl stats --format prometheus > k.$$ && mv k.$$ kallsymsd.prom
                                     # for node_exporter's textfile collector
"""


def register(parsers: Parsers) -> None:
    """Add the subcommand."""
    parser = command.add(
        parsers,
        "stats",
        _run,
        summary="what was counted: requests, time, symbols, cache",
        text=_TEXT,
        examples=_EXAMPLES,
    )
    parser.add_argument(
        "--format",
        choices=("human", "json", "tab", "prometheus"),
        default="human",
        help="human: a summary on a terminal, plain lines elsewhere (default)",
    )
    parser.add_argument(
        "--json", action="store_const", const="json", dest="format", help="the same as --format json"
    )
    parser.add_argument("--since", metavar="WHEN", default="zero", help="only what was counted since then")
    parser.add_argument("--zero", action="store_true", help="show what was counted, and begin at zero again")
    parser.add_argument(
        "--cache-dir", type=Path, metavar="DIR", default=argparse.SUPPRESS, help=argparse.SUPPRESS
    )


def _run(context: Context, options: argparse.Namespace) -> int:
    running = is_running(context.socket)
    known = _known(context, running=running, zero=options.zero)
    if known is None:
        raise CommandError(f"no daemon serves {context.socket}, and no counters have been kept")
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
                complain(f"no daemon serves {context.socket}; these are the counters it kept")
            show_report(made)
    return 0


def with_notes(span: Span, left: Iterable[Note]) -> Span:
    """The span with what clients have noted since it began. The daemon counts that when it starts."""
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
    """What was counted until now; with ``zero``, that begins at zero again."""
    if running:
        return kept.read(ask(context.socket, "zero" if zero else "stats"))
    known = kept.load(context.cache)
    if known is not None and zero:
        try:
            # What says how things are now stays.
            empty = known.figures.minus(known.figures)
            kept.save(context.cache, Kept(empty, [], zero=time.time(), cold_each=known.cold_each))
        except OSError as error:
            raise CommandError(f"{context.cache}: cannot be written: {error.strerror}") from error
    return known
