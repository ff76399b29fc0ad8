# SPDX-License-Identifier: GPL-2.0-only
"""Directories that only their owner can use, and locks in them."""

import contextlib
import fcntl
import os
import stat
import struct
from pathlib import Path

from kallsyms_client.regular import open_regular
from kallsyms_client.who import is_anybodys

# struct flock: l_type, l_whence, l_start, l_len, l_pid, and padding where the machine has it.
_FLOCK = struct.Struct("hhqqi0q")
# A lock's file that is ours is empty, or one line of this size: the program, what the lock's holder noted,
# and a word while it is ready. One write replaces another of the same size; no kill comes between.
_LINE = 128
_OURS = b"kallsymsd"
_READY = b"ready"
#: What a lock is said to have noted if an older version wrote only that it was ready.
OLDER = "older"


class NotPrivateError(Exception):
    """A directory cannot be used; the text names it, says why and what to do, in one line."""


def private_directory(path: Path) -> None:
    """Make the directory ``path`` with mode 0700 unless it exists, and verify it.

    Missing parents are made too. Raises NotPrivateError when it cannot be made, or as :func:`check_private`.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.mkdir(mode=0o700, exist_ok=True)
    except FileExistsError as error:
        raise NotPrivateError(f"{error.filename}: is not a directory; remove it") from error
    except OSError as error:
        raise NotPrivateError(f"{path}: cannot be made: {error.strerror}; name another directory") from error
    check_private(path)


def check_private(path: Path) -> None:
    """Raise NotPrivateError for what is not a directory of ours that nobody else can enter.

    That is when it is a symbolic link, belongs to somebody else or lets others in: then anybody might have
    put things into it.
    """
    try:
        status = path.lstat()
    except OSError as error:
        raise NotPrivateError(f"{path}: {error.strerror}; name another directory") from error
    if stat.S_ISLNK(status.st_mode):
        raise NotPrivateError(f"{path}: is a symbolic link; name the directory it points to, or remove it")
    # Under fakeroot both sides of this comparison are faked, alike; entering a foreign directory of mode
    # 0700 fails all the same.
    if status.st_uid != os.geteuid():
        raise NotPrivateError(f"{path}: belongs to user {status.st_uid}, not to you; name another directory")
    if is_anybodys(status.st_uid):
        raise NotPrivateError(
            f"{path}: whose it is cannot be told in this user namespace: user {status.st_uid} may be anybody"
        )
    if not stat.S_ISDIR(status.st_mode):
        raise NotPrivateError(f"{path}: is not a directory; remove it")
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

    def read(self) -> str | None:
        """What its holder, or the last one, has noted; None if the file says what none of ours would."""
        words = os.pread(self._descriptor, _LINE, 0).split()
        if words == [_READY]:
            return OLDER
        if words[:1] not in ([], [_OURS]):
            return None
        return b" ".join(word for word in words[1:] if word != _READY).decode("utf-8", "replace")

    def note(self, text: str = "", *, ready: bool) -> None:
        """Leave words for :meth:`read`, and say for :func:`is_ready` whether the holder does its work."""
        words = [_OURS, text.encode(), _READY if ready else b""]
        with contextlib.suppress(OSError):  # a full disk; it then passes for one that is not ready
            if text or ready:
                os.pwrite(self._descriptor, b" ".join(words).ljust(_LINE - 1) + b"\n", 0)
            else:
                os.ftruncate(self._descriptor, 0)

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
    return (_held(path) or b"").split()[-1:] == [_READY]


def _held(path: Path) -> bytes | None:
    """What a lock's file says while somebody holds the lock; None while nobody does."""
    try:
        descriptor = open_regular(str(path), follow=False)
    except FileNotFoundError:
        return None
    try:
        answer = fcntl.fcntl(descriptor, fcntl.F_OFD_GETLK, _flock())
        kind: int = _FLOCK.unpack(answer)[0]
        return os.pread(descriptor, _LINE, 0) if kind != fcntl.F_UNLCK else None
    finally:
        os.close(descriptor)


def _flock() -> bytes:
    """An exclusive lock on the whole file; the field for a pid must be 0 for this kind of lock."""
    return _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
