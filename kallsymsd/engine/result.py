# SPDX-License-Identifier: GPL-2.0-only
"""What a computation makes, in the memory of this process."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from kallsymsd.protocol.wire import BAD_INPUT, OK, BuildReply, How

if TYPE_CHECKING:  # the client reads this before it finds what assembly needs
    from kallsymsd.core.assembly import Assembly


class BuildResult(NamedTuple):
    """What the computation for a request made.

    how       how the tables were made
    assembly  the tables in the form that the request asks for; None for bad input
    sysmap    the map, if the request asks for it
    message   lines for standard error, with final newline unless empty
    changed   the first string removed and the first one added, as in TreeState; empty unless the tables were
              made incrementally
    """

    how: How
    assembly: Assembly | None
    sysmap: bytes = b""
    message: bytes = b""
    changed: tuple[bytes, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether there are tables."""
        return self.assembly is not None

    @property
    def status(self) -> int:
        """wire.OK or wire.BAD_INPUT."""
        return OK if self.ok else BAD_INPUT

    @property
    def text(self) -> bytes:
        """Assembly text: plain assembly, or the .S that includes the .bin."""
        return self.assembly.text if self.assembly is not None else b""

    @property
    def binary(self) -> bytes:
        """Contents of the .bin; empty for plain assembly."""
        return self.assembly.binary if self.assembly is not None else b""

    @property
    def reply(self) -> BuildReply:
        """What is said of this."""
        pieces = self.assembly.pieces if self.assembly is not None else ()
        return BuildReply(
            self.status,
            self.how,
            text_length=len(self.text),
            binary_length=sum(len(piece) for piece in pieces),
            map_length=len(self.sysmap),
            message=self.message,
        )

    @classmethod
    def bad_input(cls, message: bytes) -> BuildResult:
        """The result of a map that cannot be made into tables."""
        return cls(How(), None, message=message)
