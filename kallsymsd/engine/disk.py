# SPDX-License-Identifier: GPL-2.0-only
"""The part of diskcache that turns values into rows and files, cut down to bytes.

diskcache itself pickles what it has no column type for and unpickles whatever a row claims to be pickled
(CVE-2025-69872; there is no fixed release). Here every way in and out accepts bytes only, so a planted row is
an error. It also returns a shortened file as it is, which the checksum in store.py takes care of.
"""

import os
import re
from pathlib import Path

import diskcache
from diskcache.core import MODE_BINARY

#: Largest value that is written or read, in bytes.
MAX_VALUE = 1 << 30

# What Disk.filename makes; anything else in a row could lead outside of the cache.
_FILENAME = re.compile(r"[0-9a-f]{2}/[0-9a-f]{2}/[0-9a-f]{28}\.val")


class DamagedError(Exception):
    """The database holds something that was never put there by this class."""


class BytesDisk(diskcache.Disk):  # type: ignore[misc]  # diskcache has no types
    """Keys are bytes in the row, values are bytes in a file each."""

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
        filename, path = self.filename(key, value)
        try:
            self._write(path, value, "xb")
        except OSError:
            self.remove(filename)  # a full disk: leave no part behind that no row knows of
            raise
        return size, MODE_BINARY, filename, None

    def fetch(self, mode: object, filename: object, value: object, read: object) -> bytes:
        """Read a value. DamagedError unless the row is of the one kind that :meth:`store` makes.

        OSError when the file is gone.
        """
        if mode != MODE_BINARY or value is not None or read:
            raise DamagedError(f"value of mode {mode!r}")
        with self._path(filename).open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            if size > MAX_VALUE:
                raise DamagedError(f"value file {filename} is too large")
            return os.pread(file.fileno(), size, 0)

    def remove(self, file_path: object) -> None:
        """Remove a value's file; one that is gone already is no error."""
        self._path(file_path)
        super().remove(file_path)

    def _path(self, filename: object) -> Path:
        if not isinstance(filename, str) or not _FILENAME.fullmatch(filename):
            raise DamagedError(f"value file named {filename!r}")
        return Path(self._directory, filename)


class BytesCache(diskcache.Cache):  # type: ignore[misc]  # as above
    """A cache of such a disk. One that cannot be opened leaves no connection to its database behind."""

    def __init__(self, directory: str, **settings: object) -> None:
        try:
            super().__init__(directory, disk=BytesDisk, **settings)
        except BaseException:
            self.close()
            raise
