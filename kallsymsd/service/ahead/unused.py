# SPDX-License-Identifier: GPL-2.0-only
"""Precomputed answers that no client has been given yet: used in the end, or unused for good."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, NamedTuple
from weakref import ref

from kallsymsd.protocol.wire import HIT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kallsymsd.engine.answer import Answer
    from kallsymsd.engine.recentmaps import MapText
    from kallsymsd.protocol.wire import BuildRequest, How
    from kallsymsd.service.ticket import Place, Ticket


class Precomputed(NamedTuple):
    """An answer that was computed before a client asked.

    answer   the answer, as long as it is in memory
    request  the request that is predicted
    before   the tree's map before the answer's, as long as it is in memory; None if there was none
    """

    answer: ref[Answer]
    request: BuildRequest
    before: ref[MapText] | None


class Unused:
    """The precomputed answers that no client has been given yet, at most one for each map.

    An answer is used when the first client is given it. That client, and those that wait with it, are told
    how it was computed, and that it was precomputed; to all later ones it is a hit. An answer is unused for
    good when another one is computed for the same map, when the map is gone, or when a client asks the
    predicted question and the answer is another one.

    Nothing of this is part of the answer or of the store. After a restart, what an earlier daemon precomputed
    is a plain hit, and counts neither as used nor as unused. While the daemon runs, an answer that has left
    memory still counts as used when it is read back from the store for the predicted question.

    Any thread may call any method.
    """

    def __init__(self) -> None:
        self._answers: dict[Place, Precomputed] = {}
        self._computed = 0
        self._unused = 0
        self._lock = threading.Lock()

    def deliver(
        self, answer: Answer, how: How, tickets: Sequence[Ticket], before: MapText | None
    ) -> Precomputed | None:
        """Take note that ``tickets`` get ``answer``; the precomputed answer if that is what clients get.

        ``how`` says how it came about: unless it is a hit, it was computed for the first of ``tickets``.
        ``before`` is the tree's last map. To be called before anybody else can be given the answer.
        """
        first = tickets[0]
        is_precomputed = first.ahead and how.made != HIT
        clients = [each for each in tickets if not (each.ahead or each.cancelled)]
        with self._lock:
            if is_precomputed:
                self._computed += 1
                self._drop(first.place)
                seen = ref(before) if before is not None else None
                self._answers[first.place] = Precomputed(ref(answer), first.request, seen)
            if clients:
                return self._used(answer, how, clients)
            if is_precomputed and not answer.ok:  # bad input is not kept: no client will be given it
                self._drop(first.place)
        return None

    def drop(self, place: Place) -> None:
        """The map there is gone, or is not asked about any more."""
        with self._lock:
            self._drop(place)

    def take_counts(self) -> tuple[int, int]:
        """Since the last call: answers precomputed, and answers that turned out to be unused."""
        with self._lock:
            counts = self._computed, self._unused
            self._computed = self._unused = 0
        return counts

    def _used(self, answer: Answer, how: How, clients: Sequence[Ticket]) -> Precomputed | None:
        """The precomputed answer that ``clients`` get; None if theirs was not precomputed."""
        for place, known in self._answers.items():
            if known.answer() is answer:
                return self._answers.pop(place)
        for client in clients:
            known_there = self._answers.get(client.place)
            if known_there is None or not _is_same(known_there.request, client.request):
                continue
            if how.made == HIT and known_there.answer() is None:  # it was read back from the store
                return self._answers.pop(client.place)
            self._drop(client.place)
        return None

    def _drop(self, place: Place) -> None:
        if self._answers.pop(place, None) is not None:
            self._unused += 1


def _is_same(one: BuildRequest, other: BuildRequest) -> bool:
    return all(getattr(one, field) == getattr(other, field) for field in one.__slots__)
