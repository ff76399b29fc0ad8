# SPDX-License-Identifier: GPL-2.0-only
"""Overwrites the tables in a linked file, in place.

A partly overwritten file never has the final name: the file is renamed, written and renamed back. That needs
neither a copy, which may have a gigabyte, nor disk space, and keeps owner, mode and attributes. If the
process is killed meanwhile, the final name is missing, which make notices, and a file .tmp_* is left, which
"make clean" removes.
"""

import errno
import os
from collections.abc import Callable, Sequence

from kallsymsd.core.errors import KallsymsdError
from kallsymsd.core.tables import Tables
from kallsymsd.elf.elffile import ElfFile
from kallsymsd.onelink import patchplan
from kallsymsd.onelink.buildid import Replacement
from kallsymsd.onelink.patchplan import LayoutDiffers, Patch
from kallsymsd.protocol.messages import strerror
from kallsymsd.protocol.regular import open_regular


class OverwriteError(KallsymsdError):
    """The file cannot be read or written; ``message`` is one line, without newline: the file, and why."""

    def __init__(self, message: bytes) -> None:
        super().__init__(message.decode("utf-8", "backslashreplace"))
        self.message = message


class LinkedFile:
    """A linked file whose tables will be overwritten.

    elf  its contents
    """

    def __init__(self, path: bytes) -> None:
        """Read the file. OverwriteError if that fails or the file changes size meanwhile; InputError if it is
        no ELF file.

        The file is not mapped: if another process truncates a mapped file, access raises SIGBUS, and contents
        may change between two looks.
        """
        self._path = path
        try:
            descriptor = open_regular(path, follow=True)
            with os.fdopen(descriptor, "rb", buffering=0) as file:
                status = os.fstat(descriptor)
                data = file.readall()
        except OSError as error:
            raise OverwriteError(path + b": " + strerror(error)) from error
        if len(data) != status.st_size:
            raise _changed(path)
        self._identity = Identity(status)
        self.elf = ElfFile.read(data)

    def plan(self, tables: Tables, *replacements: Replacement) -> Patch | LayoutDiffers:
        """The patch that gives the file ``tables``, and makes ``replacements`` in other sections."""
        return patchplan.plan(self.elf, tables, *replacements)

    def write(self, patch: Patch, complete: Callable[[], None] = lambda: None) -> None:
        """Apply the patch; see :func:`overwrite`."""
        overwrite(self._path, patch.replacements, self._identity, complete)

    def write_unnamed(self, patch: Patch) -> None:
        """Apply the patch to a file that gets its final name later: after an error, nobody uses the file."""
        path = self._path
        try:
            descriptor = open_regular(path, os.O_RDWR, follow=False)
            try:
                if not self._identity.is_of(os.fstat(descriptor)):
                    raise _changed(path)
                _fill(descriptor, patch.replacements, path)
            finally:
                os.close(descriptor)
        except OSError as error:
            raise OverwriteError(path + b": " + strerror(error)) from error


class Identity:
    """Identifies a file and its state: a write to the file, or a new file in its place, changes it."""

    __slots__ = ("_fields",)

    def __init__(self, status: os.stat_result) -> None:
        self._fields = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)

    def is_of(self, status: os.stat_result) -> bool:
        """Whether ``status`` is from this file in this state."""
        return self._fields == Identity(status)._fields


def overwrite(
    path: bytes,
    replacements: Sequence[tuple[int, bytes]],
    planned: Identity,
    complete: Callable[[], None] = lambda: None,
) -> None:
    """Rename the file at ``path``, write bytes at offsets, call ``complete``, and rename the file back.

    ``planned`` identifies the file that the bytes are for. If anything fails, ``complete`` included, the file
    is restored and OverwriteError says what went wrong. Symbolic links are followed. A file with several hard
    links is refused, because all of them would change.
    """
    final = os.path.realpath(path)
    aside = b"%b/.tmp_%b.%d" % (os.path.dirname(final), os.path.basename(final)[:200], os.getpid())
    try:
        if not replacements:
            if not planned.is_of(os.stat(final)):
                raise _changed(path)
            complete()
            return
        descriptor = open_regular(final, os.O_RDWR, follow=True)
        try:
            status = os.fstat(descriptor)
            if not planned.is_of(status):
                raise _changed(path)
            if status.st_nlink != 1:
                raise OverwriteError(
                    b"%b: has %d hard links, which would all change; copy it first" % (path, status.st_nlink)
                )
            os.rename(final, aside)
            if not planned.is_of(os.stat(aside)):
                os.rename(aside, final)
                raise _changed(path)
            _fill_aside(descriptor, replacements, complete, aside, final)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise OverwriteError(path + b": " + strerror(error)) from error


def _changed(path: bytes) -> OverwriteError:
    """The error for a file that another process writes to."""
    return OverwriteError(b"%b: changed while it was read; is another build linking it?" % path)


def _fill_aside(
    descriptor: int,
    replacements: Sequence[tuple[int, bytes]],
    complete: Callable[[], None],
    aside: bytes,
    final: bytes,
) -> None:
    """Do everything that happens while the file has the name ``aside``."""
    overwritten: list[tuple[int, bytes]] = []
    try:
        _fill(descriptor, replacements, final, overwritten)
        complete()
        os.rename(aside, final)
    except BaseException:
        try:
            for offset, data in overwritten:
                if os.pwrite(descriptor, data, offset) != len(data):
                    raise OSError(errno.EIO, "short write")
            os.rename(aside, final)
        except OSError as error:
            message = b"%b: partly overwritten, now called %b; link it again" % (final, aside)
            raise OverwriteError(message) from error
        raise


def _fill(
    descriptor: int,
    replacements: Sequence[tuple[int, bytes]],
    path: bytes,
    overwritten: list[tuple[int, bytes]] | None = None,
) -> None:
    """Write bytes at offsets, none beyond the end; ``overwritten`` collects the previous contents."""
    size = os.fstat(descriptor).st_size
    for offset, data in replacements:
        done = 0
        while done < len(data):
            before = os.pread(descriptor, len(data) - done, offset + done)
            if not before:
                raise _changed(path)
            written = os.pwrite(descriptor, data[done : done + len(before)], offset + done)
            if overwritten is not None:
                overwritten.append((offset + done, before[:written]))
            done += written
    if os.fstat(descriptor).st_size != size:
        raise _changed(path)
