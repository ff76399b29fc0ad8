# SPDX-License-Identifier: GPL-2.0-only
"""An answer as it goes to clients: text, binary and map in one sealed memory file."""

import errno
import fcntl
import os
import weakref

from kallsyms_client.wire import OK, BuildReply, How
from kallsymsd.engine.result import BuildResult

_SEALS = fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE
#: Since Linux kernel commit 105ff5339f49 ("mm/memfd: add MFD_NOEXEC_SEAL and MFD_EXEC") (in v6.3); where
#: vm.memfd_noexec is 2, memory files without it are refused.
_MFD_NOEXEC_SEAL = 0x0008


class Answer:
    """Outcome of a request, immutable and ready to be sent to any number of clients.

    status         wire.OK or wire.BAD_INPUT
    how            how it was made when it was made; ready for as long as no client has been given it
    text_length    bytes of assembly text
    binary_length  bytes of the .bin
    map_length     bytes of the map, if that was asked for
    message        lines for standard error, with final newline unless empty
    changed        what BuildResult says of it
    descriptor     memory file with text, binary and map; -1 unless the status is OK. All its readers
                   share one file offset: they must name offsets (pread, sendfile), never move it. It is
                   closed when the answer is garbage.
    """

    __slots__ = (
        "__weakref__",
        "binary_length",
        "changed",
        "descriptor",
        "how",
        "map_length",
        "message",
        "status",
        "text_length",
    )

    def __init__(self, result: BuildResult) -> None:
        """Seal ``result``. OSError when there is no memory or descriptor for it."""
        self.status = result.status
        self.how = result.how
        self.text_length = len(result.text)
        self.binary_length = sum(len(piece) for piece in result.pieces)
        self.map_length = len(result.sysmap)
        self.message = result.message
        self.changed = result.changed
        self.descriptor = -1
        if result.ok:
            self.descriptor = _sealed((result.text, *result.pieces, result.sysmap))
            weakref.finalize(self, os.close, self.descriptor)

    @property
    def ok(self) -> bool:
        """Whether there are tables."""
        return self.status == OK

    @property
    def size(self) -> int:
        """Bytes of text, binary and map."""
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

    def contents(self) -> bytes:
        """Text, binary and map, read back; OSError unless all could be read in one piece (2 GiB)."""
        content = os.pread(self.descriptor, self.size, 0)
        if len(content) != self.size:
            raise OSError(errno.EFBIG, f"an answer of {self.size} bytes cannot be read back")
        return content


def _sealed(parts: tuple[bytes | memoryview, ...]) -> int:
    """Descriptor of a new memory file with ``parts`` in a row, which nobody can change any more."""
    flags = os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING
    try:
        descriptor = os.memfd_create("kallsyms", flags | _MFD_NOEXEC_SEAL)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        descriptor = os.memfd_create("kallsyms", flags)
    try:
        for part in parts:
            rest = memoryview(part)
            while rest:
                rest = rest[os.write(descriptor, rest) :]
        fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, _SEALS)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor
