# SPDX-License-Identifier: GPL-2.0-only
"""Locks that end with their holder, and can be asked about without being taken.

They are locks of open file descriptions (fcntl(2)): the kernel gives them up when the process ends, however
that happens.
"""

import fcntl
import posix
import struct

from kallsymsd.protocol.regular import open_regular

TYPE_CHECKING = False  # typing is not worth its import
if TYPE_CHECKING:
    from os import PathLike

# struct flock: l_type, l_whence, l_start, l_len, l_pid, and padding where the machine has it.
_FLOCK = struct.Struct("hhqqi0q")
# A lock's file that is ours is empty, or one line of this size: the program, what the lock's holder noted,
# and a word while it is ready. One write replaces another of the same size; no kill comes between.
_LINE = 128
_OURS = b"kallsymsd"
_READY = b"ready"
#: What a lock is said to have noted if an older version wrote only that it was ready.
OLDER = "older"


class Lock:
    """An exclusive lock on a file.

    It belongs to an open file description, so it ends with the process, however that ends, and can be asked
    about without being taken. The file stays: removing it would make two locks of one.
    """

    def __init__(self, path: "PathLike[str] | bytes") -> None:
        """Open the lock file; OSError when that fails."""
        self._descriptor = open_regular(path, posix.O_RDWR | posix.O_CREAT, follow=False)

    def take(self) -> bool:
        """Take the lock at once, or return False: somebody else has it."""
        try:
            fcntl.fcntl(self._descriptor, fcntl.F_OFD_SETLK, _flock())
        except (BlockingIOError, PermissionError):
            return False
        return True

    def read(self) -> str | None:
        """What its holder, or the last one, has noted; None if the file says what none of ours would."""
        words = posix.pread(self._descriptor, _LINE, 0).split()
        if words == [_READY]:
            return OLDER
        if words[:1] not in ([], [_OURS]):
            return None
        return b" ".join(word for word in words[1:] if word != _READY).decode("utf-8", "replace")

    def note(self, text: str = "", *, ready: bool) -> None:
        """Leave words for :meth:`read`, and say for :func:`is_ready` whether the holder does its work."""
        words = [_OURS, text.encode(), _READY if ready else b""]
        try:
            if text or ready:
                posix.pwrite(self._descriptor, b" ".join(words).ljust(_LINE - 1) + b"\n", 0)
            else:
                posix.ftruncate(self._descriptor, 0)
        except OSError:
            pass  # a full disk; it then passes for one that is not ready

    def close(self) -> None:
        """Give the lock up; a second time does nothing."""
        if self._descriptor >= 0:
            posix.close(self._descriptor)
            self._descriptor = -1


def is_locked(path: "PathLike[str] | bytes") -> bool:
    """Whether somebody holds the :class:`Lock` on ``path``. Asking takes nothing and disturbs nobody.

    OSError when the file is there but cannot be asked.
    """
    return _held(path) is not None


def is_ready(path: "PathLike[str] | bytes") -> bool:
    """As :func:`is_locked`, and whoever holds it neither is still starting nor about to end."""
    return (_held(path) or b"").split()[-1:] == [_READY]


def _held(path: "PathLike[str] | bytes") -> bytes | None:
    """What a lock's file says while somebody holds the lock; None while nobody does."""
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
