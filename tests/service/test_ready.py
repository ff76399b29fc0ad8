# SPDX-License-Identifier: GPL-2.0-only
"""A hit is an answer that a client was given before; what was made ahead is told of as that, once."""

import os
import time
from pathlib import Path

import pytest

from kallsymsd.engine.engine import Engine
from kallsymsd.engine.store import Store
from kallsymsd.protocol.wire import COLD, HIT, How
from kallsymsd.service.builds import Builds, Outcome, Ticket
from tests.service.peer import FakeCore, request

CACHE = "cache"


class Life:
    """A daemon's builds, from one start to the end, on a store that outlives it."""

    def __init__(self, home: Path) -> None:
        self._map = home / "System.map"
        self._map.write_bytes(b"1 T a\n")
        self._store = Store(home / CACHE)
        self._engine = Engine(self._store, FakeCore())
        self._outcomes: list[Outcome] = []
        self._builds = Builds(lambda: self._engine, lambda _, outcome: self._outcomes.append(outcome))

    def ask(self, *, ahead: bool = False) -> How:
        """How the answer is said to have been made."""
        descriptor = os.open(self._map, os.O_RDONLY)
        self._builds.serve(Ticket(request(self._map), descriptor, time.monotonic(), ahead=ahead))
        return self._outcomes.pop().how

    def evict(self) -> None:
        """Everything leaves memory; it is on disk by then."""
        self._engine.save()
        self._engine._maps.clear()

    def end(self) -> None:
        self._engine.save()
        self._store.close()


@pytest.mark.parametrize("lost", ["never", "evicted", "restarted"])
def test_made_ahead_it_is_ready_once(tmp_path: Path, lost: str) -> None:
    life = Life(tmp_path)
    made = life.ask(ahead=True)
    assert (made.made, made.ready) == (COLD, False)
    for expected in ((COLD, True), (HIT, False), (HIT, False)):
        if lost == "evicted":
            life.evict()
        elif lost == "restarted":
            life.end()
            life = Life(tmp_path)
        how = life.ask()
        assert (how.made, how.ready, how.symbols) == (*expected, 6)
    life.end()


@pytest.mark.parametrize("restarts", [False, True])
def test_made_for_a_client_it_is_a_hit_from_then_on(tmp_path: Path, *, restarts: bool) -> None:
    life = Life(tmp_path)
    assert life.ask().made == COLD
    assert life.ask(ahead=True).made == HIT  # the same map was written again
    if restarts:
        life.end()
        life = Life(tmp_path)
    how = life.ask()
    assert (how.made, how.ready) == (HIT, False)
    life.end()
