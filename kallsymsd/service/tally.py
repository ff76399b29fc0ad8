# SPDX-License-Identifier: GPL-2.0-only
"""Counts what happens, and has the counters written now and then. Used by the loop's thread only."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kallsyms_client.wire import HIT
from kallsymsd.service.stats import Counter, Counters, Snapshot

if TYPE_CHECKING:
    from collections.abc import Callable

    from kallsymsd.engine.store import Store
    from kallsymsd.service.builds import Outcome

#: Seconds until counters that changed are written.
SAVE_INTERVAL = 10.0


class Tally:
    """Every request is counted once as it comes, and once as a hit, miss, failure or hang-up."""

    def __init__(self, counters: Counters, save: Callable[[Snapshot], None], now: float) -> None:
        """``save`` writes a snapshot to disk."""
        self._counters = counters
        self._save = save
        self._saved = counters.snapshot()
        self._save_at = now + SAVE_INTERVAL
        self._damaged = 0
        self._evictions = 0

    def request(self) -> None:
        """A build request came."""
        self._counters.add(Counter.REQUESTS)

    def failure(self) -> None:
        """A request could not be served."""
        self._counters.add(Counter.FAILURES)

    def hangup(self) -> None:
        """A client left without its answer."""
        self._counters.add(Counter.HANGUPS)

    def outcome(self, outcome: Outcome, seconds: float) -> None:
        """A request got its outcome, so long after it came."""
        self._counters.add(Counter.SECONDS, seconds)
        if outcome.answer is None:
            self.failure()
            return
        self._counters.add(Counter.HITS if outcome.how.made == HIT else Counter.MISSES)
        self._counters.add(Counter.SHARED, int(outcome.shared))
        self._counters.add(Counter.BAD_INPUT, int(not outcome.answer.ok))
        self._counters.add(Counter.BYTES, outcome.answer.size)

    def snapshot(self, store: Store | None) -> Snapshot:
        """All counters, with what ``store`` says by now. Asks no disk."""
        if store is not None:
            self._counters.set(Counter.CACHE_ENTRIES, store.entries)
            self._counters.set(Counter.CACHE_BYTES, store.bytes)
            # The store counts from its opening, we across restarts.
            damaged, evictions = store.damaged, store.evictions
            self._counters.add(Counter.CACHE_DAMAGED, damaged - self._damaged)
            self._counters.add(Counter.CACHE_EVICTIONS, evictions - self._evictions)
            self._damaged, self._evictions = damaged, evictions
        return self._counters.snapshot()

    def save_due(self) -> float | None:
        """When the counters are to be written next; None while nothing has changed."""
        return self._save_at if self._counters.snapshot() != self._saved else None

    def take_save(self, now: float, store: Store | None) -> Callable[[], None]:
        """The job that writes the counters as they are now; for a worker."""
        snapshot = self._saved = self.snapshot(store)
        self._save_at = now + SAVE_INTERVAL
        return lambda: self._save(snapshot)
