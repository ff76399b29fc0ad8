# SPDX-License-Identifier: GPL-2.0-only
"""The type of a file system is read off the list of mounts."""

from pathlib import Path

import pytest

from kallsymsd.engine.filesystem import filesystem_type, is_remote

# Lines in the form of proc_pid_mountinfo(5).
MOUNTS = r"""22 27 0:21 / /proc rw,relatime - proc proc rw
27 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw,discard
40 27 0:40 / /home rw,relatime shared:2 master:3 - nfs4 server:/export rw,vers=4.2
41 40 0:41 / /home/me/local rw - btrfs /dev/sdb rw
42 27 0:42 / /with\040space rw - fuse.sshfs host: rw
43 27 0:43 / /twice rw - nfs server:/a rw
44 43 0:44 / /twice rw - tmpfs tmpfs rw
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/etc", "ext4"),
        ("/", "ext4"),
        ("/home/me/.cache/kallsymsd", "nfs4"),
        ("/homework", "ext4"),
        ("/home/me/local", "btrfs"),
        ("/home/me/local/cache", "btrfs"),
        ("/with space/cache", "fuse.sshfs"),
        ("/twice/cache", "tmpfs"),
    ],
)
def test_the_longest_and_latest_mount_point_decides(tmp_path: Path, path: str, kind: str) -> None:
    mounts = tmp_path / "mountinfo"
    mounts.write_text(MOUNTS)
    assert filesystem_type(Path(path), mounts) == kind


def test_without_a_readable_list_the_type_is_unknown(tmp_path: Path) -> None:
    assert filesystem_type(Path("/etc"), tmp_path / "missing") == ""
    (tmp_path / "odd").write_text("what is this\n")
    assert filesystem_type(Path("/etc"), tmp_path / "odd") == ""


@pytest.mark.parametrize("kind", ["nfs", "nfs4", "9p", "cifs", "fuse.sshfs"])
def test_remote_file_systems_are_known(kind: str) -> None:
    assert is_remote(kind)


@pytest.mark.parametrize("kind", ["ext4", "btrfs", "xfs", "tmpfs", "overlay", "fuseblk", ""])
def test_local_file_systems_are_not_remote(kind: str) -> None:
    assert not is_remote(kind)
