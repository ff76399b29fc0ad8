# SPDX-License-Identifier: GPL-2.0-only
"""What kind of file system a path lies on."""

import re
from pathlib import Path

from kallsymsd.protocol.regular import read_regular

#: Types, as in /proc/self/mountinfo, whose locks and caching another machine (or a foreign program) decides.
REMOTE = frozenset(
    {"9p", "afs", "ceph", "cifs", "gfs2", "lustre", "ncpfs", "nfs", "nfs4", "smb3", "virtiofs"}
)

_MOUNTS = Path("/proc/self/mountinfo")
# Most bytes; a machine with a thousand containers has 1 MB.
_MOST = 1 << 26


def filesystem_type(path: Path, mounts: Path = _MOUNTS) -> str:
    """Type of the file system that ``path`` lies on, as ``mounts`` names it; "" if that is unknown.

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
    """Whether locks and databases on a file system of this type are not to be relied on."""
    return kind in REMOTE or kind.startswith("fuse.")


def _unescape(field: str) -> str:
    """Undo the octal that space, tab, newline and backslash are written as."""
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), field)
