# SPDX-License-Identifier: GPL-2.0-only
"""What trials have found (docs/kernel-trees.md): a small file for each, in trials/ of the cache directory.

A verdict is found again by its key, a digest of all that it is about and of our own version. So it ends with
whatever it depends on, and nothing needs to be taken back. The file is lines "name: value", for people too.
"""

import posix
import time

from kallsymsd import __version__
from kallsymsd.core.toolsource import digest
from kallsymsd.protocol import places, private
from kallsymsd.protocol.regular import open_regular, read_regular

#: What a trial is of: scripts/kallsyms; nm and mksysmap; the links of vmlinux.
TOOL = "tool"
MAP = "map"
LINK = "link"

#: Ours gave the same.
SAME = "same"
#: Ours gave something else, or was not possible; it is not tried again.
DIFFERENT = "different"
#: The same so far; there is more to compare.
BEGUN = "begun"

#: Trials that could not be finished before none is begun any more.
MOST_ATTEMPTS = 3

#: Below the cache directory.
DIRECTORY = b"/trials"
# Verdicts that are kept, and the bytes of one.
_MOST = 1000
_LONGEST = 1 << 16
_FIELDS = ("kind", "result", "dialect", "attempts", "reason", "subject", "tree", "version", "time")

Environment = dict[bytes, bytes]


class Verdict:
    """One trial.

    kind      TOOL, MAP or LINK
    result    SAME, DIFFERENT or BEGUN
    reason    what differed, "" for SAME
    subject   what was tried, for a person
    tree      the object tree in which it was tried
    dialect   TOOL: the dialect that the tree's tool was compared with
    attempts  BEGUN: trials that were begun
    version   ours
    time      when, in seconds since 1970
    """

    __slots__ = _FIELDS

    def __init__(
        self,
        kind: str,
        result: str,
        *,
        reason: str = "",
        subject: str = "",
        tree: str = "",
        dialect: str = "",
        attempts: int = 0,
        version: str = __version__,
        when: int | None = None,
    ) -> None:
        self.kind = kind
        self.result = result
        self.reason = reason
        self.subject = subject
        self.tree = tree
        self.dialect = dialect
        self.attempts = attempts
        self.version = version
        self.time = int(time.time()) if when is None else when

    def encode(self) -> bytes:
        """The file's contents."""
        values = ((name, str(getattr(self, name))) for name in _FIELDS)
        text = "".join(f"{name}: {' '.join(value.split())}\n" for name, value in values)
        return text.encode("utf-8", "surrogateescape")

    @classmethod
    def decode(cls, data: bytes) -> "Verdict | None":
        """What encode() made; None for anything else."""
        if not data.endswith(b"\n"):
            return None
        lines = data.decode("utf-8", "surrogateescape").splitlines()
        values = dict(line.partition(": ")[::2] for line in lines)
        try:
            made = cls(
                values["kind"],
                values["result"],
                reason=values["reason"],
                subject=values["subject"],
                tree=values["tree"],
                dialect=values["dialect"],
                attempts=int(values["attempts"]),
                version=values["version"],
                when=int(values["time"]),
            )
        except (KeyError, ValueError):
            return None
        return made if made.result in (SAME, DIFFERENT, BEGUN) else None


def key(kind: str, *fields: bytes) -> str:
    """The key of a verdict on what ``fields`` say; our own version belongs to it."""
    return digest(kind.encode(), __version__.encode(), *fields)


def place(environment: Environment) -> bytes:
    """The directory of the verdicts, made if need be; b"" where nothing can be kept."""
    cache = places.made_cache_directory(environment)
    return cache + DIRECTORY if cache and private.make_private(cache + DIRECTORY) else b""


def find(directory: bytes, name: str) -> Verdict | None:
    """The verdict with the key ``name``; None where there is none, or only a damaged one."""
    try:
        return Verdict.decode(read_regular(directory + b"/" + name.encode(), _LONGEST, follow=False))
    except OSError:
        return None


def keep(directory: bytes, name: str, verdict: Verdict) -> bool:
    """Write a verdict down; whether that could be done."""
    path = directory + b"/" + name.encode()
    temporary = b"%b.%d" % (path, posix.getpid())
    try:
        descriptor = open_regular(
            temporary, posix.O_WRONLY | posix.O_CREAT | posix.O_TRUNC | posix.O_NOFOLLOW, follow=False
        )
        try:
            data = verdict.encode()[:_LONGEST]
            is_whole = posix.write(descriptor, data) == len(data)
        finally:
            posix.close(descriptor)
        if is_whole:
            posix.rename(temporary, path)
            _drop_oldest(directory)
            return True
    except OSError:
        pass  # as where there was no room for all of it
    try:
        posix.unlink(temporary)
    except OSError:
        return False  # it is not there
    return False


def everything(directory: bytes) -> list[Verdict]:
    """All verdicts, oldest first."""
    try:
        names = posix.listdir(directory)
    except OSError:
        return []
    found = (find(directory, name.decode("ascii", "replace")) for name in names if b"." not in name)
    return sorted((verdict for verdict in found if verdict), key=lambda verdict: verdict.time)


def _drop_oldest(directory: bytes) -> None:
    names = posix.listdir(directory)
    if len(names) <= _MOST:
        return
    by_age = sorted((posix.lstat(directory + b"/" + name).st_mtime, name) for name in names)
    for _, name in by_age[: len(names) - _MOST // 2]:
        posix.unlink(directory + b"/" + name)
