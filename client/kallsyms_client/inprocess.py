# SPDX-License-Identifier: GPL-2.0-only
"""The client's own computation, for when no daemon answers."""

import posix

from kallsyms_client.failures import ClientError
from kallsyms_client.locate import import_with_site
from kallsymsd.core.dialects import exact
from kallsymsd.core.errors import InputError
from kallsymsd.engine.result import BuildResult
from kallsymsd.protocol.regular import Reader
from kallsymsd.protocol.wire import MAP, BuildRequest

_CHUNK = 1 << 20
# Most bytes read at a time: memory for them is allocated before it is known whether they exist.
_MOST = 1 << 30


def build(request: BuildRequest, map_text: bytes) -> BuildResult:
    """Compute the same answer that the daemon gives."""
    try:
        from kallsymsd.engine import cold
    except ImportError:
        import_with_site("kallsymsd.engine.cold")
        from kallsymsd.engine import cold
    return cold.build(request, map_text)


def read_input(request: BuildRequest, descriptor: int, size: int) -> bytes:
    """The request's map; OSError if the input cannot be read.

    ClientError for an ELF file without one. ``size`` is the expected size of a regular file, -1 for others.
    """
    if request.source == MAP:
        return read_map(descriptor, size)
    if size < 0:
        raise ClientError(b"not a regular file: " + request.map_path + b"\n")
    try:
        from kallsymsd.elf import vmlinux
    except ImportError:
        import_with_site("kallsymsd.elf.vmlinux")
        from kallsymsd.elf import vmlinux
    try:
        reader = Reader(descriptor, size)
        return vmlinux.map_text(reader.read, reader.size, exact(request.dialect))
    except InputError as error:
        raise ClientError(error.render(request.map_path)) from error


def read_map(descriptor: int, size: int) -> bytes:
    """The whole map; OSError if it cannot be read. ``size`` is the expected size of a regular file, else -1.

    A regular file is read without moving its offset, which is shared with the daemon that was asked before.
    """
    chunks = []
    done = 0
    while chunk := _read(descriptor, min(max(size + 1 - done, _CHUNK), _MOST), done, is_regular=size >= 0):
        chunks.append(chunk)
        done += len(chunk)
    return b"".join(chunks)


def _read(descriptor: int, count: int, offset: int, *, is_regular: bool) -> bytes:
    return posix.pread(descriptor, count, offset) if is_regular else posix.read(descriptor, count)
