# SPDX-License-Identifier: GPL-2.0-only
"""Whatever is in the cache directory: the store works, waits for nothing and changes nothing elsewhere."""

import os
import shutil
import sqlite3
import threading
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kallsymsd.engine import database
from kallsymsd.engine.database import Database
from kallsymsd.engine.engine import Engine
from kallsymsd.engine.store import Store
from kallsymsd.protocol.wire import COLD, HIT
from tests.odd import ODD, is_untouched, not_waiting, put
from tests.service.peer import PATIENCE, FakeCore, request
from tests.service.test_server import wait_for

KEY, OTHER = b"k" * 32, b"o" * 32
PAYLOAD = bytes(range(256)) * 30


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """A cache directory whose store has PAYLOAD under KEY."""
    store = Store(tmp_path / "cache")
    assert store.put(KEY, PAYLOAD)
    store.close()
    return tmp_path / "cache"


@pytest.fixture(autouse=True)
def ends() -> Iterator[None]:
    with not_waiting():
        yield


def proven(directory: Path, *, damaged: int) -> None:
    """The store works; so many things were found damaged."""
    store = Store(directory)
    assert store.get(KEY) == (None if damaged else PAYLOAD)
    assert store.put(OTHER, PAYLOAD)
    assert store.get(OTHER) == PAYLOAD
    assert (store.damaged, store.problem) == (damaged, "")
    store.close()
    store = Store(directory)
    assert store.get(OTHER) == PAYLOAD
    assert store.damaged == 0
    store.close()


def execute(directory: Path, script: str) -> None:
    connection = sqlite3.connect(directory / "store" / "cache.db")
    connection.executescript(script)
    connection.commit()
    connection.close()


ENDLESS = "with recursive r(n) as (select 1 union all select n + 1 from r) select n from r"
TOO_LONG = "x" * (1 << 17)

SCRIPTS = {
    "a view in place of the table": f"drop table Cache; create view Cache(filename) as {ENDLESS};",
    "a view in place of the settings": f"drop table Settings; create view Settings as {ENDLESS};",
    "a trigger": f"create trigger t after insert on Cache begin insert into Settings {ENDLESS}; end;",
    "a trigger on deleting": (
        f"create trigger t after delete on Cache begin insert into Settings {ENDLESS}; end;"
    ),
    "a trigger under a known name": (
        "drop trigger Settings_count_insert; create trigger Settings_count_insert after insert on Cache "
        f"begin delete from Settings where key in ({ENDLESS}); end;"
    ),
    "a trigger that is gone": "drop trigger Settings_size_delete;",
    "a further table": "create table more(a);",
    "a further column": "alter table Cache add column more;",
    "a computed column": "alter table Cache add column more as (hex(zeroblob(1000000000)));",
    "a rule": "drop table Cache; create table Cache(filename check (length(zeroblob(1000000000)) > 1));",
    "an index": "create index i on Cache(length(zeroblob(1000000000)));",
    "statistics": "analyze;",
    "another directory": "insert into Settings values ('_directory', '/elsewhere');",
    "a pragma": "insert into Settings values ('sqlite_temp_store_directory', '''/elsewhere''');",
    "another pragma": "update Settings set value = 'wal' where key = 'sqlite_journal_mode';",
    "a setting of the disk": "insert into Settings values ('disk_more', 1);",
    "a setting that is gone": "delete from Settings where key = 'count';",
    "a number that is none": "update Settings set value = 'many' where key = 'size';",
    "a number that is wrong": "update Settings set value = 1 << 40 where key = 'size';",
    "a negative number": "update Settings set value = -1 where key = 'count';",
    "a long setting": f"insert into Settings values ('more', '{TOO_LONG}');",
    "a long value": f"update Settings set value = '{TOO_LONG}' where key = 'hits';",
    "many settings": f"insert into Settings select 'k' || n, n from ({ENDLESS} limit 200000);",
    "a long name": f"update Cache set filename = '{TOO_LONG}';",
}


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_database_that_diskcache_has_not_made_is_set_aside(directory: Path, script: str) -> None:
    execute(directory, SCRIPTS[script])
    proven(directory, damaged=1)
    assert not Path("/elsewhere").exists()


def test_a_database_with_a_log_is_set_aside(directory: Path) -> None:
    execute(directory, "pragma journal_mode = wal;")
    proven(directory, damaged=1)


def test_a_journal_that_names_another_file_is_not_followed(directory: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_bytes(b"precious\n")
    name = bytes(outside)
    tail = len(name).to_bytes(4, "big") + (sum(name)).to_bytes(4, "big") + bytes.fromhex("d9d505f920a163d7")
    (directory / "store" / "cache.db-journal").write_bytes(bytes(1024) + b"\0\0\0\1" + name + tail)
    proven(directory, damaged=1)
    assert is_untouched(outside)


def test_a_journal_of_a_daemon_that_was_killed_is_played_back(directory: Path) -> None:
    place = directory / "store"
    connection = sqlite3.connect(place / "cache.db", isolation_level=None)
    connection.execute("pragma journal_mode = truncate")
    connection.execute("pragma cache_size = 1")
    connection.execute("begin immediate")
    connection.execute("update Settings set value = value + 7 where key = 'count'")
    connection.execute(f"insert into Settings select 'k' || n, zeroblob(500) from ({ENDLESS} limit 500)")
    journal, data = (place / "cache.db-journal").read_bytes(), (place / "cache.db").read_bytes()
    connection.close()
    assert len(journal) > 1000
    (place / "cache.db-journal").write_bytes(journal)
    (place / "cache.db").write_bytes(data)
    proven(directory, damaged=0)


def test_a_large_database_is_set_aside_unread(directory: Path) -> None:
    os.truncate(directory / "store" / "cache.db", 1 << 40)
    proven(directory, damaged=1)


def test_a_statement_that_does_not_end_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "OPENING", 0.05)
    connection = Database(str(tmp_path / "db"))
    with pytest.raises(sqlite3.OperationalError, match="interrupted"):
        connection.execute(f"select count(*) from ({ENDLESS})")
    assert connection.execute("select 1").fetchone() == (1,)
    connection.close()


# Files that are not what they seem.

PLACES = ("cache.db", "cache.db-journal", "cache.db-wal", "cache.db-shm")


@pytest.mark.parametrize("kind", ODD)
@pytest.mark.parametrize("place", PLACES)
def test_odd_files_of_the_database(directory: Path, tmp_path: Path, place: str, kind: str) -> None:
    put(kind, directory / "store" / place, tmp_path / "outside")
    proven(directory, damaged=1)
    assert is_untouched(tmp_path / "outside")


@pytest.mark.parametrize("kind", ODD)
def test_something_odd_in_place_of_the_store(directory: Path, tmp_path: Path, kind: str) -> None:
    (directory / "store").rename(tmp_path / "old")
    put(kind, directory / "store", tmp_path / "outside")
    store = Store(directory)
    assert (store.damaged, store.problem) == (int(kind != "directory"), "")
    assert store.put(KEY, PAYLOAD)
    assert store.get(KEY) == PAYLOAD
    store.close()
    assert is_untouched(tmp_path / "outside")


@pytest.mark.parametrize("kind", ODD)
def test_something_odd_where_damage_is_set_aside(directory: Path, tmp_path: Path, kind: str) -> None:
    put(kind, directory / "store.damaged", tmp_path / "outside")
    (directory / "store" / "cache.db").write_bytes(b"no database" * 1000)
    proven(directory, damaged=1)
    assert is_untouched(tmp_path / "outside")
    assert not os.path.lexists(directory / "store.damaged")


def test_a_store_that_is_a_link_to_another_is_not_used(directory: Path, tmp_path: Path) -> None:
    other = Store(tmp_path / "other")
    other.put(KEY, PAYLOAD)
    other.close()
    (directory / "store").rename(tmp_path / "old")
    (directory / "store").symlink_to(tmp_path / "other" / "store")
    before = sorted((tmp_path / "other").rglob("*"))
    proven(directory, damaged=1)
    assert sorted((tmp_path / "other").rglob("*")) == before


@pytest.mark.parametrize("kind", ODD)
@pytest.mark.parametrize("when", ["closed", "open"])
def test_odd_value_files_are_misses(directory: Path, tmp_path: Path, kind: str, when: str) -> None:
    (path,) = directory.glob("store/*/*/*.val")
    if when == "closed":
        put(kind, path, tmp_path / "outside")
    store = Store(directory)
    if when == "open":
        put(kind, path, tmp_path / "outside")
    assert store.get(KEY) is None
    assert store.put(KEY, PAYLOAD)
    assert store.get(KEY) == PAYLOAD
    store.close()
    assert is_untouched(tmp_path / "outside")


def test_a_large_value_file_is_not_read(tmp_path: Path) -> None:
    store = Store(tmp_path / "cache", limit=1 << 20)
    store.put(KEY, PAYLOAD)
    (path,) = tmp_path.glob("cache/store/*/*/*.val")
    os.truncate(path, 1 << 40)
    tracemalloc.start()
    assert store.get(KEY) is None
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 4 << 20
    store.close()


def test_a_value_file_is_read_through_no_link(directory: Path, tmp_path: Path) -> None:
    (path,) = directory.glob("store/*/*/*.val")
    path.rename(tmp_path / "value")
    path.symlink_to(tmp_path / "value")
    store = Store(directory)
    assert store.get(KEY) is None
    store.close()


@pytest.mark.parametrize("level", [0, 1])
def test_directories_of_value_files_are_no_links(directory: Path, tmp_path: Path, level: int) -> None:
    (path,) = directory.glob("store/*/*/*.val")
    moved = path.parents[level]
    moved.rename(tmp_path / "outside")
    moved.symlink_to(tmp_path / "outside")
    bystander = tmp_path / "outside" / ("ab" if level else "") / "mine.val"
    bystander.parent.mkdir(exist_ok=True)
    bystander.write_bytes(b"mine")
    before = sorted((tmp_path / "outside").rglob("*"))
    store = Store(directory)
    assert store.get(KEY) is None
    for number in range(300):  # in as many directories
        assert store.put(bytes((number % 256,)) * 31 + bytes((number // 256,)), b"value")
    store.clear()
    store.close()
    assert sorted((tmp_path / "outside").rglob("*")) == before


@pytest.mark.parametrize("level", [0, 1])
def test_directories_that_become_links_are_not_entered(directory: Path, tmp_path: Path, level: int) -> None:
    store = Store(directory)
    (path,) = directory.glob("store/*/*/*.val")
    moved = path.parents[level]
    moved.rename(tmp_path / "outside")
    moved.symlink_to(tmp_path / "outside")
    before = sorted((tmp_path / "outside").rglob("*"))
    assert store.get(KEY) is None
    store.remove(KEY)
    for number in range(2000):
        store.put(number.to_bytes(32, "big"), b"value")
    store.close()
    assert sorted((tmp_path / "outside").rglob("*")) == before


def test_links_to_directories_are_not_entered_for_files_that_no_row_knows(
    directory: Path, tmp_path: Path
) -> None:
    mine = tmp_path / "home" / "ab" / "cd" / "work.val"
    mine.parent.mkdir(parents=True)
    mine.write_bytes(b"mine")
    (directory / "store" / "home").symlink_to(tmp_path / "home")
    (directory / "store" / "ff").mkdir(exist_ok=True)
    (directory / "store" / "ff" / "ab").symlink_to(tmp_path / "home" / "ab" / "cd")
    proven(directory, damaged=0)
    assert mine.read_bytes() == b"mine"


@pytest.mark.parametrize("kind", sorted(ODD.keys() - {"directory"}))
def test_an_odd_lock_is_refused_in_one_line(directory: Path, tmp_path: Path, kind: str) -> None:
    put(kind, directory / "lock", tmp_path / "outside")
    with pytest.raises(Exception, match=r"lock: .*; remove it"):
        Store(directory)
    assert is_untouched(tmp_path / "outside")


# Locked by somebody else.


@pytest.fixture
def locked(directory: Path) -> Iterator[Callable[[], None]]:
    """The database is locked; calling this ends that."""
    connection = sqlite3.connect(directory / "store" / "cache.db", isolation_level=None)
    connection.execute("begin exclusive")
    yield connection.close
    connection.close()


def test_a_locked_database_is_waited_for_by_nobody(directory: Path, locked: Callable[[], None]) -> None:
    store = Store(directory, patience=0)
    assert store.get(KEY) is None
    assert not store.put(OTHER, PAYLOAD)
    wait_for(lambda: "is locked by another program" in store.problem)
    assert store.is_opening
    locked()
    wait_for(lambda: not store.is_opening)
    assert (store.problem, store.damaged) == ("", 0)
    assert store.get(KEY) == PAYLOAD
    store.close()


def test_a_database_that_somebody_reads_is_not_damaged(directory: Path) -> None:
    connection = sqlite3.connect(directory / "store" / "cache.db", isolation_level=None)
    connection.execute("begin")
    connection.execute("select * from Settings").fetchone()
    store = Store(directory, patience=0)
    assert store.get(KEY) is None
    connection.close()
    wait_for(lambda: not store.is_opening)
    assert (store.get(KEY), store.damaged) == (PAYLOAD, 0)
    store.close()


@pytest.mark.parametrize("everything", [False, True])
def test_what_is_removed_meanwhile_does_not_come_back(
    directory: Path, locked: Callable[[], None], *, everything: bool
) -> None:
    store = Store(directory, patience=0)
    if everything:
        store.clear()
    else:
        store.remove(KEY)
    locked()
    wait_for(lambda: not store.is_opening)
    assert store.get(KEY) is None
    store.close()
    store = Store(directory)
    assert store.get(KEY) is None
    store.close()


def test_closing_does_not_wait_and_the_directory_is_free_then(
    directory: Path, locked: Callable[[], None]
) -> None:
    store = Store(directory, patience=0)
    wait_for(lambda: store.problem != "")
    store.close()
    locked()
    wait_for(lambda: "store" not in {thread.name for thread in threading.enumerate()})
    again = Store(directory)
    assert again.get(KEY) == PAYLOAD
    again.close()


def test_who_holds_the_store_for_long_holds_up_nobody(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kallsymsd.engine.store._SHORT", 0.01)
    monkeypatch.setattr("kallsymsd.engine.store._LONG", 0.01)
    monkeypatch.setattr("kallsymsd.engine.store._CLOSING", 0.01)
    store = Store(directory)
    held, release = threading.Event(), threading.Event()

    def hold() -> None:
        with store._mutex:
            held.set()
            release.wait(PATIENCE)

    holder = threading.Thread(target=hold)
    holder.start()
    held.wait(PATIENCE)
    assert store.get(KEY) is None
    assert not store.put(OTHER, PAYLOAD)
    store.remove(OTHER)
    store.close()
    release.set()
    holder.join()
    assert store.get(KEY) == PAYLOAD
    store.close()


def test_a_directory_that_somebody_empties_is_used_again(directory: Path) -> None:
    store = Store(directory)
    shutil.rmtree(directory / "store")
    store.put(OTHER, PAYLOAD)
    assert store.put(OTHER, PAYLOAD)
    store.close()
    store = Store(directory)
    assert store.get(OTHER) == PAYLOAD
    store.close()


def test_nobody_can_change_an_open_store(directory: Path) -> None:
    store = Store(directory)
    connection = sqlite3.connect(directory / "store" / "cache.db", timeout=0)
    with pytest.raises(sqlite3.OperationalError, match="locked"):
        connection.execute("insert into Settings values ('_directory', '/elsewhere')")
    connection.close()
    assert store.get(KEY) == PAYLOAD
    store.close()


def test_answers_made_before_the_store_is_open_are_stored_later(
    directory: Path, tmp_path: Path, locked: Callable[[], None]
) -> None:
    def ask(engine: Engine) -> int:
        question = engine.identify(request(tmp_path / "a.map"), b"1 T a\n")
        answer, how = engine.build(question)
        engine.keep(question, answer, how)
        return how.made

    store = Store(directory, patience=0)
    engine = Engine(store, FakeCore())
    assert ask(engine) == COLD
    engine.save()
    locked()
    wait_for(lambda: not store.is_opening)
    engine.save()
    store.close()
    store = Store(directory)
    assert ask(Engine(store, FakeCore())) == HIT
    store.close()


def test_not_all_answers_wait_for_the_store(
    directory: Path, tmp_path: Path, locked: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kallsymsd.engine.engine._MOST_UNSAVED", 3)
    store = Store(directory, patience=0)
    engine = Engine(store, FakeCore())
    for number in range(9):
        question = engine.identify(request(tmp_path / "m", tree=b"/%d" % number), b"%d T a\n" % number)
        answer, how = engine.build(question)
        engine.keep(question, answer, how)
    assert [tree for tree, _ in engine._unsaved] == [b"/6", b"/7", b"/8"]
    locked()
    store.close()
