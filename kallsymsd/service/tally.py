# SPDX-License-Identifier: GPL-2.0-only
"""Counts what happens, and has the counters saved regularly. Used only by the loop's thread."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING

from kallsymsd.counters import costs
from kallsymsd.counters.costs import Costs, Stock
from kallsymsd.counters.figures import Figures
from kallsymsd.counters.kept import Kept
from kallsymsd.counters.latency import LatencyCounts
from kallsymsd.counters.marks import Marks
from kallsymsd.counters.table import Counter, Counters, noted
from kallsymsd.protocol.wire import ADDRESSES, COLD, HIT, INCREMENTAL, STAGES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from kallsymsd.engine.store import Store
    from kallsymsd.protocol.notes import Note
    from kallsymsd.protocol.wire import BuildRequest
    from kallsymsd.service.ticket import Outcome

#: Seconds until changed counters are written.
SAVE_INTERVAL = 10.0

_WAYS = {
    COLD: Counter.COLD,
    INCREMENTAL: Counter.INCREMENTAL,
    ADDRESSES: Counter.ADDRESSES,
    HIT: Counter.HITS,
}


class Tally:
    """Counts every request when it ends: once as a request, and once as a hit, miss, failure or hang-up.

    Requests of ``verify`` and requests about an empty map do no build's work. They are counted separately,
    and in no other counter.

    stock  the measured cost of a pass with the kernel's own tool; None if nobody measured it
    """

    def __init__(
        self,
        save: Callable[[Kept], None],
        now: float,
        kept: Kept | None = None,
        clock: Callable[[], float] = time.time,
        stock: Stock | None = None,
    ) -> None:
        """``save`` writes to disk, ``kept`` is what an earlier daemon saved, ``clock`` tells the time of day.

        ``stock`` is what a pass costs without kallsymsd, if it was measured.
        """
        self._counters = Counters(kept.figures.counters if kept is not None else None)
        self._latencies = LatencyCounts(kept.figures.latencies if kept is not None else None)
        self._marks = Marks(kept.marks, kept.last_request) if kept is not None else Marks()
        self._zero = kept.zero if kept is not None else 0.0
        self._cold_each = kept.cold_each if kept is not None else 0.0
        self.stock = stock
        self._save = save
        self._clock = clock
        self._saved = self._counters.changes
        self._save_at = now + SAVE_INTERVAL
        self._damaged = 0
        self._evictions = 0

    def limit(self, count: int) -> None:
        """How many bytes the cache may have."""
        self._counters.set(Counter.CACHE_LIMIT, count)

    def learn(self, stock: Stock) -> None:
        """The cost of a pass without kallsymsd was measured."""
        self.stock = stock

    def failure(self, request: BuildRequest) -> None:
        """A request could not be served."""
        if self._is_builds(request):
            self._counters.add(Counter.FAILURES)

    def hangup(self, request: BuildRequest) -> None:
        """A client hung up before its answer."""
        if self._is_builds(request):
            self._counters.add(Counter.HANGUPS)

    def fall_back(self, notes: Iterable[Note]) -> None:
        """Clients recorded that they went without the daemon, or linked a kernel."""
        for key, amount in noted(notes).items():
            self._counters.add(Counter(key), amount)

    def precomputed(self, computed: int, unused: int) -> None:
        """So many answers were precomputed, and so many turned out to be unused."""
        self._counters.add(Counter.AHEAD, computed)
        self._counters.add(Counter.AHEAD_WASTED, unused)

    def overflow(self) -> None:
        """Events of watched directories were lost."""
        self._counters.add(Counter.WATCH_OVERFLOWS)

    def outcome(self, request: BuildRequest, outcome: Outcome, seconds: float) -> None:
        """A request got its outcome, ``seconds`` after it came."""
        add = self._counters.add
        answer, how = outcome.answer, outcome.how
        add(Counter.AHEAD_USED, int(outcome.precomputed))
        if not self._is_builds(request, is_empty=outcome.is_empty):
            return
        add(Counter.SECONDS, seconds)
        self._latencies.add("request", round(seconds * 1e6))
        if answer is None:
            add(Counter.FAILURES)
            return
        add(Counter.BYTES, answer.size)
        if how.made != HIT:
            add(Counter.MISSES)
            add(Counter.SHARED, int(outcome.shared))
        if not answer.ok:
            add(Counter.BAD_INPUT)
            return
        self._made(outcome, seconds)
        if outcome.shared:
            return  # the computation counts for the client that caused it
        for stage, microseconds in zip(STAGES, how.stages, strict=True):
            if microseconds:
                self._latencies.add(stage, microseconds)
        if how.made == COLD:
            add(Counter.SYMBOLS_RECOMPUTED, how.symbols)
            add(Counter.COLD_SYMBOLS, how.symbols)
            add(Counter.COLD_SECONDS, sum(how.stages) / 1e6)
        elif how.made == INCREMENTAL:
            add(Counter.SYMBOLS_RECOMPUTED, how.changed)
            add(Counter.TOKEN_STEPS, how.steps)
            add(Counter.TOKEN_STEPS_KEPT, how.kept)

    def _made(self, outcome: Outcome, seconds: float) -> None:
        """A client got tables: count how they were made, and what that saved."""
        add, how = self._counters.add, outcome.how
        known = Costs(self._known_cold(), self.stock)
        add(_WAYS[how.made])
        add(Counter.SYMBOLS, how.symbols)
        add(Counter.SAVED_STOCK, costs.saved_stock(known, how.symbols, seconds))
        if how.made != COLD:
            add(Counter.WARM_SYMBOLS, how.symbols)
            add(Counter.WARM_SECONDS, seconds)
            add(Counter.SAVED_COLD, costs.saved_cold(known, how.symbols, seconds))

    def _is_builds(self, request: BuildRequest, *, is_empty: bool = False) -> bool:
        """Count a request that has ended; whether it was a build's, so that its outcome counts too."""
        if request.verify:
            self._counters.add(Counter.VERIFY_REQUESTS)
            return False
        if is_empty:
            self._counters.add(Counter.EMPTY_REQUESTS)
            return False
        # The figures are taken only if a mark is set: they are many, and requests come fast.
        self._marks.request(
            self._clock(), lambda: Figures(self._counters.snapshot(), self._latencies.snapshot())
        )
        self._counters.add(Counter.REQUESTS)
        return True

    def _known_cold(self) -> float:
        """Seconds of a cold run for each symbol; until the first one after zero(), what was known before."""
        symbols = self._counters[Counter.COLD_SYMBOLS]
        return self._counters[Counter.COLD_SECONDS] / symbols if symbols else self._cold_each

    def zero(self) -> None:
        """Reset all counters."""
        self._cold_each = self._known_cold()
        limit = self._counters[Counter.CACHE_LIMIT]
        self._counters = Counters()
        self._counters.set(Counter.CACHE_LIMIT, limit)
        self._latencies = LatencyCounts()
        self._marks.clear()
        self._zero = self._clock()

    def snapshot(self, store: Store | None) -> Kept:
        """Everything counted, including the store's own counts. Touches no disk."""
        if store is not None:
            self._counters.set(Counter.CACHE_ENTRIES, store.entries)
            self._counters.set(Counter.CACHE_BYTES, store.bytes)
            # The store counts since it was opened, the tally across restarts.
            damaged, evictions = store.damaged, store.evictions
            self._counters.add(Counter.CACHE_DAMAGED, damaged - self._damaged)
            self._counters.add(Counter.CACHE_EVICTIONS, evictions - self._evictions)
            self._damaged, self._evictions = damaged, evictions
        figures = Figures(self._counters.snapshot(), self._latencies.snapshot())
        return Kept(figures, list(self._marks), self._marks.last_request, self._zero, self._known_cold())

    def save_due(self) -> float:
        """When the counters must be written next; never (inf) while nothing has changed."""
        return self._save_at if self._counters.changes != self._saved else math.inf

    def take_save(self, now: float, store: Store | None) -> Callable[[], None]:
        """A worker's job that writes the counters as they are now."""
        kept = self.snapshot(store)
        self._saved = self._counters.changes
        self._save_at = now + SAVE_INTERVAL
        return lambda: self._save(kept)
