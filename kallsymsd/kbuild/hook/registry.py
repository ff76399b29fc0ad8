# SPDX-License-Identifier: GPL-2.0-only
"""The list of object trees in which this user installed the hook: a directory of symbolic links to them.

A link can hold any path, is created and removed atomically, and needs no lock. Its name is a digest of the
path.
"""

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path

from kallsymsd.protocol.paths import base_directory


def data_directory(environment: Mapping[str, str]) -> Path:
    """The data directory of kallsymsctl: kallsymsd in $XDG_DATA_HOME, or in ~/.local/share.

    Raises BadPathError if there is no home directory either.
    """
    return base_directory(environment, "XDG_DATA_HOME", ".local/share") / "kallsymsd"


class Registry:
    """The list of trees, in the subdirectory trees of a data directory."""

    def __init__(self, data: Path) -> None:
        """``data`` is the data directory of kallsymsctl."""
        self._directory = data / "trees"

    def add(self, objects: Path) -> None:
        """Add an object tree; OSError on failure."""
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        link = self._link(objects)
        if not link.is_symlink():
            link.symlink_to(objects)

    def remove(self, objects: Path) -> None:
        """Remove an object tree, if it is in the list."""
        self._link(objects).unlink(missing_ok=True)

    def trees(self) -> list[Path]:
        """The object trees in the list, sorted by path."""
        try:
            links = list(self._directory.iterdir())
        except OSError:
            return []
        return sorted(link.readlink() for link in links if link.is_symlink())

    def _link(self, objects: Path) -> Path:
        return self._directory / hashlib.sha256(os.fsencode(objects)).hexdigest()[:16]
