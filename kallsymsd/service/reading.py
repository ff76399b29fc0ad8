# SPDX-License-Identifier: GPL-2.0-only
"""Reads a map or a linked kernel from a client's descriptor."""

import os
import stat
from collections.abc import Callable, Sequence

from kallsymsd.core.dialects import Dialect
from kallsymsd.core.errors import InputError
from kallsymsd.protocol.regular import Reader, is_longer, read_to_end

#: Largest map, in bytes; an amd64 kernel with everything in it has about 15 MB.
MAX_MAP = 1 << 30

# How often a map is read if it changes meanwhile.
_ATTEMPTS = 3

# Bytes compared with a known map at a time; they stay in the CPU core's own cache.
_PIECE = 256 << 10
# Bytes at the end, compared first: where addresses moved, they moved there too.
_END = 4096

#: Contents of known maps of a size in bytes, which the file may have, the likeliest first.
Alike = Callable[[int], Sequence[bytes]]


class UnreadableError(Exception):
    """The input cannot be read from the descriptor; the text says why, in one line."""


def _none_alike(_size: int) -> Sequence[bytes]:
    return ()


def read_map(descriptor: int, alike: Alike = _none_alike) -> bytes:
    """Contents of the file; the very object that ``alike`` returned if they are the same.

    A known map then takes no new memory, which would cost more than comparing. The file is read and never
    mapped: accessing a mapping of a truncated file kills the process. It is read at explicit offsets, since
    the client shares its file position. Raises UnreadableError for anything but a regular file of at most
    MAX_MAP bytes that is open for reading and does not change. The file is read to its end, whatever its size
    is said to be (0 in procfs).
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
    """The map of the linked kernel in the file, as ``dialect``'s build makes it with ``nm``.

    ``nm`` says which nm that is (kallsymsd.elf.nm). Only headers and symbols of the file are read, in the
    same way as a map. Raises UnreadableError for anything but a regular file that is open for reading and
    does not change, and InputError if the file is not a linked kernel.
    """
    from kallsymsd.elf import vmlinux  # noqa: PLC0415  the daemon listens before this is loaded

    def read(size: int) -> bytes:
        reader = Reader(descriptor, size)
        return vmlinux.map_text(reader.read, reader.size, dialect, nm)

    return _read_still(descriptor, "ELF file", read)


def _read_still(descriptor: int, what: str, read: Callable[[int], bytes]) -> bytes:
    """The result of ``read``, called with the file's size, once the file does not change meanwhile.

    If the file changed, an InputError of ``read`` does not count, and the file is read again.
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
    """Whether ``path`` names the open file; the client's word is not trusted."""
    try:
        named, opened = os.stat(path), os.fstat(descriptor)  # noqa: PTH116  a Path costs more than the rest
    except (OSError, ValueError):
        return False
    return (named.st_dev, named.st_ino) == (opened.st_dev, opened.st_ino)


def _likeliest(descriptor: int, size: int, known: Sequence[bytes]) -> bytes | None:
    """The first of ``known`` that ends like the file, which has that size."""
    if not known:
        return None
    end = os.pread(descriptor, _END, max(0, size - _END))
    return next((each for each in known if each.endswith(end)), None)


def _has(descriptor: int, content: bytes) -> bool:
    """Whether the file begins with this ``content``."""
    piece = memoryview(bytearray(min(_PIECE, len(content))))
    at = 0
    while at < len(content):
        count = os.preadv(descriptor, [piece], at)
        # The file is shorter, or differs here. startswith() copies nothing.
        if not count or not content.startswith(piece[:count], at):
            return False
        at += count
    return True


def _identity(status: os.stat_result) -> tuple[int, int, int]:
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _pread(descriptor: int, size: int) -> bytes:
    """The whole file, which is said to have ``size`` bytes."""
    return read_to_end(descriptor, MAX_MAP, size)
