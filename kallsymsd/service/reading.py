# SPDX-License-Identifier: GPL-2.0-only
"""Reads a map from a descriptor that a client sent."""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

#: Largest map, in bytes; an amd64 kernel with everything in it has about 15 MB.
MAX_MAP = 1 << 30

# A buffer above this size is not kept for the next map.
_KEEP = 64 << 20

# A map that somebody writes while we read is read again this often.
_ATTEMPTS = 3


class UnreadableError(Exception):
    """The descriptor does not give a map; the text says why, in one line."""


class MapReader:
    """Reads maps into buffers that are used again.

    Fresh memory for 7 MB costs more than reading them (page faults). There are as many buffers as maps were
    ever read at the same time.
    """

    def __init__(self) -> None:
        self._buffers: list[bytearray] = []

    @contextmanager
    def read(self, descriptor: int) -> Iterator[memoryview]:
        """Contents of the file, while the context lasts.

        Read, never mapped: a mapping of a file that is cut short kills the process. Named offsets, since
        the client shares the file's position. Raises UnreadableError for anything but a regular file of at
        most MAX_MAP bytes that is open for reading and keeps still.
        """
        size = _size(descriptor)
        buffer = self._take(size)
        try:
            for _ in range(_ATTEMPTS):
                content = _read_still(descriptor, memoryview(buffer))
                if content is not None:
                    break
            else:
                raise UnreadableError("the map changes while it is read")
            yield content
        finally:
            if len(buffer) <= _KEEP:
                self._buffers.append(buffer)

    def _take(self, size: int) -> bytearray:
        try:
            buffer = self._buffers.pop()
        except IndexError:
            buffer = bytearray()
        # Some room to spare: the map of the next build may be a bit longer.
        return buffer if len(buffer) >= size else bytearray(size + size // 8)


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


def _read_still(descriptor: int, buffer: memoryview) -> memoryview | None:
    """All of the file, in ``buffer``; None if it changed meanwhile, or does not fit."""
    try:
        before = os.fstat(descriptor)
        content = buffer[: before.st_size]
        complete = _fill(descriptor, content)
        after = os.fstat(descriptor)
    except OSError as error:
        raise UnreadableError(f"the map cannot be read: {error.strerror}") from error
    still = complete and len(content) == after.st_size and _identity(before) == _identity(after)
    return content if still else None


def is_path_of(path: bytes, descriptor: int) -> bool:
    """Whether ``path`` names the open file; a client's word for it does not count."""
    try:
        named, opened = Path(os.fsdecode(path)).stat(), os.fstat(descriptor)
    except (OSError, ValueError):
        return False
    return (named.st_dev, named.st_ino) == (opened.st_dev, opened.st_ino)


def _identity(status: os.stat_result) -> tuple[int, int, int]:
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _fill(descriptor: int, content: memoryview) -> bool:
    """Read the start of the file into ``content``; False if the file ends earlier."""
    at = 0
    while at < len(content):
        count = os.preadv(descriptor, [content[at:]], at)
        if count == 0:
            return False
        at += count
    return True
