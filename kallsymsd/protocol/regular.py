# SPDX-License-Identifier: GPL-2.0-only
"""Opens files whose path another user or program can influence: regular files only, and without blocking.

A lock, a log, a cached value or a map may have been replaced by a pipe, a device or a link. All such files
are opened here; a test enforces that. Files are read to their end, whatever fstat() says: procfs and FUSE
report a size of 0.
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
# Size limit in bytes of a file that a Reader reads at once.
_MOST = 1 << 30


def open_regular(
    path: "bytes | str | PathLike[str]", flags: int = posix.O_RDONLY, mode: int = 0o600, *, follow: bool
) -> int:
    """Open the regular file at ``path`` with ``flags``, and ``mode`` if they create it; returns a descriptor.

    ``follow`` allows the last part of the path to be a symbolic link; pass False in our own directories.
    Raises OSError: EISDIR for a directory, EINVAL "not a regular file" for anything else, which is neither
    waited for nor read.
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
    """The contents of a regular file, without moving its offset; OSError, EFBIG if it exceeds ``most`` bytes.

    ``said`` is the size from fstat(). If it is right, one read does it, at half the cost.
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
    """The contents of the regular file at ``path``, at most ``most`` bytes; OSError as above."""
    descriptor = open_regular(path, follow=follow)
    try:
        return read_to_end(descriptor, most, posix.fstat(descriptor).st_size)
    finally:
        posix.close(descriptor)


def is_longer(descriptor: int, size: int) -> bool:
    """Whether a regular file has more than ``size`` bytes."""
    return bool(posix.pread(descriptor, 1, size))


class Reader:
    """Reads at offsets of a regular file. If fstat() wrongly says that it is empty, reads it whole first.

    size  bytes in the file
    """

    __slots__ = ("_descriptor", "_whole", "size")

    def __init__(self, descriptor: int, size: int) -> None:
        """``size`` is that from fstat(); OSError, EFBIG if more than _MOST bytes must be read at once."""
        self.size = size
        self._descriptor = descriptor
        self._whole = b""
        if not size and is_longer(descriptor, size):
            self._whole = read_to_end(descriptor, _MOST)
            self.size = len(self._whole)

    def read(self, buffer: memoryview, offset: int) -> int:
        """Read into ``buffer`` from ``offset`` on; returns the number of bytes."""
        if not self._whole:
            return posix.preadv(self._descriptor, [buffer], offset)
        part = self._whole[offset : offset + len(buffer)]
        buffer[: len(part)] = part
        return len(part)


def write_regular(path: "bytes | str | PathLike[str]", *pieces: bytes, mode: int = 0o600) -> None:
    """Overwrite or create the regular file at ``path`` with ``pieces``; OSError as above.

    A symbolic link is refused. The file keeps its inode, so that a watch on it sees the write.
    """
    _fill(open_regular(path, posix.O_WRONLY | posix.O_CREAT | posix.O_TRUNC, mode, follow=False), pieces)


def write_new(path: "bytes | str | PathLike[str]", *pieces: bytes, mode: int = 0o600) -> None:
    """Create a new file with ``pieces`` at ``path``, replacing anything but a directory.

    For files that are then renamed to their final names. OSError on failure; then there is no file.
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
