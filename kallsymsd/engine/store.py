# SPDX-License-Identifier: GPL-2.0-only
"""Answers on disk. Hides diskcache: nothing else in the project knows of it.

A value in the cache is (integers little-endian)

    magic "KSST" · u16 schema · u16 zero · u64 length of payload · XXH3-128 of key and payload · payload

verified at each read. The key is under the checksum, so that files that changed places do not pass either.
"""

import os
import shutil
import sqlite3
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import diskcache
import xxhash
from diskcache.core import DBNAME

from kallsymsd.engine.disk import BytesCache, DamagedError
from kallsymsd.engine.filesystem import filesystem_type, is_remote
from kallsymsd.engine.key import SCHEMA
from kallsymsd.engine.private import Lock, private_directory

MAGIC = b"KSST"
HEADER_SIZE = 32

#: Bytes on disk, unless told otherwise.
DEFAULT_LIMIT = 512 << 20

# A disk that keeps damaging the cache is not to be tried for ever.
_MAX_RESETS = 3

# Errors of writing that say nothing about what is stored already: busy, locked, read-only, full.
_HARMLESS = frozenset(
    {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_FULL}
)

_SETTINGS = {
    "eviction_policy": "least-recently-stored",  # reading then writes nothing
    "statistics": 0,
    "cull_limit": 2,
    "disk_min_file_size": 0,
    # Neither the database nor a WAL index is mapped: whoever truncates a mapped file kills the daemon.
    "sqlite_mmap_size": 0,
    "sqlite_journal_mode": "truncate",
    # A power failure may cost the cache, which is then set aside; no request waits for a disk.
    "sqlite_synchronous": 0,
}

_T = TypeVar("_T")


class StoreUnavailableError(Exception):
    """The cache directory cannot be used; the text names it, says why and what to do, in one line."""


class Store:
    """Bytes by key in a private directory, up to a limit. One process at a time uses a directory.

    Never raises after it was opened: what is damaged is a miss, and the damaged thing is removed; when the
    database itself is damaged, all of it is set aside and an empty one takes its place.

    entries, bytes  what is stored now, as of the last change
    limit           bytes on disk above which the least recently stored entries go
    damaged         entries and databases that were found damaged
    evictions       entries that went because of the limit
    problem         why nothing is stored any more; "" as long as all is well
    """

    def __init__(self, directory: Path, limit: int = DEFAULT_LIMIT) -> None:
        """Open or make the store below ``directory``, which is made 0700 and must be ours alone.

        Raises StoreUnavailableError when another process uses it or it lies on a remote file system, and
        NotPrivateError when it is not ours.
        """
        self.limit = limit
        self.entries = 0
        self.bytes = 0
        self.damaged = 0
        self.evictions = 0
        self.problem = ""
        private_directory(directory)
        kind = filesystem_type(directory)
        if is_remote(kind):
            raise StoreUnavailableError(
                f"{directory}: lies on {kind}, where locks are not to be relied on; "
                "name a local directory with --cache-dir"
            )
        self._directory = directory.absolute() / "store"
        if os.path.expandvars(self._directory) != str(self._directory):  # diskcache would do that
            raise StoreUnavailableError(f"{directory}: a cache directory cannot have $ in its name")
        self._mutex = threading.RLock()
        self._resets = 0
        self._cache: diskcache.Cache | None = None
        try:
            self._lock = Lock(directory / "lock")
        except OSError as error:
            raise StoreUnavailableError(f"{directory}/lock: {error.strerror}; remove it") from error
        if not self._lock.take():
            self._lock.close()
            raise StoreUnavailableError(
                f"{directory}: another kallsymsd uses it; name another with --cache-dir"
            )
        self._open()

    def get(self, key: bytes) -> bytes | memoryview | None:
        """The payload stored under ``key``, or None. A view: payloads are large and get taken apart."""

        def fetch(cache: diskcache.Cache) -> bytes | memoryview | None:
            value = cache.get(key)
            if value is None:
                return None
            payload = _verified(key, value)
            if payload is None:
                self.reject(key)
            return payload

        return self._guarded(fetch, otherwise=None)

    def put(self, key: bytes, *payload: bytes) -> bool:
        """Store the parts of ``payload``, one after the other, under ``key``; whether that worked.

        Payloads above a quarter of the limit are not worth what they would push out.
        """
        if sum(len(part) for part in payload) > self.limit // 4:
            return False

        def insert(cache: diskcache.Cache) -> bool:
            before = len(cache) + (key not in cache)
            cache.set(key, (_header(key, payload), *payload))
            if cache.volume() > self.limit:
                cache.cull()
            self._count(cache)
            self.evictions += before - self.entries
            return True

        return self._guarded(insert, otherwise=False)

    def reject(self, key: bytes) -> None:
        """Remove the entry under ``key``, as damaged: its bytes are as they were put, but make no sense."""

        def remove(cache: diskcache.Cache) -> None:
            self.damaged += 1
            cache.delete(key)
            self._count(cache)

        self._guarded(remove, otherwise=None)

    def remove(self, key: bytes) -> None:
        """Remove the entry under ``key``, if there is one."""

        def remove(cache: diskcache.Cache) -> None:
            cache.delete(key)
            self._count(cache)

        self._guarded(remove, otherwise=None)

    def clear(self) -> None:
        """Remove all entries."""

        def clear(cache: diskcache.Cache) -> None:
            cache.clear()
            self._count(cache)

        self._guarded(clear, otherwise=None)

    def close_thread(self) -> None:
        """Close what the calling thread has open; every thread that used the store calls this at its end."""
        self._guarded(lambda cache: cache.close(), otherwise=None)

    def close(self) -> None:
        """Close the store and let others use its directory."""
        with self._mutex:
            if self._cache is not None:
                self._cache.close()
                self._cache = None
        self._lock.close()

    def _guarded(self, action: Callable[[diskcache.Cache], _T], *, otherwise: _T) -> _T:
        with self._mutex:
            if self._cache is None:
                return otherwise
            try:
                return action(self._cache)
            except (OSError, diskcache.Timeout):
                return otherwise
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF not in _HARMLESS:
                    self._reset(error)
                return otherwise
            # What diskcache raises on damaged rows is of every kind: TypeError, ValueError, KeyError ...
            except Exception as error:  # noqa: BLE001  see above
                self._reset(error)
                return otherwise

    def _open(self) -> None:
        """Open the database, once more from an empty directory if the first time fails."""
        with self._mutex:
            try:
                _sweep(self._directory)
                cache = BytesCache(str(self._directory), timeout=1, size_limit=self.limit, **_SETTINGS)
                try:
                    self._count(cache)
                except BaseException:
                    cache.close()
                    raise
                self._cache = cache
            except Exception as error:  # noqa: BLE001  as above
                self._reset(error)

    def _count(self, cache: diskcache.Cache) -> None:
        self.entries = len(cache)
        self.bytes = cache.volume()

    def _reset(self, error: Exception) -> None:
        """Set the damaged database aside and begin an empty one; give up when that happens too often."""
        if self._cache is not None:
            self._cache.close()
            self._cache = None
        self.entries = self.bytes = 0
        self.damaged += 1
        self._resets += 1
        if self._resets > _MAX_RESETS:
            self.problem = f"{self._directory}: nothing is stored any more: {error}; check the disk"
            return
        aside = self._directory.with_suffix(".damaged")
        try:
            shutil.rmtree(aside, ignore_errors=True)
            self._directory.rename(aside)
            shutil.rmtree(aside, ignore_errors=True)
        except FileNotFoundError:
            pass  # somebody removed the whole cache
        except OSError as problem:
            self.problem = f"{self._directory}: {problem.strerror}; remove it"
            return
        self._open()


def _sweep(directory: Path) -> None:
    """Check the database, if there is one, and remove value files that no row knows of.

    A killed daemon leaves such files. DamagedError or sqlite3.Error when the database is not sound. Not
    Cache.check, which speaks through the warnings module and so cannot be used beside other threads.
    """
    database = directory / DBNAME
    if not database.exists():
        return
    connection = sqlite3.connect(database, timeout=1)
    try:
        (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        if verdict != "ok":
            raise DamagedError(verdict)
        known = {str(row[0]) for row in connection.execute("SELECT filename FROM Cache")}
    finally:
        connection.close()
    for path in directory.glob("*/*/*.val"):
        if str(path.relative_to(directory)) not in known:
            path.unlink()


def _header(key: bytes, payload: Sequence[bytes | memoryview]) -> bytes:
    checksum = xxhash.xxh3_128(key)
    for part in payload:
        checksum.update(part)
    length = sum(len(part) for part in payload).to_bytes(8, "little")
    return b"".join((MAGIC, SCHEMA.to_bytes(2, "little"), bytes(2), length, checksum.digest()))


def _verified(key: bytes, value: bytes) -> memoryview | None:
    """The payload of a stored value, or None if one byte of it is not as it was put."""
    payload = memoryview(value)[HEADER_SIZE:]
    return payload if value[:HEADER_SIZE] == _header(key, (payload,)) else None
