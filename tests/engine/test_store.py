# SPDX-License-Identifier: GPL-2.0-only
"""The store gives back what was put, or nothing; whatever happens to its files, it never raises."""

import os
import pickle
import shutil
import sqlite3
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from diskcache import Cache  # to plant what Store would never write
from hypothesis import given
from hypothesis import strategies as st

from kallsymsd.engine import store as store_module
from kallsymsd.engine.bytesdisk import BytesDisk, DamagedError
from kallsymsd.engine.store import Store, StoreUnavailableError
from kallsymsd.protocol.private import NotPrivateError

KEY = b"k" * 32
OTHER = b"o" * 32
PAYLOAD = bytes(range(256)) * 300


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def store(directory: Path) -> Iterator[Store]:
    store = Store(directory)
    yield store
    store.close()


def reopened(store: Store, directory: Path, damage: Callable[[], object]) -> Store:
    """The store after ``damage`` was done to its files while it was closed."""
    store.close()
    damage()
    return Store(directory)


def value_files(directory: Path) -> list[Path]:
    return sorted((directory / "store").rglob("*.val"))


def test_a_payload_comes_back(store: Store) -> None:
    assert store.get(KEY) is None
    assert store.put(KEY, PAYLOAD)
    assert store.get(KEY) == PAYLOAD
    assert store.get(OTHER) is None


def test_a_payload_outlives_the_process(store: Store, directory: Path) -> None:
    store.put(KEY, PAYLOAD)
    again = reopened(store, directory, lambda: None)
    assert again.get(KEY) == PAYLOAD
    assert again.entries == 1
    assert again.bytes > len(PAYLOAD)
    again.close()


@given(payload=st.binary(max_size=1000))
def test_any_bytes_come_back(payload: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    store = Store(tmp_path_factory.mktemp("s") / "cache")
    store.put(KEY, payload)
    assert store.get(KEY) == payload
    store.close()


def test_the_directory_is_for_its_owner_alone(store: Store, directory: Path) -> None:
    store.put(KEY, PAYLOAD)
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700


def test_a_directory_that_lets_others_in_is_refused(directory: Path) -> None:
    directory.mkdir()
    directory.chmod(0o755)
    with pytest.raises(NotPrivateError):
        Store(directory)
    assert list(directory.iterdir()) == []


def test_a_directory_in_use_is_refused(store: Store, directory: Path) -> None:
    assert store.entries == 0
    with pytest.raises(StoreUnavailableError, match="another kallsymsd uses it"):
        Store(directory)


def test_a_remote_directory_is_refused(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_module, "filesystem_type", lambda _: "nfs4")
    with pytest.raises(StoreUnavailableError, match="nfs4"):
        Store(directory)


def test_a_name_that_diskcache_would_expand_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailableError, match=r"\$"):
        Store(tmp_path / "$HOME")


def test_old_entries_go_when_the_limit_is_reached(directory: Path) -> None:
    store = Store(directory, limit=1 << 20)
    for number in range(40):
        store.put(bytes([number]) * 32, bytes(100_000))
    assert store.bytes <= 1 << 20
    assert store.evictions > 0
    assert store.entries + store.evictions == 40
    assert store.get(bytes([39]) * 32) is not None
    assert store.get(bytes([0]) * 32) is None
    store.close()


def test_what_would_push_out_all_else_is_not_stored(directory: Path) -> None:
    store = Store(directory, limit=1 << 20)
    assert not store.put(KEY, bytes(1 << 19))
    assert store.entries == 0
    store.close()


# Damage to a value's file.


@given(data=st.data())
def test_a_changed_byte_is_a_miss(data: st.DataObject, tmp_path_factory: pytest.TempPathFactory) -> None:
    directory = tmp_path_factory.mktemp("s") / "cache"
    store = Store(directory)
    store.put(KEY, PAYLOAD)
    (path,) = value_files(directory)
    content = bytearray(path.read_bytes())
    content[data.draw(st.integers(0, len(content) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    path.write_bytes(content)
    assert store.get(KEY) is None
    assert (store.damaged, store.entries, value_files(directory)) == (1, 0, [])
    assert store.put(KEY, PAYLOAD)
    assert store.get(KEY) == PAYLOAD
    store.close()


@pytest.mark.parametrize("size", [0, 1, 47, 48, 49, 10_000, len(PAYLOAD) + 47])
def test_a_shortened_file_is_a_miss(store: Store, directory: Path, size: int) -> None:
    store.put(KEY, PAYLOAD)
    os.truncate(value_files(directory)[0], size)
    assert store.get(KEY) is None
    assert store.damaged == 1


def test_a_lengthened_file_is_a_miss(store: Store, directory: Path) -> None:
    store.put(KEY, PAYLOAD)
    with value_files(directory)[0].open("ab") as file:
        file.write(b"more")
    assert store.get(KEY) is None


def test_a_deleted_file_is_a_miss(store: Store, directory: Path) -> None:
    store.put(KEY, PAYLOAD)
    value_files(directory)[0].unlink()
    assert store.get(KEY) is None
    assert store.put(KEY, PAYLOAD)
    assert store.get(KEY) == PAYLOAD


def test_files_that_changed_places_are_misses(store: Store, directory: Path) -> None:
    store.put(KEY, PAYLOAD)
    store.put(OTHER, PAYLOAD[::-1])
    one, two = value_files(directory)
    one.rename(directory / "aside")
    two.rename(one)
    (directory / "aside").rename(two)
    assert store.get(KEY) is None
    assert store.get(OTHER) is None


def test_a_file_that_no_row_knows_of_is_removed(store: Store, directory: Path) -> None:
    store.put(KEY, PAYLOAD)
    orphan = directory / "store" / "ab" / "cd" / ("0" * 28 + ".val")

    def leave_orphan() -> None:
        orphan.parent.mkdir(parents=True)
        orphan.write_bytes(b"half a val")

    again = reopened(store, directory, leave_orphan)
    assert not orphan.exists()
    assert again.get(KEY) == PAYLOAD
    again.close()


# Damage to the database.


def garbage(path: Path) -> None:
    path.write_bytes(os.urandom(20_000))


def middle(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * 12_000)


def directory_in_place(path: Path) -> None:
    path.unlink()
    path.mkdir()


def file_in_place_of_all(path: Path) -> None:
    shutil.rmtree(path.parent)
    path.parent.touch()


DAMAGE: dict[str, Callable[[Path], object]] = {
    "garbage": garbage,
    "empty": lambda path: os.truncate(path, 0),
    "cut": lambda path: os.truncate(path, 5000),
    "header": lambda path: os.truncate(path, 50),
    "middle": middle,
    "gone": Path.unlink,
    "directory": directory_in_place,
    "all gone": lambda path: shutil.rmtree(path.parent),
    "file in place of the store": file_in_place_of_all,
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_store_whose_database_was_damaged_begins_anew(store: Store, directory: Path, damage: str) -> None:
    store.put(KEY, PAYLOAD)
    again = reopened(store, directory, lambda: DAMAGE[damage](directory / "store" / "cache.db"))
    assert again.get(KEY) is None
    assert again.put(KEY, PAYLOAD)
    assert again.get(KEY) == PAYLOAD
    assert again.problem == ""
    again.close()


@pytest.mark.parametrize("damage", DAMAGE)
def test_damage_under_way_is_never_an_exception_or_a_wrong_answer(
    store: Store, directory: Path, damage: str
) -> None:
    store.put(KEY, PAYLOAD)
    DAMAGE[damage](directory / "store" / "cache.db")
    for number in range(8):
        store.put(bytes([number]) * 32, bytes([number]) * 5000)
        for other in range(8):
            assert store.get(bytes([other]) * 32) in (None, bytes([other]) * 5000)
        assert store.get(KEY) in (None, PAYLOAD)


def test_a_store_that_is_damaged_again_and_again_gives_up(
    store: Store, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise sqlite3.DatabaseError("database disk image is malformed")

    monkeypatch.setattr(BytesDisk, "put", broken)
    for _ in range(10):
        assert store.get(KEY) is None
        assert not store.put(KEY, PAYLOAD)
    assert "malformed" in store.problem
    assert str(directory) in store.problem


def test_a_full_disk_costs_only_what_could_not_be_stored(
    store: Store, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.put(KEY, PAYLOAD)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(BytesDisk, "_write", full)
        assert not store.put(OTHER, PAYLOAD)
    assert store.get(KEY) == PAYLOAD
    assert len(value_files(directory)) == 1
    assert store.damaged == 0


# Planted rows.


class Planted:
    """Unpickling this leaves a trace."""

    trace: Path

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.trace,)


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    Planted.trace = tmp_path / "unpickled"
    return Planted.trace


def plant(directory: Path, column: str, value: object) -> None:
    """Change all rows of a store that is closed: an open one keeps others out."""
    with sqlite3.connect(directory / "store" / "cache.db") as connection:
        connection.execute(f"UPDATE Cache SET {column}", (value,))  # noqa: S608  the tests' own text
    connection.close()


@pytest.mark.parametrize("in_file", [False, True])
def test_a_planted_pickle_is_not_run(store: Store, directory: Path, trace: Path, *, in_file: bool) -> None:
    store.put(KEY, PAYLOAD)
    pickled = pickle.dumps(Planted())
    if in_file:
        value_files(directory)[0].write_bytes(pickled)
        store = reopened(store, directory, lambda: plant(directory, "mode = 4, size = ?", len(pickled)))
    else:
        column = "mode = 4, filename = NULL, value = ?"
        store = reopened(store, directory, lambda: plant(directory, column, pickled))
    assert store.get(KEY) is None
    assert not trace.exists()
    assert store.damaged == 1
    assert store.put(KEY, PAYLOAD)
    assert store.get(KEY) == PAYLOAD


def test_a_planted_pickle_as_key_is_not_run_by_iteration(store: Store, directory: Path, trace: Path) -> None:
    store.put(KEY, PAYLOAD)
    store = reopened(store, directory, lambda: plant(directory, "raw = 0, key = ?", pickle.dumps(Planted())))
    assert store.get(KEY) is None
    store.close()
    with Cache(str(directory / "store"), disk=BytesDisk) as cache:
        for walk in (list, lambda cache: list(reversed(cache)), lambda cache: list(cache.iterkeys())):
            with pytest.raises(DamagedError):
                walk(cache)
    assert not trace.exists()


@pytest.mark.parametrize(
    "name", ["../../victim", "/etc/passwd", "ab/cd/../../../../victim", "", "ab/cd/x.val"]
)
def test_a_planted_file_name_leads_nowhere(store: Store, directory: Path, name: str) -> None:
    victim = directory.parent / "victim"
    victim.write_bytes(b"precious")
    store.put(KEY, PAYLOAD)
    store = reopened(store, directory, lambda: plant(directory, "filename = ?", name))
    assert store.get(KEY) is None
    store.put(KEY, PAYLOAD)
    assert victim.read_bytes() == b"precious"
    assert store.get(KEY) == PAYLOAD


@pytest.mark.parametrize(
    "column", ["mode = ?", "filename = ?", "size = ?", "store_time = ?", "expire_time = ?", "key = ?"]
)
@pytest.mark.parametrize("value", ["text", b"bytes", 1.5, -1, None, 2**62])
def test_odd_values_in_any_column_are_never_an_exception(
    store: Store, directory: Path, column: str, value: object
) -> None:
    store.put(KEY, PAYLOAD)
    store = reopened(store, directory, lambda: plant(directory, column, value))
    assert store.get(KEY) in (None, PAYLOAD)
    assert store.get(OTHER) is None
    store.put(OTHER, PAYLOAD)
    assert store.get(OTHER) in (None, PAYLOAD)


@pytest.mark.parametrize("setting", ["disk_nonsense", "eviction_policy", "cull_limit", "size_limit", "count"])
def test_odd_settings_are_never_an_exception(store: Store, directory: Path, setting: str) -> None:
    store.put(KEY, PAYLOAD)

    def change() -> None:
        with sqlite3.connect(directory / "store" / "cache.db") as connection:
            connection.execute("INSERT OR REPLACE INTO Settings VALUES (?, ?)", (setting, "nonsense"))
        connection.close()

    again = reopened(store, directory, change)
    assert again.get(KEY) in (None, PAYLOAD)
    again.put(KEY, PAYLOAD)
    assert again.get(KEY) in (None, PAYLOAD)
    again.close()


@pytest.mark.parametrize("key", ["text", 1, None, (b"a",)])
def test_only_bytes_are_keys(key: object) -> None:
    with pytest.raises(TypeError):
        BytesDisk("/nowhere").put(key)


@pytest.mark.parametrize("value", ["text", 1, None, [b"a"], bytearray(b"a")])
def test_only_bytes_are_values(value: object) -> None:
    with pytest.raises(TypeError):
        BytesDisk("/nowhere").store(value, read=False)
