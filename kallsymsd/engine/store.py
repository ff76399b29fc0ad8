# SPDX-License-Identifier: GPL-2.0-only
"""Answers and states on disk. Hides diskcache: nothing outside the store knows of it.

A value in the cache is (integers little-endian)

    magic "KSST" · u16 schema · u16 zero · u64 length of payload · XXH3-128 of key and payload · payload

verified at each read. The checksum covers the key, so that swapped files are found too.
"""

import os
import shutil
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import diskcache
import xxhash

from kallsymsd.engine.bytesdisk import BytesCache, sweep
from kallsymsd.engine.database import SETTINGS, Database, is_locked, open_database
from kallsymsd.engine.filesystem import filesystem_type, is_remote
from kallsymsd.engine.keys import SCHEMA
from kallsymsd.protocol.lock import Lock
from kallsymsd.protocol.private import private_directory

MAGIC = b"KSST"
HEADER_SIZE = 32

#: Bytes on disk, unless told otherwise.
DEFAULT_LIMIT = 512 << 20

# Damaged databases after which the store gives up, for a disk that keeps damaging them.
_MAX_RESETS = 3

# Errors of writing that say nothing about what is stored: busy, locked, read-only, full.
_HARMLESS = frozenset(
    {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_FULL}
)

# Seconds from its creation that clients' requests wait for the store to open.
_FIRST = 0.5
# Seconds between two attempts to open a database that another process has locked.
_PAUSE = 0.5
# Seconds to wait for another thread to be done with the store: for a client's request, for others.
_SHORT, _LONG = 0.5, 10.0
# The same for closing.
_CLOSING = 1.0

# Stands for all keys.
_ALL = b""

_T = TypeVar("_T")


class StoreUnavailableError(Exception):
    """The cache directory cannot be used; the text is one line: the directory, why, and what to do."""


class Store:
    """Bytes by key in a private directory, up to a limit. One process at a time uses a directory.

    Never raises once created. A damaged entry is a miss and is removed. A database that is damaged, or that
    kallsymsd did not make, is set aside and replaced by an empty one. Nor does it keep a request waiting: the
    store opens in a thread of its own; until then, and when it is in use for too long, a request has a miss.

    entries, bytes  what is stored, as of the last change
    limit           bytes on disk above which the least recently stored entries are removed
    damaged         entries and databases found damaged
    evictions       entries removed because of the limit
    problem         why nothing is stored (any more); "" if all is well
    """

    def __init__(self, directory: Path, limit: int = DEFAULT_LIMIT, *, patience: float = 30.0) -> None:
        """Open or create the store below ``directory``, which is created 0700 and must be private.

        Waits up to ``patience`` seconds until it is open; opening goes on after that. Raises
        StoreUnavailableError if another process uses the directory or it is on a remote file system, and
        NotPrivateError if it is not private.
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
                f"{directory}: is on {kind}, where locks cannot be relied on; "
                "name a local directory with --cache-dir"
            )
        self._directory = directory.absolute() / "store"
        if os.path.expandvars(self._directory) != str(self._directory):  # diskcache would do that
            raise StoreUnavailableError(f"{directory}: a cache directory cannot have $ in its name")
        self._mutex = threading.RLock()
        self._resets = 0
        self._largest = limit // 4
        self._cache: diskcache.Cache | None = None
        self._database: Database | None = None
        # Keys still to be removed from the database.
        self._removed: set[bytes] = set()
        self._closing = threading.Event()
        self._is_tried = threading.Event()  # open, or never to be
        try:
            self._lock = Lock(directory / "lock")
        except OSError as error:
            raise StoreUnavailableError(f"{directory}/lock: {error.strerror}; remove it") from error
        if not self._lock.take():
            self._lock.close()
            raise StoreUnavailableError(
                f"{directory}: another kallsymsd uses it; name another with --cache-dir"
            )
        self._first = time.monotonic() + _FIRST
        threading.Thread(target=self._begin, name="store", daemon=True).start()
        self._is_tried.wait(patience)

    @property
    def is_opening(self) -> bool:
        """Whether the store is not open yet, but may be later."""
        return not self._is_tried.is_set()

    def get(self, key: bytes) -> bytes | memoryview | None:
        """The payload stored under ``key``, or None. A view, since payloads are large and taken apart."""

        def fetch(cache: diskcache.Cache) -> bytes | memoryview | None:
            value = cache.get(key)
            if value is None:
                return None
            payload = _verified(key, value)
            if payload is None:
                self.reject(key)
            return payload

        if self.is_opening:
            self._is_tried.wait(max(0.0, self._first - time.monotonic()))
        return self._guarded(fetch, otherwise=None, is_awaited=True)

    def put(self, key: bytes, *payload: bytes) -> bool:
        """Store the parts of ``payload``, one after the other, under ``key``; whether that worked.

        Payloads above a quarter of the limit are not stored: they would push out too much.
        """
        if sum(len(part) for part in payload) > self._largest:
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
        """Remove the entry under ``key`` as damaged: its checksum is right, but it cannot be decoded."""
        self.damaged += 1
        self.remove(key)

    def remove(self, key: bytes) -> None:
        """Remove the entry under ``key``, if there is one."""
        self._removed.add(key)
        self._guarded(lambda _: None, otherwise=None)

    def clear(self) -> None:
        """Remove all entries."""
        self.remove(_ALL)

    def close(self) -> None:
        """Close the store and release its directory.

        After a second without success, that is left to the end of the process.
        """
        self._closing.set()
        if not self._mutex.acquire(timeout=_CLOSING):
            return
        try:
            # While the store opens, the thread that opens it will close it.
            if not self.is_opening:
                self._shut()
                self._lock.close()
        finally:
            self._mutex.release()

    def _guarded(
        self, action: Callable[[diskcache.Cache], _T], *, otherwise: _T, is_awaited: bool = False
    ) -> _T:
        if self.is_opening or not self._mutex.acquire(timeout=_SHORT if is_awaited else _LONG):
            return otherwise
        try:
            if self._cache is None:
                return otherwise
            self._remove(self._cache)
            return action(self._cache)
        except OSError as error:
            if not self._directory.exists():  # the cache directory was emptied
                self._reset(error)
            return otherwise
        except diskcache.Timeout:  # a transaction could not begin
            return otherwise
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF not in _HARMLESS:
                self._reset(error)
            return otherwise
        # diskcache raises anything for damaged rows: TypeError, ValueError, KeyError ...
        except Exception as error:  # noqa: BLE001  see above
            self._reset(error)
            return otherwise
        finally:
            self._mutex.release()

    def _remove(self, cache: diskcache.Cache) -> None:
        """Remove the keys that remove() left, before anything is read."""
        if not self._removed:
            return
        while self._removed:
            key = self._removed.pop()
            try:
                cache.clear() if key == _ALL else cache.delete(key)
            except BaseException:
                self._removed.add(key)
                raise
        self._count(cache)

    # Opening and closing the database. The caller holds the mutex, except in _begin().

    def _begin(self) -> None:
        """Open the database once no other process has it locked; a thread's job."""
        while not self._closing.is_set():
            try:
                opened = self._opened()
            except Exception as error:  # noqa: BLE001  as above
                if is_locked(error):
                    self.problem = (
                        f"{self._directory}: is locked by another program; nothing is stored meanwhile"
                    )
                    self._closing.wait(_PAUSE)
                    continue
                with self._mutex:
                    self._reset(error)
            else:
                with self._mutex:
                    self._database, self._cache = opened
                    self._count(self._cache)
                    self.problem = ""
            break
        with self._mutex:
            self._is_tried.set()
            if self._closing.is_set():
                self._shut()
                self._lock.close()

    def _opened(self) -> tuple[Database, diskcache.Cache]:
        """The database, created if missing, and the cache that uses it."""
        if self._directory.is_symlink():
            raise NotADirectoryError(f"{self._directory} is a link")
        self._directory.mkdir(mode=0o700, exist_ok=True)
        database, known = open_database(self._directory, self.limit)
        try:
            sweep(self._directory, known)
            cache = BytesCache(str(self._directory), database, size_limit=self.limit, **SETTINGS)
        except BaseException:
            database.close()
            raise
        cache.disk.most = HEADER_SIZE + self._largest
        return database, cache

    def _count(self, cache: diskcache.Cache) -> None:
        self.entries = len(cache)
        self.bytes = cache.volume()

    def _shut(self) -> None:
        if self._database is not None:
            self._database.close()
        self._database = self._cache = None

    def _reset(self, error: Exception) -> None:
        """Replace the damaged database by an empty one; give up when that happens too often."""
        self._shut()
        self.entries = self.bytes = 0
        self.damaged += 1
        self._resets += 1
        if self._resets > _MAX_RESETS:
            self.problem = f"{self._directory}: nothing is stored any more: {error}; check the disk"
            return
        aside = self._directory.with_suffix(".damaged")
        try:
            _discard(aside)
            self._directory.rename(aside)
            _discard(aside)
        except FileNotFoundError:
            pass  # the whole cache was removed
        except OSError as problem:
            self.problem = f"{self._directory}: {problem.strerror}; remove it"
            return
        try:
            self._database, self._cache = self._opened()
            self._count(self._cache)
        except Exception as again:  # noqa: BLE001  as above
            self._reset(again)


def _discard(path: Path) -> None:
    """Remove what is at ``path`` as far as possible; no link is followed."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _header(key: bytes, payload: Sequence[bytes | memoryview]) -> bytes:
    checksum = xxhash.xxh3_128(key)
    for part in payload:
        checksum.update(part)
    length = sum(len(part) for part in payload).to_bytes(8, "little")
    return b"".join((MAGIC, SCHEMA.to_bytes(2, "little"), bytes(2), length, checksum.digest()))


def _verified(key: bytes, value: bytes) -> memoryview | None:
    """The payload of a stored value; None if any byte of it has changed."""
    payload = memoryview(value)[HEADER_SIZE:]
    return payload if value[:HEADER_SIZE] == _header(key, (payload,)) else None
