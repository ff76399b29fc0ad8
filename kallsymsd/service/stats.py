# SPDX-License-Identifier: GPL-2.0-only
"""What the daemon counts: one table that all outputs are made from, and its persistence."""

import json
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple


class Counter(StrEnum):
    """Keys of ``kallsymsctl stats --json``. Fixed: scripts read them."""

    REQUESTS = "requests"
    HITS = "hits"
    MISSES = "misses"
    SHARED = "shared"
    BAD_INPUT = "bad_input"
    FAILURES = "failures"
    HANGUPS = "hangups"
    BYTES = "bytes"
    SECONDS = "seconds"
    CACHE_ENTRIES = "cache_entries"
    CACHE_BYTES = "cache_bytes"
    CACHE_LIMIT = "cache_limit"
    CACHE_DAMAGED = "cache_damaged"
    CACHE_EVICTIONS = "cache_evictions"


class Unit(StrEnum):
    """What a counter's number is."""

    COUNT = "count"
    BYTES = "bytes"
    SECONDS = "seconds"


class Row(NamedTuple):
    """A counter: its key, what a person reads, and what it is a number of.

    A gauge says what is there now and is not kept across restarts; all others are sums over time.
    """

    counter: Counter
    help: str
    unit: Unit = Unit.COUNT
    gauge: bool = False


#: Every counter, in the order of display.
TABLE = (
    Row(Counter.REQUESTS, "build requests received"),
    Row(Counter.HITS, "requests answered without computing anything"),
    Row(Counter.MISSES, "requests whose answer was computed"),
    Row(Counter.SHARED, "misses that joined a computation under way for another client"),
    Row(Counter.BAD_INPUT, "misses whose map cannot be made into tables"),
    Row(Counter.FAILURES, "requests that the daemon could not serve"),
    Row(Counter.HANGUPS, "requests whose client did not wait for the answer"),
    Row(Counter.BYTES, "assembly and binary handed to clients", Unit.BYTES),
    Row(Counter.SECONDS, "time from request to answer, summed", Unit.SECONDS),
    Row(Counter.CACHE_ENTRIES, "entries in the cache directory: answers, and states of trees", gauge=True),
    Row(Counter.CACHE_BYTES, "size of the cache directory", Unit.BYTES, gauge=True),
    Row(Counter.CACHE_LIMIT, "size it may have", Unit.BYTES, gauge=True),
    Row(Counter.CACHE_DAMAGED, "damaged cache entries found and removed"),
    Row(Counter.CACHE_EVICTIONS, "cache entries removed to stay below the limit"),
)

_INTEGRAL = frozenset(row.counter for row in TABLE if row.unit is not Unit.SECONDS)

#: Name of the file in the cache directory that keeps the counters across restarts.
FILENAME = "counters.json"

_MAX_FILE = 1 << 16


#: Numbers by the counters' keys.
Snapshot = dict[str, int | float]


class Counters:
    """The numbers. Used by one thread."""

    def __init__(self, kept: Snapshot | None = None) -> None:
        """Begin at zero, or where ``kept`` (what :func:`load` returned) left off."""
        self._values: dict[Counter, int | float] = {row.counter: 0 for row in TABLE}
        for row in TABLE:
            if kept is not None and not row.gauge:
                self._values[row.counter] = kept.get(row.counter, 0)

    def __getitem__(self, counter: Counter) -> int | float:
        return self._values[counter]

    def add(self, counter: Counter, amount: float = 1) -> None:
        """Count ``amount`` more."""
        self._values[counter] += amount

    def set(self, counter: Counter, value: float) -> None:
        """Say what is there now."""
        self._values[counter] = value

    def snapshot(self) -> Snapshot:
        """All counters by key, in the order of the table."""
        return {row.counter.value: self._values[row.counter] for row in TABLE}


def save(directory: Path, values: Snapshot) -> None:
    """Write a snapshot into the cache directory, whole or not at all; OSError when that fails."""
    temporary = directory / (FILENAME + ".new")
    temporary.write_text(json.dumps(values), encoding="ascii")
    temporary.replace(directory / FILENAME)


def load(directory: Path) -> Snapshot | None:
    """The snapshot that :func:`save` wrote last; None if there is none or it cannot be read."""
    try:
        with (directory / FILENAME).open("rb") as file:
            values = json.loads(file.read(_MAX_FILE))
    except (OSError, ValueError, RecursionError):
        return None
    if not isinstance(values, dict):
        return None
    return {row.counter.value: _number(row.counter, values.get(row.counter.value)) for row in TABLE}


def _number(counter: Counter, value: object) -> int | float:
    """``value`` if it is a possible value of ``counter``, else 0."""
    if type(value) is int or (type(value) is float and counter not in _INTEGRAL):
        return value if 0 <= value < 2**63 else 0
    return 0
