# SPDX-License-Identifier: GPL-2.0-only
"""The file in the cache directory that keeps what was counted across restarts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from kallsymsd.engine.private import NotPrivateError, check_private
from kallsymsd.service import figures, jsonfile, marks

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from kallsymsd.service.figures import Figures
    from kallsymsd.service.marks import Mark

#: Its name.
FILENAME = "counters.json"

_MAX_FILE = 1 << 22


class Kept(NamedTuple):
    """What the file says, and the daemon when it is asked for it.

    figures       everything counted since zero
    marks         what it was at earlier moments, oldest first
    last_request  when the last request came, 0 for never
    zero          when everything was set to zero, 0 for never
    """

    figures: Figures
    marks: list[Mark]
    last_request: float = 0.0
    zero: float = 0.0

    def message(self) -> dict[str, Any]:
        """The form for files and messages; read() is its inverse."""
        return {
            **self.figures.message(),
            "last_request": self.last_request,
            "zero": self.zero,
            "marks": [mark.message() for mark in self.marks],
        }


def read(message: Mapping[str, object]) -> Kept:
    """What a file or message says; whatever makes no sense in it counts as nothing."""
    return Kept(
        figures.read(message),
        marks.read(message.get("marks")),
        marks.read_time(message.get("last_request")),
        marks.read_time(message.get("zero")),
    )


def save(directory: Path, kept: Kept) -> None:
    """Write the file, whole or not at all; OSError when that fails."""
    jsonfile.save(directory / FILENAME, kept.message())


def load(directory: Path) -> Kept | None:
    """What :func:`save` wrote last; None if there is nothing, it cannot be read, or is not ours alone."""
    try:
        check_private(directory)
    except NotPrivateError:
        return None
    message = jsonfile.load(directory / FILENAME, _MAX_FILE)
    return read(message) if isinstance(message, dict) else None
