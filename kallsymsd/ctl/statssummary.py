# SPDX-License-Identifier: GPL-2.0-only
"""The report of ``kallsymsctl stats`` for a person."""

import sys

from kallsymsd.counters.table import Counter
from kallsymsd.ctl import show
from kallsymsd.ctl.show import Rows, bytes_text, number_text, seconds_text, share_text
from kallsymsd.ctl.statsitems import PERCENTILES, Report, items
from kallsymsd.protocol.notes import LINKED, REASONS

# Shown even if nothing was counted.
_ALWAYS = (Counter.HITS, Counter.ADDRESSES, Counter.INCREMENTAL, Counter.COLD)


def show_report(report: Report) -> None:
    """Print what matters in sections on a terminal, else one line for each number."""
    if sys.stdout.isatty():
        show.show_tables(sections(report), numbers=True)
        return
    rows = [
        (item.key, number_text(item.value, item.unit) if item.value is not None else "unknown", "")
        for item in items(report)
    ]
    show.show_tables([("", [*rows, ("since", since_text(report), "")])])


def since_text(report: Report) -> str:
    """Since when the numbers are counted."""
    return show.moment_text(report.begin) if report.begin else "the first request"


def sections(report: Report) -> list[tuple[str, Rows]]:
    """Titles and rows."""
    tables = [
        (f"Requests since {since_text(report)}", _requests(report)),
        ("Without the daemon", _fallbacks(report)),
        ("Kernels to be linked once", _links(report)),
        ("Work", _work(report)),
        ("Time: median, 90 % and 99 % (number)", _latencies(report)),
        ("Time saved, estimated", _saved(report)),
        ("Cache", _cache(report)),
    ]
    return [(title, rows) for title, rows in tables if rows]


def _requests(report: Report) -> Rows:
    counters = report.figures.counters
    total = counters[Counter.REQUESTS]
    rows = [("received", f"{total:,}", "")]
    for key, counter, text in (
        ("hit", Counter.HITS, "nothing had to be computed"),
        ("addresses only", Counter.ADDRESSES, "symbols had moved, no more"),
        ("incremental", Counter.INCREMENTAL, "the tree's last tables were changed"),
        ("cold", Counter.COLD, "computed from nothing"),
        ("bad input", Counter.BAD_INPUT, "the map cannot be made into tables"),
        ("failed", Counter.FAILURES, "the client had to help itself"),
        ("hung up", Counter.HANGUPS, "the client did not wait"),
    ):
        value = counters[counter]
        if value or counter in _ALWAYS:
            rows.append((key, f"{value:,}", f"{share_text(value, total):>7}  {text}"))
    # No part of the total.
    for key, counter, text in (
        ("verify", Counter.VERIFY_REQUESTS, "asked to compare only"),
        ("empty map", Counter.EMPTY_REQUESTS, "the first pass of a link, without a symbol"),
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
            "computed anew",
            f"{counters[Counter.SYMBOLS_RECOMPUTED]:,}",
            f"{share_text(counters[Counter.SYMBOLS_RECOMPUTED], counters[Counter.SYMBOLS]):>7}",
        ),
    ]
    steps, steps_kept = counters[Counter.TOKEN_STEPS], counters[Counter.TOKEN_STEPS_KEPT]
    if steps:
        share = f"{share_text(steps_kept, steps):>7}  of the tables that were changed"
        rows.append(("token steps kept", f"{steps_kept:,}", share))
    if counters[Counter.AHEAD]:
        used, wasted = counters[Counter.AHEAD_USED], counters[Counter.AHEAD_WASTED]
        rows.append(("made ahead", f"{counters[Counter.AHEAD]:,}", f"{used:,} used, {wasted:,} for nothing"))
    rows.append(("handed out", bytes_text(counters[Counter.BYTES]), "assembly and binary"))
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
        rows.append(("against cold runs", seconds, "at the cost of those measured here by then"))
    if Counter.SAVED_STOCK not in report.unknown:
        seconds = seconds_text(counters[Counter.SAVED_STOCK])
        rows.append(("against stock", seconds, "the kernel's own tool, as measured here by then"))
    else:
        rows.append(("against stock", "unknown", "kallsymsctl verify measures it"))
    return rows


def _cache(report: Report) -> Rows:
    counters = report.figures.counters
    rows = []
    if report.running:
        limit = counters[Counter.CACHE_LIMIT]
        share = f"{share_text(counters[Counter.CACHE_BYTES], limit):>7}  of {bytes_text(limit)}"
        rows.append(("size", bytes_text(counters[Counter.CACHE_BYTES]), share))
        rows.append(("entries", f"{counters[Counter.CACHE_ENTRIES]:,}", "answers, and states of trees"))
    rows.append(("evictions", f"{counters[Counter.CACHE_EVICTIONS]:,}", "to stay below the limit"))
    if counters[Counter.CACHE_DAMAGED]:
        rows.append(("damaged", f"{counters[Counter.CACHE_DAMAGED]:,}", "entries found and removed"))
    return rows
