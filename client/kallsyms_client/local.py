# SPDX-License-Identifier: GPL-2.0-only
"""The client's own computation, for when there is no daemon to ask."""

import posix

from kallsyms_client.report import DeferError
from kallsyms_client.wire import BuildRequest
from kallsymsd.engine.result import BuildResult

_CHUNK = 1 << 20


def build(request: BuildRequest, map_text: bytes) -> BuildResult:
    """The same answer that the daemon gives."""
    try:
        from kallsymsd.engine import cold
    except ImportError:
        # What it imports may lie in site-packages where kallsymsd itself does not.
        import site

        site.main()
        try:
            from kallsymsd.engine import cold
        except ImportError as error:
            raise DeferError(
                f"kallsyms: cannot compute: {error}; install kallsymsd again\n".encode()
            ) from error
    return cold.build(request, map_text)


def read_map(descriptor: int, size: int) -> bytes:
    """All of a map; OSError when it cannot be read. ``size`` is what a regular file is expected to have.

    A regular file is read without moving its offset, which the daemon shares that was asked before.
    """
    chunks = []
    done = 0
    while chunk := _read(descriptor, max(size + 1 - done, _CHUNK), done, is_regular=size >= 0):
        chunks.append(chunk)
        done += len(chunk)
    return b"".join(chunks)


def _read(descriptor: int, count: int, offset: int, *, is_regular: bool) -> bytes:
    return posix.pread(descriptor, count, offset) if is_regular else posix.read(descriptor, count)
