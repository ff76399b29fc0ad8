# SPDX-License-Identifier: GPL-2.0-only
"""File locks that end with their holder and can be queried without being taken.

They are open file description locks (fcntl(2)): the kernel releases them when the process ends, for whatever
reason.
"""

import fcntl
import posix
import struct

from kallsymsd.protocol.regular import open_regular

TYPE_CHECKING = False  # typing is not worth its import
if TYPE_CHECKING:
    from os import PathLike

# struct flock: l_type, l_whence, l_start, l_len, l_pid, and the machine's padding.
_FLOCK = struct.Struct("hhqqi0q")
# Our lock file is empty or holds one line of this size: the program, the holder's note, and a word while the
# holder is ready. A single write of the same size replaces it, so a kill never leaves half a line.
_LINE = 128
_OURS = b"kallsymsd"
_READY = b"ready"
#: The note of a lock whose holder is an older version, which wrote only that it was ready.
OLDER = "older"


class Lock:
    """An exclusive lock on a file.

    The file is never removed: with a new file of the same name there would be two locks.
    """

    def __init__(self, path: "PathLike[str] | bytes") -> None:
        """Open or create the lock file; OSError on failure."""
        self._descriptor = open_regular(path, posix.O_RDWR | posix.O_CREAT, follow=False)

    def take(self) -> bool:
        """Try to take the lock without waiting; False if another process holds it."""
        try:
            fcntl.fcntl(self._descriptor, fcntl.F_OFD_SETLK, _flock())
        except (BlockingIOError, PermissionError):
            return False
        return True

    def read(self) -> str | None:
        """The note of the present or last holder; None if the file is not one of ours."""
        words = posix.pread(self._descriptor, _LINE, 0).split()
        if words == [_READY]:
            return OLDER
        if words[:1] not in ([], [_OURS]):
            return None
        return b" ".join(word for word in words[1:] if word != _READY).decode("utf-8", "replace")

    def note(self, text: str = "", *, ready: bool) -> None:
        """Write the note that :meth:`read` returns and the state that :func:`is_ready` reports."""
        words = [_OURS, text.encode(), _READY if ready else b""]
        try:
            if text or ready:
                posix.pwrite(self._descriptor, b" ".join(words).ljust(_LINE - 1) + b"\n", 0)
            else:
                posix.ftruncate(self._descriptor, 0)
        except OSError:
            pass  # the disk is full: the holder then looks like one that is not ready

    def close(self) -> None:
        """Release the lock; a second call does nothing."""
        if self._descriptor >= 0:
            posix.close(self._descriptor)
            self._descriptor = -1


def is_locked(path: "PathLike[str] | bytes") -> bool:
    """Whether a process holds the :class:`Lock` on ``path``. The query itself takes no lock.

    OSError if the file exists but cannot be queried.
    """
    return _held(path) is not None


def is_ready(path: "PathLike[str] | bytes") -> bool:
    """Like :func:`is_locked`, but also False while the holder is starting or stopping."""
    return (_held(path) or b"").split()[-1:] == [_READY]


def _held(path: "PathLike[str] | bytes") -> bytes | None:
    """The contents of the lock file while a process holds the lock, else None."""
    try:
        descriptor = open_regular(path, follow=False)
    except FileNotFoundError:
        return None
    try:
        answer = fcntl.fcntl(descriptor, fcntl.F_OFD_GETLK, _flock())
        kind: int = _FLOCK.unpack(answer)[0]
        return posix.pread(descriptor, _LINE, 0) if kind != fcntl.F_UNLCK else None
    finally:
        posix.close(descriptor)


def _flock() -> bytes:
    """An exclusive lock on the whole file; the field for a pid must be 0 for this kind of lock."""
    return _FLOCK.pack(fcntl.F_WRLCK, 0, 0, 0, 0)
