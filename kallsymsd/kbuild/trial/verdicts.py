# SPDX-License-Identifier: GPL-2.0-only
"""Verdicts of trials (docs/kernel-trees.md): a small file for each, in trials/ of the cache directory.

A verdict's key is a digest of everything that it depends on, our own version included. If any of that
changes, the key is a new one, so verdicts never need to be revoked. A file has lines "name: value", readable
for people.
"""

import posix
import time

from kallsymsd import __version__
from kallsymsd.core.toolsource import digest
from kallsymsd.protocol import places, private
from kallsymsd.protocol.regular import open_regular, read_regular

#: Subject of a trial: scripts/kallsyms; nm and mksysmap; the links of vmlinux.
TOOL = "tool"
MAP = "map"
LINK = "link"

#: Trusted: ours gave the same result.
SAME = "same"
#: Rejected: ours gave another result, or the trial failed too often. There is no further trial.
DIFFERENT = "different"
#: On trial: equal so far, but not everything was compared.
BEGUN = "begun"

#: Number of incomplete trials after which the subject is rejected.
MOST_ATTEMPTS = 3

#: Subdirectory of the cache directory.
DIRECTORY = b"/trials"
# Number of verdicts kept, and size limit of one in bytes.
_MOST = 1000
_LONGEST = 1 << 16
_FIELDS = ("kind", "result", "dialect", "attempts", "reason", "subject", "tree", "version", "time")

Environment = dict[bytes, bytes]


class Verdict:
    """One trial.

    kind      TOOL, MAP or LINK
    result    SAME, DIFFERENT or BEGUN
    reason    what differed, "" for SAME
    subject   what was on trial, for messages
    tree      the object tree of the trial
    dialect   TOOL: the dialect that the tree's tool was compared with
    attempts  BEGUN: number of trials started
    version   our version
    time      seconds since the epoch
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
        """The verdict that encode() wrote; None for anything else."""
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
    """The key of a verdict that depends on ``fields`` and on our own version."""
    return digest(kind.encode(), __version__.encode(), *fields)


def place(environment: Environment) -> bytes:
    """The directory of the verdicts, created if needed; b"" if they cannot be saved."""
    cache = places.made_cache_directory(environment)
    return cache + DIRECTORY if cache and private.make_private(cache + DIRECTORY) else b""


def find(directory: bytes, name: str) -> Verdict | None:
    """The verdict with the key ``name``; None if it is missing or damaged."""
    try:
        return Verdict.decode(read_regular(directory + b"/" + name.encode(), _LONGEST, follow=False))
    except OSError:
        return None


def keep(directory: bytes, name: str, verdict: Verdict) -> bool:
    """Save a verdict; False on failure."""
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
        pass  # handled below, like a short write
    try:
        posix.unlink(temporary)
    except OSError:
        return False  # there is no temporary file
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
