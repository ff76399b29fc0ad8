# SPDX-License-Identifier: GPL-2.0-only
"""A hit is an answer that a client was given before; a precomputed answer is told as such once."""

import os
import time
from pathlib import Path

import pytest

from kallsymsd.engine.engine import Engine
from kallsymsd.engine.store import Store
from kallsymsd.protocol.wire import COLD, HIT
from kallsymsd.service.ahead.unused import Unused
from kallsymsd.service.builds import Builds
from kallsymsd.service.ticket import Outcome, Ticket
from tests.service.peer import FakeCore, request

CACHE = "cache"
MAP = b"1 T a\n"


class Life:
    """A daemon's builds, from one start to the end, on a store that outlives it."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._store = Store(home / CACHE)
        self._engine = Engine(self._store, FakeCore())
        self._outcomes: list[Outcome] = []
        self.unused = Unused()
        self._builds = Builds(
            lambda: self._engine, lambda _, outcome: self._outcomes.append(outcome), self.unused
        )

    def ask(self, text: bytes = MAP, *, ahead: bool = False, name: str = "System.map") -> tuple[int, bool]:
        """How the answer was made for a client, or ahead of one; and whether it was precomputed for it."""
        path = self._home / name
        path.write_bytes(text)
        descriptor = os.open(path, os.O_RDONLY)
        self._builds.serve(Ticket(request(path), descriptor, time.monotonic(), path=str(path), ahead=ahead))
        outcome = self._outcomes.pop()
        return outcome.how.made, outcome.precomputed

    def evict(self) -> None:
        """All answers leave memory; they are on disk by then."""
        self._engine.save()
        self._engine.spare()

    def end(self) -> None:
        self._engine.save()
        self._store.close()


@pytest.mark.parametrize("is_evicted", [False, True])
def test_a_precomputed_answer_is_told_as_such_once(tmp_path: Path, *, is_evicted: bool) -> None:
    life = Life(tmp_path)
    assert life.ask(ahead=True) == (COLD, False)
    for expected in ((COLD, True), (HIT, False), (HIT, False)):
        if is_evicted:
            life.evict()
        assert life.ask() == expected
    assert life.unused.take_counts() == (1, 0)
    life.end()


def test_what_an_earlier_daemon_precomputed_is_a_plain_hit(tmp_path: Path) -> None:
    life = Life(tmp_path)
    life.ask(ahead=True)
    life.end()
    life = Life(tmp_path)
    assert life.ask() == (HIT, False)
    assert life.unused.take_counts() == (0, 0)
    life.end()


@pytest.mark.parametrize("restarts", [False, True])
def test_what_was_computed_for_a_client_is_a_hit_from_then_on(tmp_path: Path, *, restarts: bool) -> None:
    life = Life(tmp_path)
    assert life.ask() == (COLD, False)
    assert life.ask(ahead=True) == (HIT, False)  # the same map was written again
    if restarts:
        life.end()
        life = Life(tmp_path)
    assert life.ask() == (HIT, False)
    assert life.unused.take_counts() == (0, 0)
    life.end()


def test_an_answer_that_is_not_the_predicted_one_leaves_that_unused(tmp_path: Path) -> None:
    life = Life(tmp_path)
    life.ask(b"1 T b\n", ahead=True)
    life.ask(b"1 T c\n", name="other.syms")
    assert life.unused.take_counts() == (1, 0)
    assert life.ask(b"1 T d\n") == (COLD, False)
    assert life.unused.take_counts() == (0, 1)
    life.end()


def test_bad_input_that_no_client_waits_for_is_unused_at_once(tmp_path: Path) -> None:
    life = Life(tmp_path)
    life.ask(b"bad\n", ahead=True)
    assert life.unused.take_counts() == (1, 1)
    assert life.ask(b"bad\n") == (COLD, False)
    assert life.unused.take_counts() == (0, 0)
    life.end()
