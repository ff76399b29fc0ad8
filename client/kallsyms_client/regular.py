# SPDX-License-Identifier: GPL-2.0-only
"""Opening files whose path somebody else can influence: regular files only, and without waiting.

A lock, a log, a cached value, a map: each may be a pipe, a device or a link by now. A file is read to its
end, whatever its size is said to be: procfs and FUSE say 0.
"""

import errno
import posix

_KIND = 0o170000  # S_IFMT; the module stat is not worth its import
_REGULAR = 0o100000
_CHUNK = 1 << 20


def open_regular(path: bytes | str, flags: int = posix.O_RDONLY, *, follow: bool) -> int:
    """Descriptor of the regular file at ``path``, opened with ``flags``, made with mode 0600 if they say so.

    ``follow`` allows the last part of the path to be a symbolic link; say no within directories of ours.
    Raises OSError, EINVAL "not a regular file" for what is none: that is not waited for, nor is it read.
    """
    flags |= posix.O_NONBLOCK | posix.O_NOCTTY | posix.O_CLOEXEC
    descriptor = posix.open(path, flags if follow else flags | posix.O_NOFOLLOW, 0o600)
    try:
        if posix.fstat(descriptor).st_mode & _KIND != _REGULAR:
            raise OSError(errno.EINVAL, "not a regular file", path)
    except BaseException:
        posix.close(descriptor)
        raise
    return descriptor


def read_to_end(descriptor: int, most: int) -> bytes:
    """All of a regular file, its offset left alone; OSError, EFBIG "more than N bytes" where it has more."""
    chunks = []
    done = 0
    while chunk := posix.pread(descriptor, min(_CHUNK, most + 1 - done), done):
        chunks.append(chunk)
        done += len(chunk)
        if done > most:
            raise OSError(errno.EFBIG, f"more than {most} bytes")
    return b"".join(chunks)


def read_regular(path: bytes | str, most: int, *, follow: bool) -> bytes:
    """All of the regular file at ``path``, which may have ``most`` bytes; OSError as above."""
    descriptor = open_regular(path, follow=follow)
    try:
        return read_to_end(descriptor, most)
    finally:
        posix.close(descriptor)
