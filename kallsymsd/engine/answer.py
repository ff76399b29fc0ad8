# SPDX-License-Identifier: GPL-2.0-only
"""An answer as it goes to clients: text, binary and map in sealed memory files."""

from kallsymsd.engine.memoryfile import Fronts, MemoryFile
from kallsymsd.engine.result import BuildResult
from kallsymsd.protocol.wire import OK, BuildReply, How


class Answer:
    """Outcome of a request, immutable and ready to be sent to any number of clients.

    status         wire.OK or wire.BAD_INPUT
    how            how it was made when it was made; ready for as long as no client has been given it
    text_length    bytes of assembly text
    binary_length  bytes of the .bin
    map_length     bytes of the map, if that was asked for
    message        lines for standard error, with final newline unless empty
    changed        what BuildResult says of it
    files          none unless the status is OK; else one with text, binary and map, or two: the front of the
                   binary, which other answers may have, too; text, rest of the binary, and map
    """

    __slots__ = (
        "__weakref__",
        "binary_length",
        "changed",
        "files",
        "how",
        "map_length",
        "message",
        "status",
        "text_length",
    )

    def __init__(self, result: BuildResult, fronts: Fronts | None = None) -> None:
        """Seal ``result``, sharing what is in ``fronts``. OSError when there is no memory or descriptor."""
        self.status = result.status
        self.how = result.how
        self.text_length = len(result.text)
        self.binary_length = sum(len(piece) for piece in result.pieces)
        self.map_length = len(result.sysmap)
        self.message = result.message
        self.changed = result.changed
        self.files: tuple[MemoryFile, ...] = ()
        if result.ok:
            front, pieces = None, result.pieces
            if fronts is not None and result.front is not None:
                front = fronts.file(result.front)
            if front is not None and result.front is not None:
                pieces = pieces[len(result.front.tables) :]
            own = MemoryFile((result.text, *pieces, result.sysmap))
            self.files = (own,) if front is None else (front, own)

    @property
    def ok(self) -> bool:
        """Whether there are tables."""
        return self.status == OK

    @property
    def size(self) -> int:
        """Bytes of text, binary and map, also of what others share."""
        return self.text_length + self.binary_length + self.map_length

    def reply(self, how: How) -> BuildReply:
        """The reply that hands this answer to a client; ``how`` tells how the client's request was met."""
        return BuildReply(
            self.status,
            how,
            text_length=self.text_length,
            binary_length=self.binary_length,
            map_length=self.map_length,
            message=self.message,
        )

    def parts(self) -> list[bytes]:
        """Text, binary and map, read back, in that order; OSError unless all could be read (2 GiB)."""
        *fronts, own = self.files
        parts = [own.read(0, self.text_length)]
        parts += [front.read(0, front.size) for front in fronts]
        return [*parts, own.read(self.text_length, own.size - self.text_length)]
