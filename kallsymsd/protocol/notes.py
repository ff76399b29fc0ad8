# SPDX-License-Identifier: GPL-2.0-only
"""Counts what the daemon cannot count itself: requests that it did not answer, and links of kernels.

Each is a record of 32 bytes at the end of the file ``fallbacks`` in the cache directory, in
little-endian order: magic, u32 reason, u32 microseconds waited, u32 time, u64 device and u64 inode of the
tree. That of a link has another magic, u32 how (the upper half says how many links), u32 microseconds saved.
Clients only append, and only up to MAX_SIZE; the daemon takes the file away and folds it into its
counters, kallsymsctl reads it where there is none. Both use this module, which imports next to nothing.
"""

import posix
import time

from kallsymsd.protocol.private import is_private
from kallsymsd.protocol.regular import open_regular

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

#: How vmlinux was linked where it was to be linked once. A record has the position in here: only ever append.
LINKED = {
    "right": "once, sizes of the tables foretold",
    "wrong": "again, as the sizes were foretold wrong",
    "unknown": "again, as the sizes could not be foretold",
    "stock": "as often as the kernel's script does, which this tree needs",
    "failed": "as often as the kernel's script does, as something failed",
}
#: Links that the kernel's script does by itself.
SCRIPT_LINKS = 3

#: Name of the file in the cache directory.
NAME = b"fallbacks"
#: Size that it does not grow beyond: more is not counted.
MAX_SIZE = 1 << 16
#: Size of a record.
SIZE = 32

_MAGIC = b"KSF1"
_LINK_MAGIC = b"KSL1"
_NAMES = tuple(REASONS)
_LINK_NAMES = tuple(LINKED)


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
        return _record(_MAGIC, _NAMES.index(self.reason), self.waited, self.time, self.tree)


class Linked:
    """A kernel that was to be linked once.

    how    a key of LINKED
    links  links that were done, 0 for the script's own
    saved  seconds saved, estimated
    time   when, in seconds since 1970
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


#: What clients leave for the daemon.
Note = Fallback | Linked


def fallbacks(notes: list[Note]) -> list[Fallback]:
    """Those of ``notes`` that are one."""
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
    """All records in ``data``. What is none is passed over: a full disk leaves parts of records."""
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
        # Else a part, or of a later version.
        at = _next(data, at + (len(_MAGIC) if made is None else SIZE))
    return found


def _next(data: bytes, at: int) -> int:
    """Where the next record may begin; -1 for nowhere."""
    found = [place for place in (data.find(magic, at) for magic in (_MAGIC, _LINK_MAGIC)) if place >= 0]
    return min(found, default=-1)


def count(place: bytes, reason: str, waited: float) -> None:
    """Note a fallback in the cache directory ``place``. What hinders it is no trouble for a build."""
    _append(place, Fallback(reason, waited, int(time.time()), _tree()))


def count_link(place: bytes, how: str, links: int, saved: float) -> None:
    """As :func:`count`, how vmlinux was linked."""
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
    """The records in the cache directory ``place``, oldest first; none where it is not ours. They stay."""
    return [] if not is_private(place) else _read(place + b"/" + NAME)


def take(place: bytes) -> list[Note]:
    """As :func:`read`, but the records are gone then: the daemon, which calls this, counts them from now on.

    A client that has the file open at this moment may lose its record.
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
