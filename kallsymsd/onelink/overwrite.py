# SPDX-License-Identifier: GPL-2.0-only
"""Overwrites the tables in a linked file: read once, planned, written.

There is never a file by its name that is overwritten in part. It is moved aside, written to and moved back.
That takes no copy of what may be a gigabyte and no space, and owner, mode and attributes stay. A process that
is killed meanwhile leaves no file by that name, which make sees, and one called .tmp_*, which "make clean"
removes.
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
    """The file cannot be read or written; ``message`` is one line, without its end: which file, why."""

    def __init__(self, message: bytes) -> None:
        super().__init__(message.decode("utf-8", "backslashreplace"))
        self.message = message


class LinkedFile:
    """A linked file that is to get other tables.

    elf  what it holds
    """

    def __init__(self, path: bytes) -> None:
        """Read all of it. OverwriteError where that fails, or it is cut short meanwhile; InputError if it is
        no ELF file.

        Not mapped: whoever cuts a mapped file short kills those who look at it (SIGBUS), and what is looked
        at twice may have changed.
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
        """What to write for the file to have ``tables``, and ``replacements`` of other sections."""
        return patchplan.plan(self.elf, tables, *replacements)

    def write(self, patch: Patch, complete: Callable[[], None] = lambda: None) -> None:
        """Write it, with the file moved aside, call ``complete``, then give the file its name back.

        Where anything fails, ``complete`` included, the file is as it was before; OverwriteError says what
        went wrong. Links are followed. A file with several names is refused: each of them would change.
        """
        overwrite(self._path, patch.replacements, self._identity, complete)

    def write_unnamed(self, patch: Patch) -> None:
        """Write it to a file that gets its final name later: what fails leaves a file that nobody uses."""
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
    """Which file it is, in which state: what is written to it or put in its place makes another."""

    __slots__ = ("_fields",)

    def __init__(self, status: os.stat_result) -> None:
        self._fields = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)

    def is_of(self, status: os.stat_result) -> bool:
        """Whether ``status`` is of this file in this state."""
        return self._fields == Identity(status)._fields


def overwrite(
    path: bytes,
    replacements: Sequence[tuple[int, bytes]],
    planned: Identity,
    complete: Callable[[], None] = lambda: None,
) -> None:
    """Put bytes at offsets of the file at ``path``, call ``complete``, then give the file its name back.

    ``planned`` is the file that the bytes are for. Where anything fails, ``complete`` included, the file is
    as it was before; OverwriteError says what went wrong. Links are followed. A file with several names is
    refused: each of them would change.
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
                    b"%b: it has %d names (hard links), all would change" % (path, status.st_nlink)
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
    """What is said of a file that somebody else writes to."""
    return OverwriteError(b"%b: changed while it was read: is something else linking it?" % path)


def _fill_aside(
    descriptor: int,
    replacements: Sequence[tuple[int, bytes]],
    complete: Callable[[], None],
    aside: bytes,
    final: bytes,
) -> None:
    """All that happens while the file is called ``aside``."""
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
            message = b"%b: changed in part, now called %b: link it again" % (final, aside)
            raise OverwriteError(message) from error
        raise


def _fill(
    descriptor: int,
    replacements: Sequence[tuple[int, bytes]],
    path: bytes,
    overwritten: list[tuple[int, bytes]] | None = None,
) -> None:
    """Write bytes at offsets, none beyond the end; ``overwritten`` gets what was there before."""
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
