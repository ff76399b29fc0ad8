# SPDX-License-Identifier: GPL-2.0-only
"""What one build request leads to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kallsymsd.protocol.wire import BAD_INPUT, OK, How

if TYPE_CHECKING:  # the client reads this before it looks for what front needs
    from collections.abc import Sequence

    from kallsymsd.core.front import Front


class BuildResult:
    """Outcome of a request.

    status   wire.OK or wire.BAD_INPUT
    how      how the tables were made
    text     assembly text: plain assembly, or the .S that includes ``binary``
    pieces   contents of the .bin in pieces; none for plain assembly
    front    if not None, what the first of ``pieces`` are, and those of other results, too
    sysmap   the map, if the request asks for it
    message  lines for standard error, with final newline unless empty
    changed  the first strings removed and added, as in TreeState; empty unless it came about incrementally
    """

    __slots__ = ("changed", "front", "how", "message", "pieces", "status", "sysmap", "text")

    def __init__(
        self,
        status: int,
        how: How,
        *,
        text: bytes = b"",
        pieces: Sequence[bytes | memoryview] = (),
        front: Front | None = None,
        sysmap: bytes = b"",
        message: bytes = b"",
        changed: tuple[bytes, ...] = (),
    ) -> None:
        self.status = status
        self.how = how
        self.text = text
        self.pieces = pieces
        self.front = front
        self.sysmap = sysmap
        self.message = message
        self.changed = changed

    @property
    def binary(self) -> bytes:
        """Contents of the .bin in one; empty for plain assembly."""
        return b"".join(self.pieces)

    @property
    def ok(self) -> bool:
        """Whether there are tables."""
        return self.status == OK

    @classmethod
    def bad_input(cls, message: bytes) -> BuildResult:
        """The result of a map that cannot be made into tables."""
        return cls(BAD_INPUT, How(), message=message)
