# SPDX-License-Identifier: GPL-2.0-only
"""Forgetting trees: what is cleared is gone from memory and disk, what is not stays."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from kallsymsd.engine.clear import clear
from kallsymsd.engine.engine import Engine
from kallsymsd.engine.keys import tree_key
from kallsymsd.engine.store import Store
from kallsymsd.protocol.wire import COLD, HIT, INCREMENTAL, BuildRequest
from tests.service.peer import request

OLD = b"ffffffff81000000 T a\nffffffff81000010 T b\n"
NEW = b"ffffffff81000000 T a\nffffffff81000010 T c\n"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(tmp_path / "cache")
    yield store
    store.close()


def ask(tree: bytes) -> BuildRequest:
    return request(Path("/m"), tree=tree, options=3)


def build(engine: Engine, tree: bytes, content: bytes) -> int:
    """How the answer was made."""
    question = engine.identify(ask(tree), content)
    answer, how = engine.build(question)
    engine.keep(question, answer, how)
    return how.made


def test_states_in_memory_are_told_that_used_last_first(store: Store) -> None:
    engine = Engine(store)
    build(engine, b"/a", OLD)
    build(engine, b"/b", NEW)
    summaries = engine.summaries()
    assert [(each.tree, each.dialect, each.symbols) for each in summaries] == [
        (b"/b", "v6.11", 2),
        (b"/a", "v6.11", 2),
    ]
    assert all(each.size > len(OLD) for each in summaries)


def test_a_tree_that_is_forgotten_is_computed_from_nothing(store: Store) -> None:
    engine = Engine(store)
    for tree, content in ((b"/a", OLD), (b"/b", NEW)):
        build(engine, tree, content)
    assert engine.forget(b"/a") == 1
    engine.clear_store(b"/a")
    assert [each.tree for each in engine.summaries()] == [b"/b"]
    third = OLD + b"ffffffff81000020 T d\n"
    assert build(engine, b"/a", third) == COLD
    assert build(engine, b"/b", third + b"ffffffff81000030 T e\n") == INCREMENTAL


def test_of_one_tree_only_the_states_leave_the_store(store: Store) -> None:
    engine = Engine(store)
    build(engine, b"/a", OLD)
    engine.save()
    assert store.get(tree_key(ask(b"/a"))) is not None
    clear(store, b"/b")
    assert store.get(tree_key(ask(b"/a"))) is not None
    clear(store, b"/a")
    assert store.get(tree_key(ask(b"/a"))) is None
    assert store.entries == 1
    assert build(Engine(store), b"/a", OLD) == HIT


def test_all_that_is_known_can_be_forgotten(store: Store) -> None:
    engine = Engine(store)
    for tree, content in ((b"/a", OLD), (b"/b", NEW)):
        build(engine, tree, content)
    engine.save()
    assert engine.forget(None) == 2
    engine.clear_store(None)
    assert (engine.summaries(), store.entries) == ([], 0)
    assert build(engine, b"/a", OLD) == COLD


def test_what_is_forgotten_is_not_saved_later(store: Store) -> None:
    engine = Engine(store)
    build(engine, b"/a", OLD)
    build(engine, b"/a", NEW)
    engine.forget(None)
    engine.clear_store(None)
    engine.save()
    assert store.entries == 0


def test_forgetting_without_a_store_is_no_error() -> None:
    engine = Engine(None)
    build(engine, b"/a", OLD)
    engine.clear_store(None)
    assert engine.forget(None) == 1
