# SPDX-License-Identifier: GPL-2.0-only
"""The store's database: opened only if it looks as diskcache makes it, and never waited for.

SQLite runs what a database holds (views, triggers, rules for columns), maps a WAL index into memory, and
follows the name at the end of a journal. diskcache applies whatever the table Settings says, and retries a
locked database for a minute. So the database is checked before diskcache gets the connection, and each
statement has a deadline. The connection keeps the file locked: no other process changes it afterwards, and
nothing waits for it.
"""

import os
import sqlite3
import time
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from diskcache.core import DBNAME

from kallsymsd.engine.bytesdisk import BytesCache, DamagedError
from kallsymsd.protocol.regular import open_regular

#: Settings of diskcache. Those that begin with "sqlite_" are set at each opening, whatever the table says.
SETTINGS: Mapping[str, str | int] = {
    "eviction_policy": "least-recently-stored",  # reading then writes nothing
    "statistics": 0,
    "tag_index": 0,
    "cull_limit": 2,
    "disk_min_file_size": 0,
    "sqlite_auto_vacuum": 1,
    "sqlite_cache_size": 8192,
    # Neither the database nor a WAL index is mapped: truncating a mapped file would kill the daemon.
    "sqlite_mmap_size": 0,
    "sqlite_journal_mode": "truncate",
    # A power failure may cost the cache, which is then set aside; no request waits for a disk.
    "sqlite_synchronous": 0,
}
_SQLITE = "sqlite_"
_PRAGMAS = (
    "locking_mode = EXCLUSIVE",
    *(
        f"{name.removeprefix(_SQLITE)} = {value}"
        for name, value in SETTINGS.items()
        if name.startswith(_SQLITE)
    ),
    "temp_store = MEMORY",  # not /var/tmp
    "trusted_schema = OFF",
    "cell_size_check = ON",
)
# Rows of the table Settings that are counts, and so change.
_COUNTS = ("count", "size", "hits", "misses")
_LARGEST = 1 << 53

#: Seconds that one statement may take while the database is opened, and after that.
OPENING, WORKING = 20.0, 5.0
# Instructions of SQLite's virtual machine between two checks of the clock.
_STEPS = 10_000
# Longest text or blob in bytes; a row of the cache has 200, a trigger 150.
_LONGEST = 1 << 16
# Most rows, each of which knows a value file.
_MOST_ROWS = 1 << 20
# What a database may have beyond the limit of the store, in bytes.
_SLACK = 16 << 20

# SQLite's file formats: https://sqlite.org/fileformat.html
_MAGIC = b"SQLite format 3\0"
_ROLLBACK = b"\1\1"  # versions of the format for writing and for reading; 2 is WAL
_SUPER_JOURNAL = b"\xd9\xd5\x05\xf9\x20\xa1\x63\xd7"

Schema = frozenset[tuple[object, ...]]


class Database(sqlite3.Connection):
    """A connection whose statements have a deadline: sqlite3.OperationalError, SQLITE_INTERRUPT after that.

    Several threads may use it, one at a time.

    patience  seconds for each statement
    """

    def __init__(self, path: str) -> None:
        super().__init__(path, timeout=0, isolation_level=None, check_same_thread=False)
        self.patience = OPENING
        self._until = 0.0
        self.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _LONGEST)
        self.set_progress_handler(lambda: time.monotonic() > self._until, _STEPS)
        try:
            for pragma in _PRAGMAS:
                self.execute(f"PRAGMA {pragma}").fetchall()
        except BaseException:
            self.close()
            raise

    def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:  # noqa: ANN401  as sqlite3's
        """As sqlite3's, with the deadline from now on."""
        self._until = time.monotonic() + self.patience
        return super().execute(sql, parameters)


def is_locked(error: Exception) -> bool:
    """Whether ``error`` says that another process has the database locked."""
    return isinstance(error, sqlite3.OperationalError) and error.sqlite_errorcode & 0xFF in (
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
    )


def open_database(directory: Path, limit: int) -> tuple[Database, set[str]]:
    """The database in ``directory``, created if missing, and the value files that its rows name.

    ``limit`` is the size of a store in bytes. Raises DamagedError, OSError or an error of sqlite3 for a
    database that is damaged or not as diskcache makes it; see also is_locked().
    """
    path = directory / DBNAME
    _check_files(path, limit)
    database = Database(str(path))
    try:
        names = _checked(database)
    except BaseException:
        database.close()
        raise
    database.patience = WORKING
    return database, names


def _check_files(path: Path, limit: int) -> None:
    """Check the files that SQLite would open, before it does."""
    for suffix in ("-wal", "-shm"):
        if os.path.lexists(f"{path}{suffix}"):
            raise DamagedError(f"{path.name}{suffix} exists, which kallsymsd never creates")
    for name in (path, Path(f"{path}-journal")):
        try:
            descriptor = open_regular(str(name), follow=False)
        except FileNotFoundError:
            continue
        try:
            size = os.fstat(descriptor).st_size
            if size > limit + _SLACK:
                raise DamagedError(f"{name.name} has {size} bytes")
            if name == path:
                head = os.pread(descriptor, 20, 0)
                if head and (head[:16], head[18:]) != (_MAGIC, _ROLLBACK):
                    raise DamagedError(f"{name.name} is not a database that kallsymsd made")
            elif os.pread(descriptor, 8, max(0, size - 8)) == _SUPER_JOURNAL:
                raise DamagedError(f"{name.name} names another file")
        finally:
            os.close(descriptor)


def _checked(database: Database) -> set[str]:
    """The value files that the rows name; DamagedError unless the database is as diskcache makes it."""
    schema = _schema(database)
    if not schema:  # a new file
        return set()
    expected, settings = _pattern()
    if schema != expected:
        raise DamagedError("the tables are not those of diskcache")
    rows = database.execute("SELECT key, value FROM Settings LIMIT 100").fetchall()
    found = dict(rows)
    for key in _COUNTS:
        value = found.get(key)
        if type(value) is not int or not 0 <= value < _LARGEST:
            raise DamagedError(f"setting {key!r}")
    if len(rows) != len(settings) or any(
        found.get(key) != value for key, value in settings.items() if key not in (*_COUNTS, "size_limit")
    ):
        raise DamagedError("the settings are not those that kallsymsd sets")
    (verdict,) = database.execute("PRAGMA quick_check(1)").fetchone()
    if verdict != "ok":
        raise DamagedError(str(verdict))
    counted = database.execute("SELECT count(*), coalesce(sum(size), 0) FROM Cache").fetchone()
    if counted != (found["count"], found["size"]):
        raise DamagedError("number or size of the rows is not what Settings says")
    names = database.execute(f"SELECT filename FROM Cache LIMIT {_MOST_ROWS + 1}").fetchall()  # noqa: S608  a number
    if len(names) > _MOST_ROWS:
        raise DamagedError("too many rows")
    return {str(row[0]) for row in names}


def _schema(database: Database) -> Schema:
    return frozenset(
        database.execute("SELECT type, name, tbl_name, sql FROM sqlite_master LIMIT 100").fetchall()
    )


@cache
def _pattern() -> tuple[Schema, dict[str, object]]:
    """Tables and settings as the installed diskcache makes them, in memory."""
    database = Database(":memory:")
    try:
        BytesCache("/", database, **SETTINGS)
        return _schema(database), dict(database.execute("SELECT key, value FROM Settings").fetchall())
    finally:
        database.close()
