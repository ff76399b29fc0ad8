# SPDX-License-Identifier: GPL-2.0-only
"""The engine computes each answer once."""

import errno
from pathlib import Path

import pytest

from kallsymsd.core.assembly import Assembly
from kallsymsd.engine import engine as engine_module
from kallsymsd.engine.answer import Answer, seal
from kallsymsd.engine.engine import Engine
from kallsymsd.engine.memoryfile import Fronts, MemoryFile
from kallsymsd.engine.recentmaps import MapText, RecentMaps
from kallsymsd.engine.result import BuildResult
from kallsymsd.engine.store import Store
from kallsymsd.engine.trees import TreeSummary
from kallsymsd.protocol.wire import ASM, BAD_INPUT, COLD, HIT, INCREMENTAL, BuildRequest, How


def request(dialect: str = "v6.11", bin_name: bytes = b"") -> BuildRequest:
    return BuildRequest(version="0.1.0", dialect=dialect, options=1, form=ASM, bin_name=bin_name)


class Computer:
    """Stands in for the core: the answer is the map backwards. A map that begins with "bad" is bad input."""

    def __init__(self, made: int = INCREMENTAL) -> None:
        self.made = made
        self.calls = 0
        self.saves = 0

    def summaries(self) -> list[TreeSummary]:
        return []

    def forget(self, tree: bytes | None) -> int:
        return int(tree is None)

    def settle(self) -> int:
        return 0

    def knows(self, request: BuildRequest) -> bool:
        assert request.tree == b""
        return False

    def build(self, request: BuildRequest, contents: MapText) -> BuildResult:
        self.calls += 1
        if contents.text.startswith(b"bad"):
            return BuildResult.bad_input(b"no good\n")
        how = How(self.made, symbols=3, changed=2, kept=1, steps=9)
        return BuildResult(how, Assembly(request.dialect.encode() + contents.text[::-1], []))

    def save(self) -> None:
        self.saves += 1


def ask(engine: Engine, content: bytes, dialect: str = "v6.11") -> tuple[Answer, How]:
    question = engine.identify(request(dialect), content)
    answer, how = engine.build(question)
    engine.keep(question, answer, how)
    return answer, how


def test_a_repeated_request_computes_nothing_and_is_a_hit() -> None:
    computer = Computer()
    engine = Engine(None, computer)
    first, made_first = ask(engine, b"map")
    again, made_again = ask(engine, b"map")
    assert again is first
    assert (made_first.made, made_again.made) == (INCREMENTAL, HIT)
    assert (made_again.symbols, made_again.steps, made_again.changed, made_again.kept) == (3, 9, 0, 0)
    assert computer.calls == 1


def test_another_map_or_option_is_computed() -> None:
    computer = Computer()
    engine = Engine(None, computer)
    assert b"".join(ask(engine, b"map")[0].parts()) == b"v6.11pam"
    assert b"".join(ask(engine, b"other")[0].parts()) == b"v6.11rehto"
    assert b"".join(ask(engine, b"map", "v6.15")[0].parts()) == b"v6.15pam"
    assert computer.calls == 3


def test_bad_input_is_not_remembered(tmp_path: Path) -> None:
    computer = Computer()
    store = Store(tmp_path / "cache")
    engine = Engine(store, computer)
    for _ in range(2):
        answer, how = ask(engine, b"bad")
        assert (answer.reply.status, answer.reply.message, how.made) == (BAD_INPUT, b"no good\n", COLD)
    assert (computer.calls, store.entries) == (2, 0)
    store.close()


def test_an_answer_outlives_the_engine(tmp_path: Path) -> None:
    store = Store(tmp_path / "cache")
    engine = Engine(store, Computer())
    ask(engine, b"map")
    engine.save()
    store.close()
    store = Store(tmp_path / "cache")
    computer = Computer()
    engine = Engine(store, computer)
    answer, how = ask(engine, b"map")
    assert (b"".join(answer.parts()), how.made, how.symbols, computer.calls) == (b"v6.11pam", HIT, 3, 0)
    assert ask(engine, b"map")[0] is answer
    store.close()


def test_a_hit_is_not_written_again(tmp_path: Path) -> None:
    store = Store(tmp_path / "cache")
    engine = Engine(store, Computer())
    ask(engine, b"map")
    engine.save()
    (path,) = (tmp_path / "cache").rglob("*.val")
    ask(engine, b"map")
    engine.save()
    assert list((tmp_path / "cache").rglob("*.val")) == [path]
    store.close()


def test_a_stored_entry_that_is_no_answer_is_computed_anew(tmp_path: Path) -> None:
    store = Store(tmp_path / "cache")
    computer = Computer()
    engine = Engine(store, computer)
    store.put(engine.identify(request(), b"map").stored_key, b"not an entry")
    assert b"".join(ask(engine, b"map")[0].parts()) == b"v6.11pam"
    assert computer.calls == 1
    store.close()


def test_a_cold_answer_is_written_at_once_and_the_others_when_told(tmp_path: Path) -> None:
    store = Store(tmp_path / "cache")
    updating = Computer()
    engine = Engine(store, updating)
    ask(engine, b"map")
    assert (store.entries, updating.saves) == (0, 0)
    engine.save()
    assert (store.entries, updating.saves) == (1, 1)
    cold = Computer(COLD)
    ask(Engine(store, cold), b"another")
    assert (store.entries, cold.saves) == (2, 1)
    store.close()


def test_after_a_cold_answer_and_no_other_memory_is_prepared() -> None:
    told: list[int] = []
    ask(Engine(None, Computer(COLD), prepare=told.append), b"some map")
    assert told == [8]
    engine = Engine(None, Computer(COLD), prepare=told.append)
    ask(engine, b"bad map")
    ask(engine, b"a map")
    ask(engine, b"a map")
    ask(Engine(None, Computer(INCREMENTAL), prepare=told.append), b"another map")
    assert told == [8, 5]


def test_of_answers_that_follow_each_other_in_a_tree_the_last_is_written(tmp_path: Path) -> None:
    store = Store(tmp_path / "cache")
    engine = Engine(store, Computer())
    for content in (b"one", b"two", b"three"):
        ask(engine, content)
    engine.save()
    assert store.entries == 1
    computer = Computer()
    assert ask(Engine(store, computer), b"three")[1].made == HIT
    assert computer.calls == 0
    store.close()


def test_what_is_forgotten_is_computed_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_module, "RecentMaps", lambda **_: RecentMaps(limit=45))
    computer = Computer()
    engine = Engine(None, computer)
    for content, calls in ((b"a" * 10, 1), (b"b" * 10, 2), (b"b" * 10, 2), (b"a" * 10, 3), (b"c" * 100, 4)):
        assert b"".join(ask(engine, content)[0].parts()) == b"v6.11" + content
        assert computer.calls == calls


def test_the_problem_of_the_store_is_told() -> None:
    assert Engine(None, Computer(), no_store="no room").problem == "no room"
    assert Engine(None, Computer()).problem == ""


def test_when_there_is_no_descriptor_other_answers_are_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = Engine(None, Computer())
    first = ask(engine, b"a" * 10)[0]
    whole, left = seal, [1]

    def short(result: BuildResult, fronts: Fronts | None = None) -> tuple[MemoryFile, ...]:
        if left[0]:
            left[0] -= 1
            raise OSError(errno.EMFILE, "Too many open files")
        return whole(result, fronts)

    monkeypatch.setattr(engine_module, "seal", short)
    assert b"".join(ask(engine, b"b" * 10)[0].parts()) == b"v6.11" + b"b" * 10
    assert ask(engine, b"a" * 10)[1].made == INCREMENTAL  # it was given up
    assert first.ok
    left[0] = 2
    with pytest.raises(OSError, match="Too many"):
        ask(engine, b"c" * 10)
    assert b"c" * 10 not in engine.alike(10)


def test_answers_that_wait_for_the_store_are_few(tmp_path: Path) -> None:
    store = Store(tmp_path / "cache", 1 << 20)
    engine = Engine(store, Computer(), descriptors=64)
    for number in range(50):
        question = engine.identify(request(bin_name=b"%d" % number), b"map")
        engine.keep(question, *engine.build(question))
        assert len(engine._unsaved) <= 4
    assert [question.request.bin_name for question, _ in engine._unsaved.values()] == [
        b"46",
        b"47",
        b"48",
        b"49",
    ]
    store.close()


def test_what_turned_out_to_be_no_map_is_not_kept() -> None:
    given: list[int] = []
    engine = Engine(None, Computer(), give_back=given.append)
    ask(engine, b"good")
    question = engine.identify(request(), b"bad" * 100)
    engine.build(question)
    assert (question.discarded, engine.alike(300)) == (300, [])
    assert engine.alike(4) == [b"good"]
    engine.settle()
    assert given == []
    engine.settle(question.discarded)
    assert given == [300]
    engine.forget(None)
    engine.settle()
    assert len(given) == 2
