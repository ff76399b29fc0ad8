# SPDX-License-Identifier: GPL-2.0-only
"""Directories that only their owner can use, and locks in them."""

import contextlib
import fcntl
import os
import stat
import struct
from pathlib import Path

from kallsyms_client.regular import open_regular

# struct flock: l_type, l_whence, l_start, l_len, l_pid, and padding where the machine has it.
_FLOCK = struct.Struct("hhqqi0q")
# What the file holds while its holder is ready; only whether it is empty counts.
_READY = b"ready\n"


class NotPrivateError(Exception):
    """A directory cannot be used; the text names it, says why and what to do, in one line."""


def private_directory(path: Path) -> None:
    """Make the directory ``path`` with mode 0700 unless it exists, and verify it.

    Missing parents are made too. Raises NotPrivateError when it cannot be made, is a symbolic link, belongs
    to somebody else or lets others in: then anybody might have put things into it.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.mkdir(mode=0o700, exist_ok=True)
        status = path.lstat()
    except FileExistsError as error:
        raise NotPrivateError(f"{error.filename}: is not a directory; remove it") from error
    except OSError as error:
        raise NotPrivateError(f"{path}: cannot be made: {error.strerror}; name another directory") from error
    if stat.S_ISLNK(status.st_mode):
        raise NotPrivateError(f"{path}: is a symbolic link; name the directory it points to, or remove it")
    # Under fakeroot both sides of this comparison are faked, alike; entering a foreign directory of mode
    # 0700 fails all the same.
    if status.st_uid != os.geteuid():
        raise NotPrivateError(f"{path}: belongs to user {status.st_uid}, not to you; name another directory")
    if status.st_mode & 0o077:
        mode = stat.S_IMODE(status.st_mode)
        raise NotPrivateError(f"{path}: is open to others (mode {mode:04o}); run: chmod 700 {path}")


class Lock:
    """An exclusive lock on a file.

    It belongs to an open file description, so it ends with the process, however that ends, and can be asked
    about without being taken. The file stays: removing it would make two locks of one.
    """

    def __init__(self, path: Path) -> None:
        """Open the lock file; OSError when that fails."""
        self._descriptor = open_regular(str(path), os.O_RDWR | os.O_CREAT, follow=False)

    def take(self) -> bool:
        """Take the lock at once, or return False: somebody else has it."""
        try:
            fcntl.fcntl(self._descriptor, fcntl.F_OFD_SETLK, _flock())
        except (BlockingIOError, PermissionError):
            return False
        return True

    def note(self, *, ready: bool) -> None:
        """Say in the file, for :func:`is_ready`, whether its holder does what the lock is for."""
        with contextlib.suppress(OSError):  # a full disk; it then passes for one that is not ready
            os.ftruncate(self._descriptor, 0)
            os.pwrite(self._descriptor, _READY if ready else b"", 0)

    def close(self) -> None:
        """Give the lock up; a second time does nothing."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def is_locked(path: Path) -> bool:
    """Whether somebody holds the :class:`Lock` on ``path``. Asking takes nothing and disturbs nobody.

    OSError when the file is there but cannot be asked.
    """
    return _held(path) is not None


def is_ready(path: Path) -> bool:
    """As :func:`is_locked`, and whoever holds it neither is still starting nor about to end."""
    return bool(_held(path))


def _held(path: Path) -> int | None:
    """The size of a lock's file while somebody holds the lock; None while nobody does."""
    try:
        descriptor = open_regular(str(path), follow=False)
    except FileNotFoundError:
        return None
    try:
        answer = fcntl.fcntl(descriptor, fcntl.F_OFD_GETLK, _flock())
        kind: int = _FLOCK.unpack(answer)[0]
        return os.fstat(descriptor).st_size if kind != fcntl.F_UNLCK else None
    finally:
        os.close(descriptor)


def _flock() -> bytes:
    """An exclusive lock on the whole file; the field for a pid must be 0 for this kind of lock."""
    return _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
