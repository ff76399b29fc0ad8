# SPDX-License-Identifier: GPL-2.0-only
"""An answer as it is sent to clients: text, binary and map in sealed memory files."""

from kallsymsd.engine.memoryfile import Fronts, MemoryFile
from kallsymsd.engine.result import BuildResult
from kallsymsd.protocol.wire import OK, BuildReply, Value, put


class Answer(Value):
    """The answer to a request, immutable: any number of clients can be sent it.

    reply    what is said of it to the client that it was computed for
    files    none for bad input; else one file with text, binary and map, or two: the front of the binary,
             which other answers may share; and text, rest of the binary, and map
    changed  what BuildResult says
    """

    __slots__ = ("__weakref__", "changed", "files", "reply")

    reply: BuildReply
    files: tuple[MemoryFile, ...]
    changed: tuple[bytes, ...]

    def __init__(
        self, reply: BuildReply, files: tuple[MemoryFile, ...] = (), changed: tuple[bytes, ...] = ()
    ) -> None:
        put(self, "reply", reply)
        put(self, "files", files)
        put(self, "changed", changed)

    @classmethod
    def of(cls, result: BuildResult, fronts: Fronts | None = None) -> "Answer":
        """The answer with ``result``, sealed."""
        return cls(result.reply, seal(result, fronts), result.changed)

    @property
    def ok(self) -> bool:
        """Whether there are tables."""
        return self.reply.status == OK

    @property
    def size(self) -> int:
        """Bytes of text, binary and map, shared ones included."""
        return self.reply.length

    def parts(self) -> list[bytes]:
        """Text, binary and map, read back, in that order; OSError unless all could be read (2 GiB)."""
        *fronts, own = self.files
        text = self.reply.text_length
        parts = [own.read(0, text)]
        parts += [front.read(0, front.size) for front in fronts]
        return [*parts, own.read(text, own.size - text)]


def seal(result: BuildResult, fronts: Fronts | None = None) -> tuple[MemoryFile, ...]:
    """The files of an answer, which share what is in ``fronts``. OSError without memory or descriptors."""
    made = result.assembly
    if made is None:
        return ()
    if fronts is None or made.front is None or (front := fronts.file(made.front)) is None:
        return (MemoryFile((made.text, *made.pieces, result.sysmap)),)
    rest = made.pieces[len(made.front.tables) :]
    return front, MemoryFile((made.text, *rest, result.sysmap))
