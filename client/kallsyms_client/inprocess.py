# SPDX-License-Identifier: GPL-2.0-only
"""The client's own computation, for when there is no daemon to ask."""

import posix

from kallsyms_client.failures import ClientError, DeferError
from kallsymsd.core.dialects import exact
from kallsymsd.core.errors import InputError
from kallsymsd.engine.result import BuildResult
from kallsymsd.protocol.regular import Reader
from kallsymsd.protocol.wire import MAP, BuildRequest

_CHUNK = 1 << 20
# Most bytes at a time: memory is taken for so many before it shows whether they are there.
_MOST = 1 << 30


def build(request: BuildRequest, map_text: bytes) -> BuildResult:
    """The same answer that the daemon gives."""
    try:
        from kallsymsd.engine import cold
    except ImportError:
        _find_imports()
        from kallsymsd.engine import cold
    return cold.build(request, map_text)


def read_input(request: BuildRequest, descriptor: int, size: int) -> bytes:
    """The map that the request is about; OSError when its input cannot be read.

    ClientError for an ELF file that has none. ``size`` is what a regular file is expected to have, else -1.
    """
    if request.source == MAP:
        return read_map(descriptor, size)
    if size < 0:
        raise ClientError(b"not a regular file: " + request.map_path + b"\n")
    try:
        from kallsymsd.elf import vmlinux
    except ImportError:
        _find_imports()
        from kallsymsd.elf import vmlinux
    try:
        reader = Reader(descriptor, size)
        return vmlinux.map_text(reader.read, reader.size, exact(request.dialect))
    except InputError as error:
        raise ClientError(error.render(request.map_path)) from error


def _find_imports() -> None:
    """What we import may lie in site-packages where kallsymsd itself does not."""
    import site

    site.main()
    try:
        from kallsymsd.elf import vmlinux  # noqa: F401  all that is not Python's own
        from kallsymsd.engine import cold  # noqa: F401  likewise
    except ImportError as error:
        message = f"kallsyms: cannot compute: {error}; install kallsymsd again\n"
        raise DeferError(message.encode()) from error


def read_map(descriptor: int, size: int) -> bytes:
    """All of a map; OSError when it cannot be read. ``size`` is what a regular file is expected to have.

    A regular file is read without moving its offset, which the daemon shares that was asked before.
    """
    chunks = []
    done = 0
    while chunk := _read(descriptor, min(max(size + 1 - done, _CHUNK), _MOST), done, is_regular=size >= 0):
        chunks.append(chunk)
        done += len(chunk)
    return b"".join(chunks)


def _read(descriptor: int, count: int, offset: int, *, is_regular: bool) -> bytes:
    return posix.pread(descriptor, count, offset) if is_regular else posix.read(descriptor, count)
