# SPDX-License-Identifier: GPL-2.0-only
"""Reads a map, or a linked kernel, from a descriptor that a client sent."""

import os
import stat
from collections.abc import Callable

from kallsymsd.core.dialects import Dialect
from kallsymsd.core.errors import InputError

#: Largest map, in bytes; an amd64 kernel with everything in it has about 15 MB.
MAX_MAP = 1 << 30

# A map that somebody writes while we read is read again this often.
_ATTEMPTS = 3


class UnreadableError(Exception):
    """The descriptor does not give an input; the text says why, in one line."""


def read_map(descriptor: int) -> bytes:
    """Contents of the file.

    Read, never mapped: a mapping of a file that is cut short kills the process. Named offsets, since the
    client shares the file's position. Raises UnreadableError for anything but a regular file of at most
    MAX_MAP bytes that is open for reading and keeps still.
    """

    def read(size: int) -> bytes | None:
        if size > MAX_MAP:
            raise UnreadableError(f"the map has {size} bytes, the most is {MAX_MAP}")
        content = _pread(descriptor, size)
        return content if len(content) == size else None

    return _read_still(descriptor, "map", read)


def read_elf(descriptor: int, dialect: Dialect, nm: int = 0) -> bytes:
    """The map of the linked kernel in the file, as ``dialect``'s build makes it with that ``nm``.

    ``nm`` says whose it is (kallsymsd.core.nm).
    Of the file only headers and symbols are read, as a map is. Raises UnreadableError for anything but a
    regular file that is open for reading and keeps still, and InputError for what is no linked kernel.
    """
    from kallsymsd.core import vmlinux  # noqa: PLC0415  the daemon listens before that is loaded

    def read(size: int) -> bytes:
        return vmlinux.map_text(
            lambda buffer, offset: os.preadv(descriptor, [buffer], offset), size, dialect, nm
        )

    return _read_still(descriptor, "ELF file", read)


def _read_still(descriptor: int, what: str, read: Callable[[int], bytes | None]) -> bytes:
    """What ``read`` makes of a file of the size it is given, once that does not change meanwhile.

    None says that it did. What fails to be read, in a file that changed, is read again.
    """
    for _ in range(_ATTEMPTS):
        try:
            before = os.fstat(descriptor)
            if not stat.S_ISREG(before.st_mode):
                raise UnreadableError(f"the {what} is not a regular file")
            problem = None
            try:
                content = read(before.st_size)
            except InputError as error:
                content, problem = None, error
            after = os.fstat(descriptor)
        except OSError as error:
            raise UnreadableError(f"the {what} cannot be read: {error.strerror}") from error
        if _identity(before) == _identity(after):
            if problem is not None:
                raise problem
            if content is not None:
                return content
    raise UnreadableError(f"the {what} changes while it is read")


def is_path_of(path: bytes, descriptor: int) -> bool:
    """Whether ``path`` names the open file; a client's word for it does not count."""
    try:
        named, opened = os.stat(path), os.fstat(descriptor)  # noqa: PTH116  a Path costs more than the rest
    except (OSError, ValueError):
        return False
    return (named.st_dev, named.st_ino) == (opened.st_dev, opened.st_ino)


def _identity(status: os.stat_result) -> tuple[int, int, int]:
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _pread(descriptor: int, size: int) -> bytes:
    """The first ``size`` bytes of the file, or what there is; in one piece, as MAX_MAP is below 2 GiB."""
    return os.pread(descriptor, size, 0)
