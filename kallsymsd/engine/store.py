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

# A disk that keeps damaging the cache is not to be tried for ever.
_MAX_RESETS = 3

# Errors of writing that say nothing about what is stored already: busy, locked, read-only, full.
_HARMLESS = frozenset(
    {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_FULL}
)

# Seconds that clients' requests wait for the store to be open, counted from its making.
_FIRST = 0.5
# Seconds between two attempts to open what another process has locked.
_PAUSE = 0.5
# Seconds that a client's request waits for another thread to be done with the store; that others wait.
_SHORT, _LONG = 0.5, 10.0
# Seconds that closing waits for that.
_CLOSING = 1.0

# Stands for all keys.
_ALL = b""

_T = TypeVar("_T")


class StoreUnavailableError(Exception):
    """The cache directory cannot be used; the text names it, says why and what to do, in one line."""


class Store:
    """Bytes by key in a private directory, up to a limit. One process at a time uses a directory.

    Never raises after it was made: what is damaged is a miss, and the damaged thing is removed; when the
    database itself is damaged, or not one that we make, all of it is set aside and an empty one takes its
    place. Nor does it wait: it is opened in a thread of its own, and whoever comes before that is done has a
    miss; so has whoever finds it in use for too long.

    entries, bytes  what is stored now, as of the last change
    limit           bytes on disk above which the least recently stored entries go
    damaged         entries and databases that were found damaged
    evictions       entries that went because of the limit
    problem         why nothing is stored (any more); "" as long as all is well
    """

    def __init__(self, directory: Path, limit: int = DEFAULT_LIMIT, *, patience: float = 30.0) -> None:
        """Open or make the store below ``directory``, which is made 0700 and must be ours alone.

        Waits until it is open, ``patience`` seconds at most; it goes on opening after that. Raises
        StoreUnavailableError when another process uses it or it lies on a remote file system, and
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
        self._largest = limit // 4
        self._cache: diskcache.Cache | None = None
        self._database: Database | None = None
        # Keys that were removed while the database could not be asked, or are about to be.
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
        """Whether it is not open yet; it may be later."""
        return not self._is_tried.is_set()

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

        if self.is_opening:
            self._is_tried.wait(max(0.0, self._first - time.monotonic()))
        return self._guarded(fetch, otherwise=None, is_awaited=True)

    def put(self, key: bytes, *payload: bytes) -> bool:
        """Store the parts of ``payload``, one after the other, under ``key``; whether that worked.

        Payloads above a quarter of the limit are not worth what they would push out.
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
        """Remove the entry under ``key``, as damaged: its bytes are as they were put, but make no sense."""
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
        """Close the store and let others use its directory. What takes longer than a second is left to the
        end of the process.
        """
        self._closing.set()
        if not self._mutex.acquire(timeout=_CLOSING):
            return
        try:
            # Else the thread that opens it still works there: it does the rest.
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
            if not self._directory.exists():  # somebody has emptied the cache directory
                self._reset(error)
            return otherwise
        except diskcache.Timeout:  # a transaction could not begin
            return otherwise
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF not in _HARMLESS:
                self._reset(error)
            return otherwise
        # What diskcache raises on damaged rows is of every kind: TypeError, ValueError, KeyError ...
        except Exception as error:  # noqa: BLE001  see above
            self._reset(error)
            return otherwise
        finally:
            self._mutex.release()

    def _remove(self, cache: diskcache.Cache) -> None:
        """Do what remove() has noted, before anything is asked for."""
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

    # Opening and closing the database; but for the waiting, the caller holds the mutex.

    def _begin(self) -> None:
        """Open the database as soon as nobody has it locked: the job of a thread."""
        while not self._closing.is_set():
            try:
                opened = self._opened()
            except Exception as error:  # noqa: BLE001  as above
                if is_locked(error):
                    self.problem = (
                        f"{self._directory}: is locked by another program; nothing is stored until it is done"
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
        """The database, which is made if there is none, and what uses it."""
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
        """Set the damaged database aside and begin an empty one; give up when that happens too often."""
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
            pass  # somebody removed the whole cache
        except OSError as problem:
            self.problem = f"{self._directory}: {problem.strerror}; remove it"
            return
        try:
            self._database, self._cache = self._opened()
            self._count(self._cache)
        except Exception as again:  # noqa: BLE001  as above
            self._reset(again)


def _discard(path: Path) -> None:
    """Remove what is at ``path``, as far as that goes; no link is followed."""
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
    """The payload of a stored value, or None if one byte of it is not as it was put."""
    payload = memoryview(value)[HEADER_SIZE:]
    return payload if value[:HEADER_SIZE] == _header(key, (payload,)) else None
