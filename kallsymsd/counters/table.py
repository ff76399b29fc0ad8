# SPDX-License-Identifier: GPL-2.0-only
"""The table of counters, from which every form of output is made."""

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import NamedTuple

from kallsymsd.protocol.notes import LINKED, REASONS, SCRIPT_LINKS, Linked, Note


class Counter(StrEnum):
    """Keys of ``kallsymsctl stats --json``. They never change: scripts read them."""

    __hash__ = str.__hash__  # Enum's own is slow Python code, called a dozen times per request

    REQUESTS = "requests"
    HITS = "hits"
    MISSES = "misses"
    ADDRESSES = "addresses"
    INCREMENTAL = "incremental"
    COLD = "cold"
    SHARED = "shared"
    BAD_INPUT = "bad_input"
    VERIFY_REQUESTS = "verify_requests"
    EMPTY_REQUESTS = "empty_requests"
    FAILURES = "failures"
    HANGUPS = "hangups"
    FALLBACKS = "fallbacks"
    FALLBACK_ABSENT = "fallback_absent"
    FALLBACK_INPUT = "fallback_input"
    FALLBACK_PATH = "fallback_path"
    FALLBACK_FOREIGN = "fallback_foreign"
    FALLBACK_FULL = "fallback_full"
    FALLBACK_SILENT = "fallback_silent"
    FALLBACK_CLOSED = "fallback_closed"
    FALLBACK_PROTOCOL = "fallback_protocol"
    FALLBACK_VERSION = "fallback_version"
    FALLBACK_REFUSED = "fallback_refused"
    FALLBACK_LOCAL = "fallback_local"
    FALLBACK_WRONG = "fallback_wrong"
    FALLBACK_SLOW = "fallback_slow"
    FALLBACK_STARTING = "fallback_starting"
    FALLBACK_SECONDS = "fallback_seconds"
    LINKED = "linked"
    LINKED_RIGHT = "linked_right"
    LINKED_WRONG = "linked_wrong"
    LINKED_UNKNOWN = "linked_unknown"
    LINKED_STOCK = "linked_stock"
    LINKED_FAILED = "linked_failed"
    LINKS = "links"
    LINKS_SAVED = "links_saved"
    LINKS_SAVED_SECONDS = "links_saved_seconds"
    BYTES = "bytes"
    SECONDS = "seconds"
    SYMBOLS = "symbols"
    SYMBOLS_RECOMPUTED = "symbols_recomputed"
    TOKEN_STEPS = "token_steps"  # noqa: S105  no password
    TOKEN_STEPS_KEPT = "token_steps_kept"  # noqa: S105  likewise
    AHEAD = "ahead"
    AHEAD_USED = "ahead_used"
    AHEAD_WASTED = "ahead_wasted"
    WATCH_OVERFLOWS = "watch_overflows"
    COLD_SYMBOLS = "cold_symbols"
    COLD_SECONDS = "cold_seconds"
    WARM_SYMBOLS = "warm_symbols"
    WARM_SECONDS = "warm_seconds"
    SAVED_COLD = "saved_seconds_cold"
    SAVED_STOCK = "saved_seconds_stock"
    CACHE_ENTRIES = "cache_entries"
    CACHE_BYTES = "cache_bytes"
    CACHE_LIMIT = "cache_limit"
    CACHE_DAMAGED = "cache_damaged"
    CACHE_EVICTIONS = "cache_evictions"


class Unit(StrEnum):
    """Unit of a counter."""

    COUNT = "count"
    BYTES = "bytes"
    SECONDS = "seconds"


class Row(NamedTuple):
    """One counter: key, description, unit.

    A gauge is a present value and is not kept across restarts; all others are sums over time.
    """

    counter: Counter
    help: str
    unit: Unit = Unit.COUNT
    gauge: bool = False


#: Every counter, in the order of display.
TABLE = (
    Row(Counter.REQUESTS, "build requests, answered or not"),
    Row(Counter.HITS, "requests answered without computing anything"),
    Row(Counter.MISSES, "requests whose answer was computed"),
    Row(Counter.ADDRESSES, "misses answered by an address-only update"),
    Row(Counter.INCREMENTAL, "misses answered by an incremental update of the tree's last tables"),
    Row(Counter.COLD, "misses answered by a cold run"),
    Row(Counter.SHARED, "misses that joined a computation already running for another client"),
    Row(Counter.BAD_INPUT, "misses whose map is not valid"),
    Row(Counter.VERIFY_REQUESTS, "requests that only verify an answer; in no other counter"),
    Row(Counter.EMPTY_REQUESTS, "requests for the empty map that starts a link; in no other counter"),
    Row(Counter.FAILURES, "requests that the daemon could not serve"),
    Row(Counter.HANGUPS, "requests whose client hung up before the answer"),
    Row(Counter.FALLBACKS, "requests that clients handled without the daemon"),
    *(Row(Counter(f"fallback_{reason}"), f"of these, because {text}") for reason, text in REASONS.items()),
    Row(Counter.FALLBACK_SECONDS, "time that clients waited in vain before they fell back", Unit.SECONDS),
    Row(Counter.LINKED, "kernels built with one link requested"),
    *(Row(Counter(f"linked_{how}"), f"of these, linked {text}") for how, text in LINKED.items()),
    Row(Counter.LINKS, "links done for these, without those of the kernel's own script"),
    Row(Counter.LINKS_SAVED, f"links saved, of the {SCRIPT_LINKS} that the kernel's own script does"),
    Row(
        Counter.LINKS_SAVED_SECONDS,
        "estimated time saved by these, each as long as the last one done",
        Unit.SECONDS,
    ),
    Row(Counter.BYTES, "bytes of assembly and binary sent to clients", Unit.BYTES),
    Row(Counter.SECONDS, "total time from request to answer", Unit.SECONDS),
    Row(Counter.SYMBOLS, "symbols in the answers"),
    Row(Counter.SYMBOLS_RECOMPUTED, "of these, recompressed: all in a cold run, otherwise the changed ones"),
    Row(Counter.TOKEN_STEPS, "token table steps in incremental updates"),
    Row(Counter.TOKEN_STEPS_KEPT, "of these, reused from the last table"),
    Row(Counter.AHEAD, "answers precomputed"),
    Row(Counter.AHEAD_USED, "requests whose answer was precomputed, or being precomputed"),
    Row(Counter.AHEAD_WASTED, "precomputed answers that no client asked for"),
    Row(Counter.WATCH_OVERFLOWS, "times that events of watched directories were lost"),
    Row(Counter.COLD_SYMBOLS, "symbols in cold runs"),
    Row(Counter.COLD_SECONDS, "computing time of cold runs", Unit.SECONDS),
    Row(Counter.WARM_SYMBOLS, "symbols in all other answers"),
    Row(Counter.WARM_SECONDS, "total time from request to answer of these", Unit.SECONDS),
    Row(Counter.SAVED_COLD, "estimated time saved compared with cold runs", Unit.SECONDS),
    Row(Counter.SAVED_STOCK, "estimated time saved compared with the kernel's own tool", Unit.SECONDS),
    Row(Counter.CACHE_ENTRIES, "entries in the cache directory: answers and tree states", gauge=True),
    Row(Counter.CACHE_BYTES, "size of the cache directory", Unit.BYTES, gauge=True),
    Row(Counter.CACHE_LIMIT, "size limit of the cache directory", Unit.BYTES, gauge=True),
    Row(Counter.CACHE_DAMAGED, "damaged cache entries found and removed"),
    Row(Counter.CACHE_EVICTIONS, "cache entries removed to stay below the limit"),
)

_INTEGRAL = frozenset(row.counter for row in TABLE if row.unit is not Unit.SECONDS)

#: Values by the counters' keys.
Snapshot = dict[str, int | float]


class Counters:
    """The counters' values. Not thread-safe.

    changes  number of changes so far
    """

    def __init__(self, kept: Snapshot | None = None) -> None:
        """Start at zero, or from ``kept``, an earlier snapshot."""
        self.changes = 0
        self._values: dict[Counter, int | float] = {row.counter: 0 for row in TABLE}
        for row in TABLE:
            if kept is not None and not row.gauge:
                self._values[row.counter] = kept.get(row.counter.value, 0)

    def __getitem__(self, counter: Counter) -> int | float:
        return self._values[counter]

    def add(self, counter: Counter, amount: float = 1) -> None:
        """Add ``amount`` to a counter."""
        if amount:
            self.changes += 1
            self._values[counter] += amount

    def set(self, counter: Counter, value: float) -> None:
        """Set a gauge."""
        if self._values[counter] != value:
            self.changes += 1
            self._values[counter] = value

    def snapshot(self) -> Snapshot:
        """All counters by key, in the order of the table."""
        return {row.counter.value: self._values[row.counter] for row in TABLE}


def noted(notes: Iterable[Note]) -> Snapshot:
    """What the clients' records add to the counters."""
    added: Snapshot = dict.fromkeys((row.counter.value for row in TABLE), 0)
    for each in notes:
        if isinstance(each, Linked):
            added[Counter.LINKED] += 1
            added[f"linked_{each.how}"] += 1
            added[Counter.LINKS] += each.links
            added[Counter.LINKS_SAVED] += SCRIPT_LINKS - each.links if each.links else 0
            added[Counter.LINKS_SAVED_SECONDS] += each.saved
        else:
            added[Counter.FALLBACKS] += 1
            added[f"fallback_{each.reason}"] += 1
            added[Counter.FALLBACK_SECONDS] += each.waited
    return added


def read(values: Mapping[str, object]) -> Snapshot:
    """A snapshot from a file or message; missing or impossible values count as 0."""
    return {row.counter.value: _number(row.counter, values.get(row.counter.value)) for row in TABLE}


def _number(counter: Counter, value: object) -> int | float:
    """``value`` if ``counter`` can have it, else 0."""
    if type(value) is int or (type(value) is float and counter not in _INTEGRAL):
        return value if 0 <= value < 2**63 else 0
    return 0
