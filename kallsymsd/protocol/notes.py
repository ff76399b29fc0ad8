# SPDX-License-Identifier: GPL-2.0-only
"""Records of what the daemon cannot count itself: requests that it did not answer, and links of kernels.

Clients append records of 32 bytes to the file ``fallbacks`` in the cache directory, up to MAX_SIZE. The
daemon takes the file away and adds the records to its counters; kallsymsctl reads it where no daemon runs.

A record is little-endian. Of a request: magic, u32 reason, u32 microseconds waited, u32 time, u64 device and
u64 inode of the tree. Of a link: another magic, u32 how (upper half: number of links), u32 microseconds
saved, then the same fields.
"""

import posix
import time

from kallsymsd.protocol.private import is_private
from kallsymsd.protocol.regular import open_regular

#: Why a request was not answered. Records hold the position in this table: only append to it.
REASONS = {
    "absent": "no daemon was running",
    "input": "the map was not a regular file",
    "path": "the socket's path was too long",
    "foreign": "the daemon belonged to another user",
    "full": "the daemon did not accept the connection in time",
    "silent": "the daemon did not respond in time",
    "closed": "the daemon closed the connection",
    "protocol": "the daemon violated the protocol",
    "version": "the daemon had another version",
    "refused": "the daemon refused the request",
    "local": "the client could not send the request",
    "wrong": "KALLSYMSD=verify found a wrong answer",
    "slow": "the daemon was still computing at the deadline",
    "starting": "the daemon was still starting",
}

#: How vmlinux was linked where one link was requested. Records hold the position in this table: only append.
LINKED = {
    "right": "once, with the table sizes predicted",
    "wrong": "again, because the predicted table sizes were wrong",
    "unknown": "again, because the table sizes could not be predicted",
    "stock": "by the kernel's own script, because one link was not possible or not yet trusted",
    "failed": "by the kernel's own script, because of an error",
}
#: Links that the kernel's own script does.
SCRIPT_LINKS = 3

#: Name of the file in the cache directory.
NAME = b"fallbacks"
#: Size limit of the file in bytes; further records are not written.
MAX_SIZE = 1 << 16
#: Size of a record in bytes.
SIZE = 32

_MAGIC = b"KSF1"
_LINK_MAGIC = b"KSL1"
_NAMES = tuple(REASONS)
_LINK_NAMES = tuple(LINKED)


class Fallback:
    """A request that the daemon did not answer.

    reason  key of REASONS
    waited  seconds that the client waited in vain
    time    seconds since the epoch
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
        return _record(_MAGIC, _NAMES.index(self.reason), self.waited, self.time, self.tree)


class Linked:
    """A kernel built with one link requested.

    how    key of LINKED
    links  number of links, 0 if the kernel's own script did them
    saved  estimated seconds saved
    time   seconds since the epoch
    tree   device and inode of the object tree, zeros if it is gone
    """

    __slots__ = ("how", "links", "saved", "time", "tree")

    def __init__(self, how: str, links: int, saved: float, when: int, tree: tuple[int, int]) -> None:
        self.how = how
        self.links = links
        self.saved = saved
        self.time = when
        self.tree = tree

    def encode(self) -> bytes:
        """The record."""
        how = _LINK_NAMES.index(self.how) | self.links << 16
        return _record(_LINK_MAGIC, how, self.saved, self.time, self.tree)


#: A record that a client leaves for the daemon.
Note = Fallback | Linked


def fallbacks(notes: list[Note]) -> list[Fallback]:
    """The records of requests among ``notes``."""
    return [note for note in notes if isinstance(note, Fallback)]


def _record(magic: bytes, what: int, seconds: float, when: int, tree: tuple[int, int]) -> bytes:
    return b"".join(
        (
            magic,
            *((number & 0xFFFFFFFF).to_bytes(4, "little") for number in (what, round(seconds * 1e6), when)),
            *((number & 0xFFFFFFFFFFFFFFFF).to_bytes(8, "little") for number in tree),
        )
    )


def decode(data: bytes) -> list[Note]:
    """All records in ``data``. Anything else is skipped: a full disk leaves partial records."""
    found: list[Note] = []
    at = _next(data, 0)
    while 0 <= at <= len(data) - SIZE:
        what, micros, when = (int.from_bytes(data[at + i : at + i + 4], "little") for i in (4, 8, 12))
        device, inode = (int.from_bytes(data[at + i : at + i + 8], "little") for i in (16, 24))
        made: Note | None = None
        if not 0 <= _next(data, at + len(_MAGIC)) <= at + SIZE - len(_MAGIC):
            is_link = data.startswith(_LINK_MAGIC, at)
            if is_link and what & 0xFFFF < len(_LINK_NAMES) and what >> 16 <= SCRIPT_LINKS:
                name = _LINK_NAMES[what & 0xFFFF]
                made = Linked(name, what >> 16, micros / 1e6, when, (device, inode))
            elif not is_link and what < len(_NAMES):
                made = Fallback(_NAMES[what], micros / 1e6, when, (device, inode))
        if made is not None:
            found.append(made)
        # Otherwise it is partial, or of a later version.
        at = _next(data, at + (len(_MAGIC) if made is None else SIZE))
    return found


def _next(data: bytes, at: int) -> int:
    """Where the next record may start, -1 if there is none."""
    found = [place for place in (data.find(magic, at) for magic in (_MAGIC, _LINK_MAGIC)) if place >= 0]
    return min(found, default=-1)


def count(place: bytes, reason: str, waited: float) -> None:
    """Record an unanswered request in the cache directory ``place``. Errors are ignored."""
    _append(place, Fallback(reason, waited, int(time.time()), _tree()))


def count_link(place: bytes, how: str, links: int, saved: float) -> None:
    """Like :func:`count`, for a link of vmlinux."""
    _append(place, Linked(how, links, saved, int(time.time()), _tree()))


def _tree() -> tuple[int, int]:
    try:
        here = posix.stat(b".")
    except OSError:
        return 0, 0
    return here.st_dev, here.st_ino


def _append(place: bytes, note: Note) -> None:
    flags = posix.O_WRONLY | posix.O_APPEND | posix.O_CREAT
    try:
        descriptor = open_regular(place + b"/" + NAME, flags, follow=False)
        try:
            if posix.fstat(descriptor).st_size <= MAX_SIZE - SIZE:
                posix.write(descriptor, note.encode())
        finally:
            posix.close(descriptor)
    except OSError:
        pass


def read(place: bytes) -> list[Note]:
    """The records in the cache directory ``place``, oldest first; none unless the directory is private."""
    return [] if not is_private(place) else _read(place + b"/" + NAME)


def take(place: bytes) -> list[Note]:
    """Like :func:`read`, but removes the records: the caller must count them.

    A client that is just writing to the file may lose its record.
    """
    if not is_private(place):
        return []
    taken = place + b"/" + NAME + b".taken"
    try:
        posix.rename(place + b"/" + NAME, taken)
        records = _read(taken)
        posix.unlink(taken)
    except OSError:
        return []
    return records


def _read(path: bytes) -> list[Note]:
    try:
        descriptor = open_regular(path, follow=False)
        try:
            return decode(posix.read(descriptor, MAX_SIZE))
        finally:
            posix.close(descriptor)
    except OSError:
        return []
