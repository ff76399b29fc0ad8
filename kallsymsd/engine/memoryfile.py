# SPDX-License-Identifier: GPL-2.0-only
"""Sealed memory files, which are sent to clients and which answers may share."""

import errno
import fcntl
import os
import threading
import weakref
from collections.abc import Iterable

from kallsymsd.core.front import Front
from kallsymsd.protocol.wire import Value, put

_SEALS = fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE
#: Since Linux kernel commit 105ff5339f49 ("mm/memfd: add MFD_NOEXEC_SEAL and MFD_EXEC") (in v6.3); the kernel
#: refuses memory files without it where vm.memfd_noexec is 2.
_MFD_NOEXEC_SEAL = 0x0008

#: Bytes from which a front gets a file of its own: making a file takes as long as writing that much, and a
#: process has only a few thousand descriptors.
LEAST_FRONT = 64 << 10

#: Most files of fronts at a time. A tree's state or its answers hold one; further fronts are not shared.
MOST_FRONTS = 256


class MemoryFile(Value):
    """A memory file that can no longer be changed. It is closed when this object is collected.

    All readers share one file offset: they must pass offsets (pread, sendfile) and never move it.

    descriptor  the file, open for reading and writing
    size        bytes
    """

    __slots__ = ("__weakref__", "descriptor", "size")

    descriptor: int
    size: int

    def __init__(self, parts: Iterable[bytes | memoryview]) -> None:
        """Write ``parts`` one after the other. OSError without memory or a descriptor."""
        descriptor = _create()
        close = weakref.finalize(self, os.close, descriptor)
        size = 0
        try:
            for part in parts:
                rest = memoryview(part)
                size += len(rest)
                while rest:
                    rest = rest[os.write(descriptor, rest) :]
            fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, _SEALS)
        except BaseException:
            close()
            raise
        put(self, "descriptor", descriptor)
        put(self, "size", size)

    def read(self, start: int, size: int) -> bytes:
        """``size`` bytes from ``start``; OSError unless they can be read at once (at most 2 GiB)."""
        content = os.pread(self.descriptor, size, start)
        if len(content) != size:
            raise OSError(errno.EFBIG, f"{size} bytes of an answer cannot be read back")
        return content


class Fronts:
    """Memory files of fronts, each made once.

    A file lives as long as its front, which the tree's state holds, or as long as an answer holds the file.
    """

    def __init__(self, least: int = LEAST_FRONT, most: int = MOST_FRONTS) -> None:
        """Fronts below ``least`` bytes get no file, and none gets one while there are ``most`` files."""
        self._least = least
        self._most = most
        self._files: weakref.WeakKeyDictionary[Front, MemoryFile] = weakref.WeakKeyDictionary()
        self._lock = threading.Lock()

    def file(self, front: Front) -> MemoryFile | None:
        """The file with the tables of ``front`` in a row; None if it gets none. OSError as above."""
        with self._lock:
            known = self._files.get(front)
            is_full = len(self._files) >= self._most
        if known is not None:
            return known
        if is_full or sum(len(table) for table in front.tables.values()) < self._least:
            return None
        made = MemoryFile(front.tables.values())
        with self._lock:  # another thread may have been faster
            return self._files.setdefault(front, made)


def _create() -> int:
    """Descriptor of a new memory file."""
    flags = os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING
    try:
        return os.memfd_create("kallsyms", flags | _MFD_NOEXEC_SEAL)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        return os.memfd_create("kallsyms", flags)
