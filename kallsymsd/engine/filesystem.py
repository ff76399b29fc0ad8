# SPDX-License-Identifier: GPL-2.0-only
"""The type of the file system that a path is on."""

import re
from pathlib import Path

from kallsymsd.protocol.regular import read_regular

#: Types, as in /proc/self/mountinfo, whose locks and caching depend on another machine or program.
REMOTE = frozenset(
    {"9p", "afs", "ceph", "cifs", "gfs2", "lustre", "ncpfs", "nfs", "nfs4", "smb3", "virtiofs"}
)

_MOUNTS = Path("/proc/self/mountinfo")
# Most bytes; a machine with a thousand containers has 1 MB.
_MOST = 1 << 26


def filesystem_type(path: Path, mounts: Path = _MOUNTS) -> str:
    """Type of the file system that ``path`` is on, as ``mounts`` names it; "" if unknown.

    Python has no statfs, and st_dev does not lead to the mount on btrfs; the longest mount point does.
    """
    real = path.resolve()
    found, longest = "", 0
    try:
        text = read_regular(str(mounts), _MOST, follow=True)
        for line in text.decode(errors="surrogateescape").splitlines():
            before, _, after = line.partition(" - ")
            point = Path(_unescape(before.split()[4]))
            # Of two mounts on one point the later one covers the earlier.
            if real.is_relative_to(point) and len(point.parts) >= longest:
                found, longest = after.split()[0], len(point.parts)
    except (OSError, IndexError):
        return ""
    return found


def is_remote(kind: str) -> bool:
    """Whether locks and databases cannot be relied on with a file system of this type."""
    return kind in REMOTE or kind.startswith("fuse.")


def _unescape(field: str) -> str:
    """Decode space, tab, newline and backslash, which are written in octal."""
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), field)
