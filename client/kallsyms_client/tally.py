# SPDX-License-Identifier: GPL-2.0-only
"""Counts what the daemon cannot count itself: requests that it did not answer.

Each is a record of 32 bytes at the end of the file ``fallbacks`` in the cache directory, in
little-endian order: magic, u32 reason, u32 microseconds waited, u32 time, u64 device and u64 inode of the
tree. Clients only append, and only up to MAX_SIZE; the daemon takes the file away and folds it into its
counters, kallsymsctl reads it where there is none. Both use this module, which imports next to nothing.
"""

import posix
import time

#: Why requests were not answered. A record has the position in here: only ever append.
REASONS = {
    "absent": "no daemon was running",
    "input": "the map was not a regular file",
    "path": "no socket can have the path given",
    "foreign": "the daemon belonged to another user",
    "full": "the daemon did not accept the connection in time",
    "silent": "the daemon gave no sign of life in time",
    "closed": "the daemon closed the connection",
    "protocol": "the daemon left the protocol",
    "version": "the daemon was of another version",
    "refused": "the daemon said that it could not",
    "local": "the client could not ask",
    "wrong": "KALLSYMSD=verify found the answer wrong",
    "slow": "the daemon took longer than the client does alone",
    "starting": "the daemon was being started and not ready in time",
}

#: Name of the file in the cache directory.
NAME = b"fallbacks"
#: Size that it does not grow beyond: more is not counted.
MAX_SIZE = 1 << 16
#: Size of a record.
SIZE = 32

_MAGIC = b"KSF1"
_NAMES = tuple(REASONS)


class Fallback:
    """A request that the daemon did not answer.

    reason  a key of REASONS
    waited  seconds that the client waited in vain
    time    when, in seconds since 1970
    tree    device and inode of the client's working directory, zeros if it had none
    """

    __slots__ = ("reason", "time", "tree", "waited")

    def __init__(self, reason: str, waited: float, when: int, tree: tuple[int, int]) -> None:
        self.reason = reason
        self.waited = waited
        self.time = when
        self.tree = tree

    def encode(self) -> bytes:
        """The record."""
        numbers = (_NAMES.index(self.reason), round(self.waited * 1e6), self.time)
        return b"".join(
            (
                _MAGIC,
                *((number & 0xFFFFFFFF).to_bytes(4, "little") for number in numbers),
                *((number & 0xFFFFFFFFFFFFFFFF).to_bytes(8, "little") for number in self.tree),
            )
        )


def decode(data: bytes) -> list[Fallback]:
    """All records in ``data``. What is none is passed over: a full disk leaves parts of records."""
    found = []
    at = data.find(_MAGIC)
    while 0 <= at <= len(data) - SIZE:
        reason, waited, when = (int.from_bytes(data[at + i : at + i + 4], "little") for i in (4, 8, 12))
        device, inode = (int.from_bytes(data[at + i : at + i + 8], "little") for i in (16, 24))
        is_whole = data.find(_MAGIC, at + len(_MAGIC), at + SIZE) < 0
        if is_whole and reason < len(_NAMES):
            found.append(Fallback(_NAMES[reason], waited / 1e6, when, (device, inode)))
            at += SIZE
        else:  # a part, or of a later version
            at += len(_MAGIC)
        at = data.find(_MAGIC, at)
    return found


def directory(environment: dict[bytes, bytes]) -> bytes:
    """The cache directory by the XDG rules, made if need be; b"" where there is none that is ours.

    Nothing is made in a directory of somebody else: sudo may keep $HOME.
    """
    cache = environment.get(b"XDG_CACHE_HOME", b"")
    if not cache.startswith(b"/"):
        home = environment.get(b"HOME", b"")
        if not home.startswith(b"/"):
            return b""
        cache = home + b"/.cache"
    _make(cache)
    path = cache + b"/kallsymsd"
    return path if make_private(path) else b""


def make_private(path: bytes) -> bool:
    """Whether ``path`` is a directory of ours that nobody else can enter; it is made if need be."""
    _make(path)
    try:
        status = posix.lstat(path)
    except OSError:
        return False
    return status.st_mode & 0o170077 == 0o040000 and status.st_uid == posix.geteuid()


def _make(path: bytes) -> None:
    parent = path.rpartition(b"/")[0]
    try:
        if parent == b"/tmp" or _is_ours(parent):
            posix.mkdir(path, 0o700)
    except OSError:
        pass  # it is there, or the question that follows is answered with no


def _is_ours(path: bytes) -> bool:
    """Whether ``path`` is a directory of ours."""
    try:
        status = posix.stat(path)
    except OSError:
        return False
    return status.st_mode & 0o170000 == 0o040000 and status.st_uid == posix.geteuid()


def count(place: bytes, reason: str, waited: float) -> None:
    """Append a record in the cache directory ``place``. What hinders it is no trouble for a build."""
    try:
        here = posix.stat(b".")
        tree = here.st_dev, here.st_ino
    except OSError:
        tree = 0, 0
    flags = posix.O_WRONLY | posix.O_APPEND | posix.O_CREAT | posix.O_NOFOLLOW | posix.O_CLOEXEC
    try:
        descriptor = posix.open(place + b"/" + NAME, flags | posix.O_NONBLOCK, 0o600)
        try:
            status = posix.fstat(descriptor)
            if status.st_mode & 0o170000 == 0o100000 and status.st_size <= MAX_SIZE - SIZE:
                posix.write(descriptor, Fallback(reason, waited, int(time.time()), tree).encode())
        finally:
            posix.close(descriptor)
    except OSError:
        pass


def read(place: bytes) -> list[Fallback]:
    """The records in the cache directory ``place``, oldest first. They stay."""
    return _read(place + b"/" + NAME)


def take(place: bytes) -> list[Fallback]:
    """As :func:`read`, but the records are gone then: the daemon, which calls this, counts them from now on.

    A client that has the file open at this moment may lose its record.
    """
    taken = place + b"/" + NAME + b".taken"
    try:
        posix.rename(place + b"/" + NAME, taken)
        records = _read(taken)
        posix.unlink(taken)
    except OSError:
        return []
    return records


def _read(path: bytes) -> list[Fallback]:
    try:
        descriptor = posix.open(path, posix.O_RDONLY | posix.O_NOFOLLOW | posix.O_NONBLOCK | posix.O_CLOEXEC)
        try:
            return decode(posix.read(descriptor, MAX_SIZE))
        finally:
            posix.close(descriptor)
    except OSError:
        return []
