# SPDX-License-Identifier: GPL-2.0-only
"""Opening files whose path somebody else can influence: regular files only, and without waiting.

A lock, a log, a cached value, a map: each may be a pipe, a device or a link by now. Who opens one goes
through here (a test sees to that). The file is read to its end, whatever its size is said to be: procfs and
FUSE say 0.
"""

import errno
import posix

TYPE_CHECKING = False  # typing is not worth its import
if TYPE_CHECKING:
    from os import PathLike

_KIND = 0o170000  # S_IFMT; the module stat is not worth its import
_REGULAR = 0o100000
_DIRECTORY = 0o040000
_CHUNK = 1 << 20


def open_regular(
    path: "bytes | str | PathLike[str]", flags: int = posix.O_RDONLY, mode: int = 0o600, *, follow: bool
) -> int:
    """Descriptor of the regular file at ``path``, opened with ``flags``, made with ``mode`` if they say so.

    ``follow`` allows the last part of the path to be a symbolic link; say no within directories of ours.
    Raises OSError, EINVAL "not a regular file" for what is none: that is not waited for, nor is it read. For
    a directory that is EISDIR.
    """
    flags |= posix.O_NONBLOCK | posix.O_NOCTTY | posix.O_CLOEXEC
    descriptor = posix.open(path, flags if follow else flags | posix.O_NOFOLLOW, mode)
    try:
        kind = posix.fstat(descriptor).st_mode & _KIND
        if kind == _DIRECTORY:
            raise OSError(errno.EISDIR, "Is a directory", path)
        if kind != _REGULAR:
            raise OSError(errno.EINVAL, "not a regular file", path)
    except BaseException:
        posix.close(descriptor)
        raise
    return descriptor


def read_to_end(descriptor: int, most: int, said: int = 0) -> bytes:
    """All of a regular file, its offset left alone; OSError, EFBIG "more than N bytes" where it has more.

    ``said`` is its size as fstat() has it: if that is true, it is read in one piece, which costs half.
    """
    chunks = []
    done = 0
    while chunk := posix.pread(descriptor, min(max(said + 1 - done, _CHUNK), most + 1 - done), done):
        chunks.append(chunk)
        done += len(chunk)
        if done > most:
            raise OSError(errno.EFBIG, f"more than {most} bytes")
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def read_regular(path: "bytes | str | PathLike[str]", most: int, *, follow: bool) -> bytes:
    """All of the regular file at ``path``, which may have ``most`` bytes; OSError as above."""
    descriptor = open_regular(path, follow=follow)
    try:
        return read_to_end(descriptor, most, posix.fstat(descriptor).st_size)
    finally:
        posix.close(descriptor)


def is_longer(descriptor: int, size: int) -> bool:
    """Whether a regular file has more than the ``size`` that it is said to have."""
    return bool(posix.pread(descriptor, 1, size))


class Reader:
    """Reads at offsets of a regular file; all of it at once, where that says that it is empty and is not.

    size  bytes in the file
    """

    __slots__ = ("_descriptor", "_whole", "size")

    def __init__(self, descriptor: int, size: int, most: int = 1 << 30) -> None:
        """``size`` is what fstat() says; OSError, EFBIG for more than ``most`` bytes to be read at once."""
        self.size = size
        self._descriptor = descriptor
        self._whole = b""
        if not size and is_longer(descriptor, size):
            self._whole = read_to_end(descriptor, most)
            self.size = len(self._whole)

    def read(self, buffer: memoryview, offset: int) -> int:
        """Read into ``buffer`` from ``offset`` on; how many bytes that were."""
        if not self._whole:
            return posix.preadv(self._descriptor, [buffer], offset)
        part = self._whole[offset : offset + len(buffer)]
        buffer[: len(part)] = part
        return len(part)


def write_regular(path: "bytes | str | PathLike[str]", *pieces: bytes, mode: int = 0o600) -> None:
    """Make ``pieces`` all that is in the regular file at ``path``, or in a new one; OSError as above.

    A symbolic link is refused. Who watches the file sees it written again.
    """
    _fill(open_regular(path, posix.O_WRONLY | posix.O_CREAT | posix.O_TRUNC, mode, follow=False), pieces)


def write_new(path: "bytes | str | PathLike[str]", *pieces: bytes, mode: int = 0o600) -> None:
    """Put ``pieces`` into a new file at ``path``, in the place of whatever is there, a directory excepted.

    For files that get their names by a rename. OSError when that fails; then there is none.
    """
    try:
        posix.unlink(path)
    except FileNotFoundError:
        pass
    descriptor = open_regular(path, posix.O_WRONLY | posix.O_CREAT | posix.O_EXCL, mode, follow=False)
    try:
        _fill(descriptor, pieces)
    except BaseException:
        posix.unlink(path)
        raise


def _fill(descriptor: int, pieces: tuple[bytes, ...]) -> None:
    try:
        for piece in pieces:
            rest = memoryview(piece)
            while rest:
                rest = rest[posix.write(descriptor, rest) :]
    finally:
        posix.close(descriptor)
