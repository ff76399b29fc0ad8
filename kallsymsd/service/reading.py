# SPDX-License-Identifier: GPL-2.0-only
"""Reads a map, or a linked kernel, from a descriptor that a client sent."""

import os
import stat
from collections.abc import Callable, Sequence

from kallsymsd.core.dialects import Dialect
from kallsymsd.core.errors import InputError
from kallsymsd.protocol.regular import Reader, is_longer, read_to_end

#: Largest map, in bytes; an amd64 kernel with everything in it has about 15 MB.
MAX_MAP = 1 << 30

# A map that somebody writes while we read is read again this often.
_ATTEMPTS = 3

# Bytes that are compared with a known map at a time: they stay in the core's own cache.
_PIECE = 256 << 10
# Bytes at the end that are compared first. What moved in a map has moved there, too.
_END = 4096

#: Contents of maps of a size in bytes that the file may well have once more, the likeliest first.
Alike = Callable[[int], Sequence[bytes]]


class UnreadableError(Exception):
    """The descriptor does not give an input; the text says why, in one line."""


def _none_alike(_size: int) -> Sequence[bytes]:
    return ()


def read_map(descriptor: int, alike: Alike = _none_alike) -> bytes:
    """Contents of the file; the very object that ``alike`` gave, where they are the same.

    No memory is taken for them then, which would cost more than comparing. Read, never mapped: a mapping of a
    file that is cut short kills the process. Named offsets, since the client shares the file's position.
    Raises UnreadableError for anything but a regular file of at most MAX_MAP bytes that is open for reading
    and keeps still. It has what can be read of it, whatever its size is said to be (0, in procfs).
    """

    def read(size: int) -> bytes:
        if size > MAX_MAP:
            raise UnreadableError(f"the map has {size} bytes, the most is {MAX_MAP}")
        known = _likeliest(descriptor, size, alike(size))
        if known is not None and _has(descriptor, known) and not is_longer(descriptor, size):
            return known
        return _pread(descriptor, size)

    return _read_still(descriptor, "map", read)


def read_elf(descriptor: int, dialect: Dialect, nm: int = 0) -> bytes:
    """The map of the linked kernel in the file, as ``dialect``'s build makes it with that ``nm``.

    ``nm`` says whose it is (kallsymsd.elf.nm).
    Of the file only headers and symbols are read, as a map is. Raises UnreadableError for anything but a
    regular file that is open for reading and keeps still, and InputError for what is no linked kernel.
    """
    from kallsymsd.elf import vmlinux  # noqa: PLC0415  the daemon listens before that is loaded

    def read(size: int) -> bytes:
        reader = Reader(descriptor, size)
        return vmlinux.map_text(reader.read, reader.size, dialect, nm)

    return _read_still(descriptor, "ELF file", read)


def _read_still(descriptor: int, what: str, read: Callable[[int], bytes]) -> bytes:
    """What ``read`` makes of a file of the size it is given, once that does not change meanwhile.

    What fails to be read, in a file that changed, is read again.
    """
    for _ in range(_ATTEMPTS):
        try:
            before = os.fstat(descriptor)
            if not stat.S_ISREG(before.st_mode):
                raise UnreadableError(f"the {what} is not a regular file")
            content, problem = b"", None
            try:
                content = read(before.st_size)
            except InputError as error:
                problem = error
            after = os.fstat(descriptor)
        except OSError as error:
            raise UnreadableError(f"the {what} cannot be read: {error.strerror}") from error
        if _identity(before) == _identity(after):
            if problem is not None:
                raise problem
            return content
    raise UnreadableError(f"the {what} changes while it is read")


def is_path_of(path: bytes, descriptor: int) -> bool:
    """Whether ``path`` names the open file; a client's word for it does not count."""
    try:
        named, opened = os.stat(path), os.fstat(descriptor)  # noqa: PTH116  a Path costs more than the rest
    except (OSError, ValueError):
        return False
    return (named.st_dev, named.st_ino) == (opened.st_dev, opened.st_ino)


def _likeliest(descriptor: int, size: int, known: Sequence[bytes]) -> bytes | None:
    """The first of ``known`` that ends as the file of that size does."""
    if not known:
        return None
    end = os.pread(descriptor, _END, max(0, size - _END))
    return next((each for each in known if each.endswith(end)), None)


def _has(descriptor: int, content: bytes) -> bool:
    """Whether the file has this ``content``, as far as that goes."""
    piece = memoryview(bytearray(min(_PIECE, len(content))))
    at = 0
    while at < len(content):
        count = os.preadv(descriptor, [piece], at)
        # Cut short; or, since startswith() copies nothing, there is what differs.
        if not count or not content.startswith(piece[:count], at):
            return False
        at += count
    return True


def _identity(status: os.stat_result) -> tuple[int, int, int]:
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _pread(descriptor: int, size: int) -> bytes:
    """All of the file, which is said to have ``size`` bytes."""
    return read_to_end(descriptor, MAX_MAP, size)
