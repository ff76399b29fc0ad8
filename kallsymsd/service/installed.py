# SPDX-License-Identifier: GPL-2.0-only
"""Finds out whether the daemon's own files were replaced since it started, usually by an upgrade."""

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

_PACKAGES = tuple(
    Path(path)
    for name in ("kallsymsd", "kallsyms_client")
    if (found := find_spec(name)) is not None
    for path in found.submodule_search_locations or ()
)
_SUFFIXES = frozenset({".py", ".so"})

Identity = tuple[int, int, int, int]


class Installed:
    """The installed files as they are when this object is created."""

    def __init__(self, packages: tuple[Path, ...] = _PACKAGES) -> None:
        """``packages`` are directories with programs."""
        self._packages = packages
        self._at_start = dict(self._look())

    def replaced(self) -> Path | None:
        """A file that has changed, or None. Touches the disk, so only workers call it."""
        now = dict(self._look())
        changed = (path for path, identity in self._at_start.items() if now.get(path) != identity)
        return next(changed, None)

    def _look(self) -> Iterator[tuple[Path, Identity]]:
        for package in self._packages:
            for path in package.rglob("*"):
                if path.suffix in _SUFFIXES:
                    try:
                        status = path.stat()
                    except OSError:
                        continue  # as if it were deleted
                    yield path, (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)
