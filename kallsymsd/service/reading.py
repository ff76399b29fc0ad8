# SPDX-License-Identifier: GPL-2.0-only
"""Reads a map from a descriptor that a client sent."""

import os
import stat
from pathlib import Path

#: Largest map, in bytes; an amd64 kernel with everything in it has about 15 MB.
MAX_MAP = 1 << 30

# A map that somebody writes while we read is read again this often.
_ATTEMPTS = 3


class UnreadableError(Exception):
    """The descriptor does not give a map; the text says why, in one line."""


def read_map(descriptor: int) -> bytes:
    """Contents of the file.

    Read, never mapped: a mapping of a file that is cut short kills the process. Named offsets, since the
    client shares the file's position. Raises UnreadableError for anything but a regular file of at most
    MAX_MAP bytes that is open for reading and keeps still.
    """
    for _ in range(_ATTEMPTS):
        content = _read_still(descriptor, _size(descriptor))
        if content is not None:
            return content
    raise UnreadableError("the map changes while it is read")


def _size(descriptor: int) -> int:
    """Size of the file; UnreadableError unless it can be a map."""
    try:
        status = os.fstat(descriptor)
    except OSError as error:
        raise UnreadableError(f"the map cannot be read: {error.strerror}") from error
    if not stat.S_ISREG(status.st_mode):
        raise UnreadableError("the map is not a regular file")
    if status.st_size > MAX_MAP:
        raise UnreadableError(f"the map has {status.st_size} bytes, the most is {MAX_MAP}")
    return status.st_size


def _read_still(descriptor: int, size: int) -> bytes | None:
    """All ``size`` bytes of the file; None if it changed meanwhile."""
    try:
        before = os.fstat(descriptor)
        content = _pread(descriptor, size)
        after = os.fstat(descriptor)
    except OSError as error:
        raise UnreadableError(f"the map cannot be read: {error.strerror}") from error
    return content if len(content) == after.st_size and _identity(before) == _identity(after) else None


def is_path_of(path: bytes, descriptor: int) -> bool:
    """Whether ``path`` names the open file; a client's word for it does not count."""
    try:
        named, opened = Path(os.fsdecode(path)).stat(), os.fstat(descriptor)
    except (OSError, ValueError):
        return False
    return (named.st_dev, named.st_ino) == (opened.st_dev, opened.st_ino)


def _identity(status: os.stat_result) -> tuple[int, int, int]:
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _pread(descriptor: int, size: int) -> bytes:
    """The first ``size`` bytes of the file, or what there is; in one piece, as MAX_MAP is below 2 GiB."""
    return os.pread(descriptor, size, 0)
