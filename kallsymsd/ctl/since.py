# SPDX-License-Identifier: GPL-2.0-only
"""Computes what was counted since a given time, from the daemon's marks."""

import re
from datetime import datetime
from typing import NamedTuple

from kallsymsd.counters.figures import Figures
from kallsymsd.counters.kept import Kept
from kallsymsd.counters.marks import Mark
from kallsymsd.ctl.command import CommandError

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}


class Span(NamedTuple):
    """What was counted since a given time.

    figures  what was counted
    begin    start, in seconds since the epoch; 0 for the first request ever
    """

    figures: Figures
    begin: float


def since(kept: Kept, when: str, now: float) -> Span:
    """What was counted since ``when``: "zero", "build", a duration such as 90m, or a date and time.

    Marks exist only for some times; the newest one that is not later than ``when`` is used. CommandError if
    ``when`` is invalid.
    """
    if when == "zero":
        return Span(kept.figures, kept.zero)
    if when == "build":
        builds = [mark for mark in kept.marks if mark.is_build]
        return _after(kept, builds[-1]) if builds else Span(kept.figures, kept.zero)
    moment = _moment(when, now)
    idle = Mark(kept.last_request, now, is_build=False, figures=kept.figures)
    before = [mark for mark in (*kept.marks, idle) if mark.since <= moment]
    if not before or moment < kept.zero:
        return Span(kept.figures, kept.zero)
    # Nothing was counted from mark.since to mark.until, so its figures hold for any time between.
    mark = before[-1]
    return Span(kept.figures.minus(mark.figures), min(moment, mark.until))


def _after(kept: Kept, mark: Mark) -> Span:
    return Span(kept.figures.minus(mark.figures), mark.until)


def _moment(when: str, now: float) -> float:
    duration = re.fullmatch(r"([0-9]{1,9})([smhdw])", when)
    if duration:
        return now - int(duration[1]) * _UNITS[duration[2]]
    try:
        return datetime.fromisoformat(when).timestamp()
    except (ValueError, OverflowError, OSError) as error:
        raise CommandError(
            f"--since {when}: must be build, zero, a duration such as 90m, or a date such as 2026-01-31T14:00"
        ) from error
