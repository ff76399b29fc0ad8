# SPDX-License-Identifier: GPL-2.0-only
"""Writes a patch into a file, so that there is never a file by its name that is patched in part.

The file is moved aside, written to and moved back. That takes no copy of what may be a gigabyte and no space,
and owner, mode and attributes stay. Who is killed meanwhile leaves no file by that name, which make sees, and
one called .tmp_*, which "make clean" removes.
"""

import errno
import os
from collections.abc import Callable, Sequence

from kallsyms_client.regular import open_regular
from kallsyms_client.report import ClientError, failure, strerror


class Identity:
    """Which file it is, in which state: what is written to it or put in its place makes another."""

    __slots__ = ("_fields",)

    def __init__(self, status: os.stat_result) -> None:
        self._fields = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)

    def is_of(self, status: os.stat_result) -> bool:
        """Whether ``status`` is of this file in this state."""
        return self._fields == Identity(status)._fields


def read(path: bytes) -> tuple[bytes, Identity]:
    """All of the file at ``path``, and which it is; ClientError also where it is cut short meanwhile.

    Not mapped: whoever cuts a mapped file short kills those who look at it (SIGBUS), and what is looked at
    twice may have changed.
    """
    try:
        descriptor = open_regular(path, follow=True)
        with os.fdopen(descriptor, "rb", buffering=0) as file:
            status = os.fstat(descriptor)
            data = file.readall()
    except OSError as error:
        raise failure(path + b": " + strerror(error)) from error
    if len(data) != status.st_size:
        raise changed(path)
    return data, Identity(status)


def apply(
    path: bytes,
    replacements: Sequence[tuple[int, bytes]],
    planned: Identity,
    complete: Callable[[], None] = lambda: None,
) -> None:
    """Put bytes at offsets of the file at ``path``, call ``complete``, then give the file its name back.

    ``planned`` is the file that the bytes are for. Where anything fails, ``complete`` included, the file is
    as it was before; ClientError says what went wrong. Links are followed. A file with several names is
    refused: each of them would change.
    """
    final = os.path.realpath(path)
    aside = b"%b/.tmp_%b.%d" % (os.path.dirname(final), os.path.basename(final)[:200], os.getpid())
    try:
        if not replacements:
            if not planned.is_of(os.stat(final)):
                raise changed(path)
            complete()
            return
        descriptor = open_regular(final, os.O_RDWR, follow=True)
        try:
            status = os.fstat(descriptor)
            if not planned.is_of(status):
                raise changed(path)
            if status.st_nlink != 1:
                raise failure(b"%b: it has %d names (hard links), all would change" % (path, status.st_nlink))
            os.rename(final, aside)
            if not planned.is_of(os.stat(aside)):
                os.rename(aside, final)
                raise changed(path)
            _fill(descriptor, replacements, complete, aside, final)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise failure(path + b": " + strerror(error)) from error


def changed(path: bytes) -> ClientError:
    """What is said of a file that somebody else writes to."""
    return failure(b"%b: changed while it was read: is something else linking it?" % path)


def _fill(
    descriptor: int,
    replacements: Sequence[tuple[int, bytes]],
    complete: Callable[[], None],
    aside: bytes,
    final: bytes,
) -> None:
    """All that happens while the file is called ``aside``."""
    overwritten: list[tuple[int, bytes]] = []
    size = os.fstat(descriptor).st_size
    try:
        for offset, data in replacements:
            done = 0
            while done < len(data):
                before = os.pread(descriptor, len(data) - done, offset + done)
                if not before:
                    raise changed(final)
                written = os.pwrite(descriptor, data[done : done + len(before)], offset + done)
                overwritten.append((offset + done, before[:written]))
                done += written
        if os.fstat(descriptor).st_size != size:
            raise changed(final)
        complete()
        os.rename(aside, final)
    except BaseException:
        try:
            for offset, data in overwritten:
                if os.pwrite(descriptor, data, offset) != len(data):
                    raise OSError(errno.EIO, "short write")
            os.rename(aside, final)
        except OSError as error:
            raise failure(b"%b: changed in part, now called %b: link it again" % (final, aside)) from error
        raise
