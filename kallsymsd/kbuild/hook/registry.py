# SPDX-License-Identifier: GPL-2.0-only
"""The object trees in which this user installed the hook: a directory of links to them, named by digests.

A link takes any path, is made and removed at once, and needs no lock.
"""

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path

from kallsymsd.protocol.paths import base_directory


def data_directory(environment: Mapping[str, str]) -> Path:
    """The directory of what kallsymsctl keeps: kallsymsd in $XDG_DATA_HOME, or in ~/.local/share.

    Raises BadPathError where there is no home directory, either.
    """
    return base_directory(environment, "XDG_DATA_HOME", ".local/share") / "kallsymsd"


class Registry:
    """The links below a directory."""

    def __init__(self, data: Path) -> None:
        """``data`` is the directory of what kallsymsctl keeps."""
        self._directory = data / "trees"

    def add(self, objects: Path) -> None:
        """Note an object tree; OSError when that fails."""
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        link = self._link(objects)
        if not link.is_symlink():
            link.symlink_to(objects)

    def remove(self, objects: Path) -> None:
        """Forget an object tree, if it is noted."""
        self._link(objects).unlink(missing_ok=True)

    def trees(self) -> list[Path]:
        """The object trees that are noted, by their paths."""
        try:
            links = list(self._directory.iterdir())
        except OSError:
            return []
        return sorted(link.readlink() for link in links if link.is_symlink())

    def _link(self, objects: Path) -> Path:
        return self._directory / hashlib.sha256(os.fsencode(objects)).hexdigest()[:16]
