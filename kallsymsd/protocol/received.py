# SPDX-License-Identifier: GPL-2.0-only
"""What a client writes: pieces of the memory files that a daemon sent, or of the client's own memory.

kallsymsd sends memory files that can no longer be changed. The client refuses anything else: a file that
shrinks while it is copied, or gigabytes for a small map, would be worse than no answer.
"""

import fcntl
import posix

from kallsymsd.core.dialects import BY_NAME, OPTION_BITS
from kallsymsd.protocol import wire

#: Most descriptors of a reply.
MOST = 2

# From <linux/fcntl.h>. Only memory files can have these seals.
_SEALS = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE

# Bytes that any answer may have, and further bytes for each byte of the map. The shortest line of a map has
# about 6 bytes. In a .bin a symbol takes at most 8 bytes for its address, 3 for its place in the order, and
# hardly more than its name. In plain assembly, or a listing, each of these bytes takes 6, and a comment has
# the name.
_FREE = 2 << 20
_BINARY = 16
_TEXT = 128
# A map made from a linked kernel has at most four times the bytes of its symbols, unless many symbols share
# long names.
_MAP = 16


class Piece:
    """``length`` bytes to be written, from ``start`` in a descriptor or a bytes object.

    A file may consist of several pieces. The descriptor's offset is never moved, since the daemon sends the
    same open file to several clients.
    """

    __slots__ = ("length", "source", "start")

    def __init__(self, source: int | bytes, start: int, length: int) -> None:
        self.source = source
        self.start = start
        self.length = length

    def write(self, descriptor: int) -> None:
        """Write all bytes to ``descriptor``; OSError when that fails."""
        start, end = self.start, self.start + self.length
        if isinstance(self.source, bytes):
            rest = memoryview(self.source)[start:end]
            while rest:
                rest = rest[posix.write(descriptor, rest) :]
            return
        try:
            while start < end and (sent := posix.sendfile(descriptor, self.source, start, end - start)):
                start += sent
        except OSError:
            # Some descriptors do not support sendfile, for example with O_APPEND. If there is another error,
            # writing will report it.
            pass
        while start < end:
            chunk = posix.pread(self.source, min(end - start, 1 << 18), start)
            if not chunk:
                raise OSError(0, "the daemon's result is shorter than announced")
            start += posix.write(descriptor, chunk)

    def read(self) -> bytes:
        """All bytes, or as many as there are."""
        if isinstance(self.source, bytes):
            return self.source[self.start : self.start + self.length]
        parts = []
        at, end = self.start, self.start + self.length
        while at < end and (part := posix.pread(self.source, end - at, at)):
            parts.append(part)
            at += len(part)
        return b"".join(parts)


class Output:
    """An answer as a client writes it, wherever it was computed.

    reply                 what is said of it
    text, binary, sysmap  contents of the .S, the .bin and the map; empty unless the status is OK
    descriptors           memory files that they are in, to be closed by the caller
    """

    __slots__ = ("binary", "descriptors", "reply", "sysmap", "text")

    def __init__(
        self,
        reply: wire.BuildReply,
        text: "tuple[Piece, ...]",
        binary: "tuple[Piece, ...]",
        sysmap: "tuple[Piece, ...]",
        descriptors: "tuple[int, ...]" = (),
    ) -> None:
        self.reply = reply
        self.text = text
        self.binary = binary
        self.sysmap = sysmap
        self.descriptors = descriptors

    @classmethod
    def received(cls, reply: wire.BuildReply, descriptors: "tuple[int, ...]", front: int) -> "Output":
        """What a daemon sent: ``front`` bytes of the .bin in the first file, all else in the last."""
        first, last = (descriptors[0], descriptors[-1]) if descriptors else (-1, -1)
        middle, rest = reply.text_length, reply.binary_length - front
        return cls(
            reply,
            (Piece(last, 0, middle),),
            (Piece(first, 0, front), Piece(last, middle, rest)),
            (Piece(last, middle + rest, reply.map_length),),
            descriptors,
        )

    @property
    def ok(self) -> bool:
        """Whether there is anything to write."""
        return self.reply.status == wire.OK


def check(
    reply: wire.BuildReply, request: wire.BuildRequest, descriptors: "tuple[int, ...]", input_size: int
) -> int:
    """Bytes of the .bin that are in a file of their own; WireError unless this is an answer to ``request``.

    ``input_size`` is in bytes. OSError for descriptors that cannot be asked.
    """
    count = len(descriptors)
    if count not in ((1, MOST) if reply.status == wire.OK else (0,)):
        raise wire.WireError(f"replied with {count} descriptors")
    files = [posix.fstat(descriptor) for descriptor in descriptors]
    front = files[0].st_size if count == MOST else 0
    is_right = sum(file.st_size for file in files) == reply.length and front <= reply.binary_length
    if not is_right or any(file.st_mode & 0o170000 != 0o100000 for file in files):
        raise wire.WireError(f"replied with descriptors that are not files of {reply.length} bytes")
    for descriptor in descriptors:
        _check_sealed(descriptor)
    if reply.binary_length and not request.bin_name:
        raise wire.WireError("replied with a .bin that was not asked for")
    if reply.map_length and not request.sysmap:
        raise wire.WireError("replied with a map that was not asked for")
    for what, length, most in (
        ("text", reply.text_length, _FREE + _text_growth(request) * input_size),
        ("a .bin", reply.binary_length, _FREE + _BINARY * input_size),
        ("a map", reply.map_length, _FREE + _MAP * input_size),
    ):
        if length > most:
            raise wire.WireError(f"replied with {what} of {length} bytes for {input_size} bytes")
    return front


def _check_sealed(descriptor: int) -> None:
    """WireError unless the file can be read and its contents can never change."""
    try:
        # Only memory files have seals; F_GET_SEALS fails for descriptors opened with O_PATH.
        mode = fcntl.fcntl(descriptor, fcntl.F_GETFL) & posix.O_ACCMODE
        seals = fcntl.fcntl(descriptor, fcntl.F_GET_SEALS)
    except OSError:
        mode, seals = posix.O_WRONLY, 0
    if mode == posix.O_WRONLY or seals & _SEALS != _SEALS:
        raise wire.WireError("replied with descriptors that are not sealed memory files")


def _text_growth(request: wire.BuildRequest) -> int:
    """Bytes of text for each byte of the input: 0 if all columns are in the .bin."""
    dialect = BY_NAME[request.dialect]
    is_relative = request.options & OPTION_BITS["base-relative"] or not dialect.absolute_form
    has_column = request.options & OPTION_BITS["pc-relative"] or not is_relative
    return _TEXT if request.form == wire.ASM or request.debug or has_column else 0
