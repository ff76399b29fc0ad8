# SPDX-License-Identifier: GPL-2.0-only
"""The report of ``kallsymsctl stats`` for people."""

import sys

from kallsymsd.counters.table import Counter
from kallsymsd.ctl import show
from kallsymsd.ctl.show import Rows, bytes_text, number_text, seconds_text, share_text
from kallsymsd.ctl.statsitems import PERCENTILES, Report, items
from kallsymsd.protocol.notes import LINKED, REASONS

# Shown even if they are 0.
_ALWAYS = (Counter.HITS, Counter.ADDRESSES, Counter.INCREMENTAL, Counter.COLD)


def show_report(report: Report) -> None:
    """Print a summary in sections on a terminal, else one line for each number."""
    if sys.stdout.isatty():
        show.show_tables(sections(report), numbers=True)
        return
    rows = [
        (item.key, number_text(item.value, item.unit) if item.value is not None else "unknown", "")
        for item in items(report)
    ]
    show.show_tables([("", [*rows, ("since", since_text(report), "")])])


def since_text(report: Report) -> str:
    """The start of the report, as text."""
    return show.moment_text(report.begin) if report.begin else "the first request"


def sections(report: Report) -> list[tuple[str, Rows]]:
    """Titles and rows."""
    tables = [
        (f"Requests since {since_text(report)}", _requests(report)),
        ("Without the daemon", _fallbacks(report)),
        ("One link", _links(report)),
        ("Work", _work(report)),
        ("Time: median, 90 % and 99 % (number)", _latencies(report)),
        ("Estimated time saved", _saved(report)),
        ("Cache", _cache(report)),
    ]
    return [(title, rows) for title, rows in tables if rows]


def _requests(report: Report) -> Rows:
    counters = report.figures.counters
    total = counters[Counter.REQUESTS]
    rows = [("received", f"{total:,}", "")]
    for key, counter, text in (
        ("hit", Counter.HITS, "nothing had to be computed"),
        ("address-only", Counter.ADDRESSES, "only addresses had changed"),
        ("incremental", Counter.INCREMENTAL, "the tree's last tables were updated"),
        ("cold", Counter.COLD, "computed from scratch"),
        ("bad input", Counter.BAD_INPUT, "the map was not valid"),
        ("failed", Counter.FAILURES, "the daemon could not answer"),
        ("hung up", Counter.HANGUPS, "the client did not wait for the answer"),
    ):
        value = counters[counter]
        if value or counter in _ALWAYS:
            rows.append((key, f"{value:,}", f"{share_text(value, total):>7}  {text}"))
    # Not part of the total.
    for key, counter, text in (
        ("verify", Counter.VERIFY_REQUESTS, "only to verify an answer"),
        ("empty map", Counter.EMPTY_REQUESTS, "the first pass of a link"),
    ):
        if counters[counter]:
            rows.append((key, f"{counters[counter]:,}", f"{'':7}  {text}"))
    return rows


def _fallbacks(report: Report) -> Rows:
    counters = report.figures.counters
    return [
        (reason, f"{counters[f'fallback_{reason}']:,}", text)
        for reason, text in REASONS.items()
        if counters[f"fallback_{reason}"]
    ]


def _links(report: Report) -> Rows:
    counters = report.figures.counters
    rows = [
        (how, f"{counters[f'linked_{how}']:,}", f"linked {text}")
        for how, text in LINKED.items()
        if counters[f"linked_{how}"]
    ]
    if rows:
        seconds = seconds_text(counters[Counter.LINKS_SAVED_SECONDS])
        rows.append(("links saved", f"{counters[Counter.LINKS_SAVED]:,}", f"{seconds}, estimated"))
    return rows


def _work(report: Report) -> Rows:
    counters = report.figures.counters
    rows = [
        ("symbols", f"{counters[Counter.SYMBOLS]:,}", "in the answers"),
        (
            "recompressed",
            f"{counters[Counter.SYMBOLS_RECOMPUTED]:,}",
            f"{share_text(counters[Counter.SYMBOLS_RECOMPUTED], counters[Counter.SYMBOLS]):>7}",
        ),
    ]
    steps, steps_kept = counters[Counter.TOKEN_STEPS], counters[Counter.TOKEN_STEPS_KEPT]
    if steps:
        share = f"{share_text(steps_kept, steps):>7}  in incremental updates"
        rows.append(("token steps reused", f"{steps_kept:,}", share))
    if counters[Counter.AHEAD]:
        used, unused = counters[Counter.AHEAD_USED], counters[Counter.AHEAD_WASTED]
        rows.append(("precomputed", f"{counters[Counter.AHEAD]:,}", f"{used:,} used, {unused:,} unused"))
    rows.append(("sent", bytes_text(counters[Counter.BYTES]), "assembly and binary"))
    return rows


def _latencies(report: Report) -> Rows:
    rows = []
    for name, histogram in report.figures.latencies.items():
        if histogram.events:
            middle, *rest = (histogram.percentile(part / 100) for part in PERCENTILES)
            others = "".join(f"{seconds_text(each):>9}" for each in rest)
            label = "whole request" if name == "request" else name
            rows.append((label, seconds_text(middle), f"{others}  ({histogram.events:,})"))
    return rows


def _saved(report: Report) -> Rows:
    counters = report.figures.counters
    rows = []
    if Counter.SAVED_COLD not in report.unknown:
        seconds = seconds_text(counters[Counter.SAVED_COLD])
        rows.append(("over cold runs", seconds, "as measured on this machine"))
    if Counter.SAVED_STOCK not in report.unknown:
        seconds = seconds_text(counters[Counter.SAVED_STOCK])
        rows.append(("over the kernel's tool", seconds, "as measured by kallsymsctl verify"))
    else:
        rows.append(("over the kernel's tool", "unknown", "run kallsymsctl verify to measure it"))
    return rows


def _cache(report: Report) -> Rows:
    counters = report.figures.counters
    rows = []
    if report.running:
        limit = counters[Counter.CACHE_LIMIT]
        share = f"{share_text(counters[Counter.CACHE_BYTES], limit):>7}  of {bytes_text(limit)}"
        rows.append(("size", bytes_text(counters[Counter.CACHE_BYTES]), share))
        rows.append(("entries", f"{counters[Counter.CACHE_ENTRIES]:,}", "answers and tree states"))
    rows.append(("evictions", f"{counters[Counter.CACHE_EVICTIONS]:,}", "to stay below the limit"))
    if counters[Counter.CACHE_DAMAGED]:
        rows.append(("damaged", f"{counters[Counter.CACHE_DAMAGED]:,}", "entries found and removed"))
    return rows
