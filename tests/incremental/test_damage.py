# SPDX-License-Identifier: GPL-2.0-only
"""What is stored damaged or foreign is noticed, dropped and counted, and the answer is right."""

import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kallsymsd.core import pipeline
from kallsymsd.core.dialects import ABSOLUTE_PERCPU, ALL_SYMBOLS, BY_NAME
from kallsymsd.engine.engine import Engine
from kallsymsd.engine.keys import SCHEMA, cache_key, digest, tree_key
from kallsymsd.engine.recentmaps import MapText
from kallsymsd.engine.store import Store
from kallsymsd.engine.treestate import TreeState
from kallsymsd.protocol.wire import ADDRESSES, ASM, COLD, HIT, INCREMENTAL, BuildRequest, How
from tests.incremental import damage
from tests.reference import tool

REQUEST = BuildRequest(version="", dialect="v6.11", options=ALL_SYMBOLS, form=ASM, tree=b"/tree")
STATE = tree_key(REQUEST)


# Small enough for the reference; with per-cpu symbols, whose strings depend on an option.
FIRST = b"".join(
    b"%016x %b\n" % (address, symbol)
    for address, symbol in [
        (0, b"D __per_cpu_start"),
        (0x10, b"D runqueues"),
        (0x20, b"D __per_cpu_end"),
        (0x100000, b"T _text"),
        (0x100000, b"T _stext"),
        *((0x100010 + 16 * number, b"t function_%d" % number) for number in range(16)),
        (0x100200, b"T _etext"),
    ]
)
SECOND = FIRST + b"0000000000200000 t one_more\n"
THIRD = SECOND + b"0000000000200010 t another_one\n"
FOURTH = FIRST + b"0000000000300000 t yet_another\n"


class Daemon:
    """An engine with its store on a directory; every answer is compared with the reference."""

    def __init__(self, directory: Path) -> None:
        self.store = Store(directory)
        self.engine = Engine(self.store)

    def ask(self, text: bytes) -> How:
        question = self.engine.identify(REQUEST, text)
        answer, how = self.engine.build(question)
        self.engine.keep(question, answer, how)
        assert b"".join(answer.parts()) == tool.run("v6.11", ("all-symbols",), text).stdout
        return how

    def end(self) -> None:
        self.engine.save()
        self.store.close()


@pytest.fixture(scope="module")
def seconds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache as a daemon leaves it that has seen FIRST and SECOND."""
    directory = tmp_path_factory.mktemp("seconds") / "cache"
    daemon = Daemon(directory)
    assert daemon.ask(FIRST).made == COLD
    assert daemon.ask(SECOND).made == INCREMENTAL
    daemon.end()
    return directory


@pytest.fixture
def directory(seconds: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    return _copy(seconds, tmp_path / "cache")


def _copy(source: Path, target: Path) -> Path:
    for path in sorted(source.rglob("*")):
        to = target / path.relative_to(source)
        to.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if path.is_file():
            to.write_bytes(path.read_bytes())
    target.chmod(0o700)
    return target


@pytest.fixture
def restarted(directory: Path) -> Iterator[Callable[[], Daemon]]:
    """Begins daemons on the cache, one after the other."""
    begun: list[Daemon] = []

    def begin() -> Daemon:
        if begun:
            begun[-1].end()
        begun.append(Daemon(directory))
        return begun[-1]

    yield begin
    for daemon in begun:
        daemon.end()


def value_of(directory: Path, key: bytes) -> Path:
    path = damage.value_of(directory, key)
    assert path is not None
    return path


def test_a_sound_state_is_what_the_first_request_of_a_new_daemon_begins_from(
    restarted: Callable[[], Daemon],
) -> None:
    daemon = restarted()
    how = daemon.ask(THIRD)
    assert (how.made, how.changed, daemon.store.damaged) == (INCREMENTAL, 1, 0)
    assert restarted().ask(THIRD).made == HIT
    assert restarted().ask(THIRD.replace(b"200010", b"200020")).made == ADDRESSES


@pytest.mark.parametrize(
    "kind", [damage.flip, damage.truncate, damage.extend, damage.other_schema], ids=lambda kind: kind.__name__
)
def test_a_damaged_state_is_dropped_and_counted_and_a_sound_one_takes_its_place(
    directory: Path, restarted: Callable[[], Daemon], kind: damage.Damage
) -> None:
    kind(random.Random(3), [value_of(directory, STATE)])
    daemon = restarted()
    before = daemon.store.entries
    assert daemon.ask(SECOND).made == HIT  # the answer is sound
    assert daemon.ask(THIRD).made == COLD
    assert daemon.store.damaged == 1
    assert daemon.store.entries == before + 1  # the state is back, the new answer has come
    daemon = restarted()
    assert daemon.ask(FOURTH).made == INCREMENTAL
    assert daemon.store.damaged == 0


def test_a_lost_state_is_made_anew(directory: Path, restarted: Callable[[], Daemon]) -> None:
    value_of(directory, STATE).unlink()
    daemon = restarted()
    assert daemon.ask(THIRD).made == COLD
    assert restarted().ask(FOURTH).made == INCREMENTAL


@pytest.mark.parametrize(
    "kind", [damage.flip, damage.truncate, damage.extend, damage.other_schema], ids=lambda kind: kind.__name__
)
def test_a_damaged_answer_is_dropped_and_counted_and_made_from_the_state(
    directory: Path, restarted: Callable[[], Daemon], kind: damage.Damage
) -> None:
    kind(random.Random(4), [value_of(directory, cache_key(REQUEST, digest(SECOND)))])
    daemon = restarted()
    assert daemon.ask(SECOND).made == ADDRESSES
    assert daemon.store.damaged == 1


def test_values_that_changed_places_are_not_each_others(
    directory: Path, restarted: Callable[[], Daemon]
) -> None:
    damage.rotate(random.Random(0), damage.values(directory))
    daemon = restarted()
    assert daemon.ask(SECOND).made == COLD
    assert daemon.store.damaged == 2  # its answer and the state


def test_a_damaged_database_costs_all_that_was_stored_and_nothing_else(
    directory: Path, restarted: Callable[[], Daemon]
) -> None:
    database = directory / "store" / "cache.db"
    database.write_bytes(b"no database" * 1000)
    daemon = restarted()
    assert daemon.store.damaged == 1
    assert daemon.ask(SECOND).made == COLD
    assert daemon.store.problem == ""
    assert restarted().ask(SECOND).made == HIT


@given(at=st.integers(0, 1 << 30), bit=st.integers(0, 7), cut=st.booleans())
def test_one_bit_or_one_byte_anywhere_in_a_state_is_noticed(
    seconds: Path, tmp_path_factory: pytest.TempPathFactory, at: int, bit: int, *, cut: bool
) -> None:
    directory = _copy(seconds, tmp_path_factory.mktemp("bit") / "cache")
    path = value_of(directory, STATE)
    content = bytearray(path.read_bytes())
    at %= len(content)
    if cut:
        del content[at]
    else:
        content[at] ^= 1 << bit
    path.write_bytes(content)
    daemon = Daemon(directory)
    assert (daemon.ask(THIRD).made, daemon.store.damaged) == (COLD, 1)
    daemon.end()


def _state(text: bytes, dialect: str, options: int) -> list[bytes]:
    """A state as a daemon writes it."""
    return TreeState(MapText(text), pipeline.build(text, BY_NAME[dialect], options)).encode()


def _parts(*parts: bytes) -> bytes:
    return b"".join(len(part).to_bytes(8, "little") + part for part in parts)


_OWN = _state(SECOND, "v6.11", ALL_SYMBOLS)
# Parts stand after their lengths.
_VALUES = _OWN[1::2]

#: Payloads that are sound as entries of the store, and no state of this tree.
FOREIGN = {
    "of other options": b"".join(_state(SECOND, "v6.11", ALL_SYMBOLS | ABSOLUTE_PERCPU)),
    "of fewer symbols": b"".join(_state(SECOND, "v6.11", 0)),
    "of another dialect": b"".join(_state(SECOND, "v6.10", ALL_SYMBOLS)),
    "of nothing": b"",
    "of no parts": _parts(),
    "of too few parts": _parts(*_VALUES[:-1]),
    "of too many parts": _parts(*_VALUES, b""),
    "of a part that is longer than all": b"".join(_OWN)[:-1],
    "of half a length": b"".join(_OWN) + b"\1\0\0",
    "of another map's codes": _parts(*_VALUES[:2], _VALUES[2] + b"a\0", *_VALUES[3:]),
    "of another map's name order": _parts(*_VALUES[:3], _VALUES[3][4:], _VALUES[4]),
    "of half a token table": _parts(*_VALUES[:4], _VALUES[4][:-1]),
    "of a map that is none": _parts(_VALUES[0], b"no map\n", *_VALUES[2:]),
    "of random bytes": random.Random(5).randbytes(1000),
}


def test_the_state_that_foreign_ones_are_made_of_is_sound_itself() -> None:
    assert len(_VALUES) == 5
    assert b"".join(_OWN) == _parts(*_VALUES)
    TreeState.decode(_parts(*_VALUES), BY_NAME["v6.11"], ALL_SYMBOLS)


@pytest.mark.parametrize("name", FOREIGN)
def test_a_foreign_state_is_dropped_and_counted(
    directory: Path, restarted: Callable[[], Daemon], name: str
) -> None:
    value_of(directory, STATE).write_bytes(damage.sealed(STATE, FOREIGN[name], schema=SCHEMA))
    daemon = restarted()
    assert daemon.ask(THIRD).made == COLD
    assert daemon.store.damaged == 1
    daemon = restarted()
    assert daemon.ask(FOURTH).made == INCREMENTAL
    assert daemon.store.damaged == 0


@pytest.mark.parametrize("payload", [b"", b"no answer", bytes(100), FOREIGN["of random bytes"]])
def test_a_foreign_answer_is_dropped_and_counted(
    directory: Path, restarted: Callable[[], Daemon], payload: bytes
) -> None:
    key = cache_key(REQUEST, digest(SECOND))
    value_of(directory, key).write_bytes(damage.sealed(key, payload, schema=SCHEMA))
    daemon = restarted()
    assert daemon.ask(SECOND).made == ADDRESSES
    assert daemon.store.damaged == 1


def test_another_schema_versions_entries_are_not_ours_even_under_our_keys(
    directory: Path, restarted: Callable[[], Daemon]
) -> None:
    path = value_of(directory, STATE)
    payload = path.read_bytes()[damage.HEADER :]
    path.write_bytes(damage.sealed(STATE, payload, schema=SCHEMA + 1))
    daemon = restarted()
    assert daemon.ask(THIRD).made == COLD
    assert daemon.store.damaged == 1
