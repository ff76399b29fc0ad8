# SPDX-License-Identifier: GPL-2.0-only
"""The part of diskcache that turns values into rows and files, cut down to bytes.

diskcache itself pickles what it has no column type for and unpickles whatever a row claims to be pickled
(CVE-2025-69872; there is no fixed release). Here every way in and out accepts bytes only, so a planted row is
an error. Value files are regular ones below the directory, reached through no link. One that was shortened is
returned as it is, which the checksum in store.py takes care of.
"""

import contextlib
import errno
import os
import re
import sqlite3
import stat
from collections.abc import Iterator
from pathlib import Path

import diskcache
from diskcache.core import ENOVAL, MODE_BINARY

from kallsymsd.protocol.regular import read_regular, write_new

#: Largest value that is written or read, in bytes.
MAX_VALUE = 1 << 30

# What Disk.filename makes; anything else in a row could lead outside of the cache.
_FILENAME = re.compile(r"([0-9a-f]{2})/([0-9a-f]{2})/([0-9a-f]{28}\.val)")
_BELOW = re.compile(r"[0-9a-f]{2}")


class DamagedError(Exception):
    """The database holds something that was never put there by this class."""


class BytesDisk(diskcache.Disk):  # type: ignore[misc]  # diskcache has no types
    """Keys are bytes in the row, values are bytes in a file each.

    most  bytes that are read of one
    """

    most = MAX_VALUE

    def put(self, key: object) -> tuple[bytes, bool]:
        """Row form of a key."""
        if type(key) is not bytes:
            raise TypeError(f"key of type {type(key).__name__}; keys are bytes")
        return key, True

    def get(self, key: object, raw: object) -> bytes:
        """The key of a row (iteration comes here); DamagedError unless :meth:`put` could have made it."""
        if raw != 1 or type(key) is not bytes:
            raise DamagedError("key that is not bytes")
        return key

    def store(self, value: object, read: object, key: object = None) -> tuple[int, int, str, None]:
        """Write a value, given in pieces, to a file of its own; size, mode, file name and row value."""
        if type(value) is not tuple or not all(type(piece) is bytes for piece in value) or read:
            raise TypeError(f"value of type {type(value).__name__}; values are tuples of bytes")
        size = sum(len(piece) for piece in value)
        if size > MAX_VALUE:
            raise ValueError(f"value of {size} bytes; the most is {MAX_VALUE}")
        filename, _ = self.filename(key, value)
        try:
            self._write(filename, value)
        except OSError:
            self.remove(filename)  # the directories, if nothing is in them
            raise
        return size, MODE_BINARY, filename, None

    def fetch(self, mode: object, filename: object, value: object, read: object) -> bytes:
        """Read a value. DamagedError unless the row is of the one kind that :meth:`store` makes.

        OSError when the file is missing or cannot be read.
        """
        if mode != MODE_BINARY or value is not None or read:
            raise DamagedError(f"value of mode {mode!r}")
        return read_regular(str(self._path(filename)), self.most, follow=False)

    def remove(self, file_path: object) -> None:
        """Remove a value's file, and directories that are empty then; a missing file is no error."""
        with contextlib.suppress(OSError):
            path = self._path(file_path)
            path.unlink(missing_ok=True)
            path.parent.rmdir()
            path.parent.parent.rmdir()

    def _write(self, filename: str, pieces: tuple[bytes, ...]) -> None:
        write_new(str(self._path(filename, make=True)), *pieces)

    def _path(self, filename: object, *, make: bool = False) -> Path:
        """Path of a value file; ``make`` its directories. OSError where one of them is a link, or none."""
        match = _FILENAME.fullmatch(filename) if isinstance(filename, str) else None
        if match is None:
            raise DamagedError(f"value file named {filename!r}")
        path = Path(self._directory)
        for name in match.group(1, 2):
            path /= name
            if make:
                with contextlib.suppress(FileExistsError):
                    path.mkdir(mode=0o700)
            if not stat.S_ISDIR(path.lstat().st_mode):
                raise NotADirectoryError(errno.ENOTDIR, "not a directory", str(path))
        return path / match[3]


class BytesCache(diskcache.Cache):  # type: ignore[misc]  # as above
    """A cache with such a disk, for all threads, on a connection that the caller makes and closes.

    What diskcache does with connections is left out: it retries for a minute what another process has locked,
    and has SQLite do what the database says.
    """

    def __init__(self, directory: str, connection: sqlite3.Connection, **settings: object) -> None:
        self._connection = connection
        super().__init__(directory, disk=BytesDisk, **settings)

    @property
    def _con(self) -> sqlite3.Connection:
        return self._connection

    @property
    def _sql_retry(self) -> object:
        return self._connection.execute

    def close(self) -> None:
        """Nothing."""

    def reset(self, key: str, value: object = ENOVAL, update: bool = True) -> object:  # noqa: FBT001, FBT002  diskcache's
        """As diskcache's, but nothing is said to SQLite."""
        return value if key.startswith("sqlite_") else super().reset(key, value, update)


def sweep(directory: Path, known: set[str]) -> None:
    """Remove value files that are not ``known``, which a killed daemon leaves; and links that lie where their
    directories belong. No link is followed.
    """
    for outer in _scan(directory):
        for inner in _scan(outer):
            for path in inner.iterdir():
                if path.suffix == ".val" and str(path.relative_to(directory)) not in known:
                    with contextlib.suppress(IsADirectoryError):
                        path.unlink()


def _scan(directory: Path) -> Iterator[Path]:
    """The directories in one that value files can be in."""
    with os.scandir(directory) as entries:
        for entry in list(entries):
            if _BELOW.fullmatch(entry.name):
                if entry.is_dir(follow_symlinks=False):
                    yield Path(entry)
                else:
                    Path(entry).unlink()
