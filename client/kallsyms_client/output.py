# SPDX-License-Identifier: GPL-2.0-only
"""Writes all results or none, and checks every write and close.

Each output is staged, then committed. Errors for lack of space occur while staging, before anything is
changed; a later error undoes the commits.
"""

import posix

from kallsyms_client.destinations import create_beside, position_and_flags, replaceable
from kallsyms_client.failures import ClientError, failure
from kallsyms_client.signals import Undoing, broken_pipe
from kallsymsd.protocol.messages import strerror
from kallsymsd.protocol.received import Piece

_REGULAR = 0o100000
_KIND = 0o170000  # S_IFMT; importing the module stat would take too long


class FileError(ClientError):
    """An output file cannot be written: its path and errno."""

    def __init__(self, path: bytes, error: OSError) -> None:
        super().__init__(b"kallsyms: " + path + b": " + strerror(error) + b"\n")
        self.path = path
        self.errno = error.errno


class FileArgument:
    """An output file named on the command line. A rename replaces it, so it is complete at any time.

    Anything but a regular file (/dev/null, a pipe) is written in place.
    """

    def __init__(self, path: bytes, *pieces: Piece) -> None:
        self.path = path
        self.pieces = pieces
        self._final: bytes | None = None
        self._temporary = b""
        # Set before the corresponding system call: undo() must know if a signal arrives in between.
        self._saved = b""
        self._is_new = False

    @property
    def is_replaced(self) -> bool:
        """Whether commit() will rename; valid after stage(). A rename does not block and can be undone."""
        return self._final is not None

    def stage(self) -> None:
        """Write the temporary file."""
        try:
            self._final = replaceable(self.path)
            if self._final is None:
                return
            descriptor, self._temporary = create_beside(self._final)
            _fill(descriptor, self.pieces)
        except OSError as error:
            raise FileError(self.path, error) from error

    def withdraw(self) -> None:
        """Move an older file aside, so that it is never found beside newly committed files."""
        if self._final is None:
            return
        self._is_new = not _exists(self._final)
        if self._is_new:
            return
        try:
            self._move_aside(self._final)
        except OSError as error:
            raise FileError(self.path, error) from error

    def commit(self, *, undoable: bool = False) -> None:
        """Put the file in place. ``undoable`` keeps the older file; withdraw() has kept it already."""
        try:
            if self._final is None:
                flags = posix.O_WRONLY | posix.O_TRUNC | posix.O_CLOEXEC
                _fill(posix.open(self.path, flags), self.pieces)
                return
            if undoable:
                self._save(self._final)
            posix.rename(self._temporary, self._final)
            self._temporary = b""
        except OSError as error:
            raise FileError(self.path, error) from error

    def _save(self, final: bytes) -> None:
        self._saved = self._temporary + b".old"
        try:
            posix.link(final, self._saved)
        except FileNotFoundError:
            self._saved, self._is_new = b"", True
        except OSError:  # the file system has no hard links
            self._move_aside(final)

    def _move_aside(self, final: bytes) -> None:
        self._saved = self._temporary + b".old"
        try:
            posix.rename(final, self._saved)
        except FileNotFoundError:
            self._saved, self._is_new = b"", True
        except OSError:
            self._saved = b""
            raise

    def undo(self) -> bool:
        """Undo an undoable commit and a withdrawal; False if that fails."""
        if self._final is None:
            return True
        try:
            if self._saved:
                posix.rename(self._saved, self._final)
            elif self._is_new and not (self._temporary and _exists(self._temporary)):
                posix.unlink(self._final)
        except FileNotFoundError:
            return True  # a signal came before the rename
        except OSError:
            return False  # report only the error that led here
        return True

    def clean(self) -> None:
        """Remove temporary files."""
        for path in (self._temporary, self._saved):
            if path:
                _remove(path)


class StandardOutput:
    """Descriptor 1. Written in place: a shell or make has opened it and keeps using it."""

    def __init__(self, *pieces: Piece) -> None:
        self.pieces = pieces
        self._size = -1
        self._position = 0
        self._is_begun = False

    @property
    def is_file(self) -> bool:
        """Whether it is a regular file, so that a failed write can be undone; valid after stage()."""
        return self._size >= 0

    def stage(self) -> None:
        """Remember size and position, to undo a failed write."""
        try:
            status = posix.fstat(1)
            if status.st_mode & _KIND == _REGULAR:
                self._position = posix.lseek(1, 0, 1)  # SEEK_CUR
                self._size = status.st_size
        except OSError as error:
            raise failure(b"standard output: " + strerror(error)) from error

    def commit(self) -> None:
        """Write. Closing a duplicate makes a file server report its errors while the write can be undone."""
        self._is_begun = True
        try:
            for piece in self.pieces:
                piece.write(1)
            posix.close(posix.dup(1))
        except BrokenPipeError as error:
            raise broken_pipe() from error
        except OSError as error:
            raise failure(b"standard output: " + strerror(error)) from error

    def close(self) -> None:
        """Close the descriptor, so that a pipe's reader sees the end. commit() has seen any error already."""
        try:
            posix.close(1)
        except OSError as error:
            raise failure(b"standard output: " + strerror(error)) from error

    def undo(self) -> bool:
        """Restore length and position of a file; False if its contents are not restored."""
        if not self._is_begun or not self.is_file:
            return True
        try:
            posix.ftruncate(1, self._size)
            posix.lseek(1, self._position, 0)  # SEEK_SET
            return self._position >= self._size or bool(position_and_flags()[1] & posix.O_APPEND)
        except OSError:
            return False  # as in FileArgument.undo()


def write(last: FileArgument | StandardOutput, *before: FileArgument) -> None:
    """Write all outputs. On failure, all files are restored and ClientError is raised.

    Files are also restored if a signal other than SIGKILL ends the process. Even after SIGKILL, an older
    ``last`` is never found with newer files that it names, nor the reverse: an assembler finds files that
    belong together, or finds one missing.
    """
    others = [*before]
    undoing = Undoing()
    in_order: list[FileArgument | StandardOutput] = []
    with undoing:
        try:
            for file in (*before, last):
                file.stage()
            for file in before:
                if not file.is_replaced:  # first, because it may wait for a reader and cannot be undone
                    file.commit()
                    others.remove(file)
            if isinstance(last, StandardOutput) and last.is_file:
                in_order = [*others, last]
                _write_into_file(last, others, undoing)
            else:
                in_order = [last, *others]
                _write_last(last, others, undoing)
        except BaseException:
            undoing.defer()
            for each in reversed(in_order):
                if not each.undo():
                    break  # do not restore the others: old and new files must not be found together
            raise
        finally:
            undoing.defer()
            for file in (*before, last) if isinstance(last, FileArgument) else before:
                file.clean()


def _write_into_file(last: StandardOutput, others: list[FileArgument], undoing: Undoing) -> None:
    """Write standard output in place. Until it is complete, the files that it names do not exist."""
    for file in others:
        file.withdraw()
    last.commit()
    undoing.defer()
    for file in others:
        file.commit()
    last.close()


def _write_last(last: FileArgument | StandardOutput, others: list[FileArgument], undoing: Undoing) -> None:
    """Put the other files in place, then ``last``, which does not exist meanwhile."""
    if isinstance(last, StandardOutput):
        for file in others:
            file.commit(undoable=True)
        last.commit()
        last.close()
        return
    if others:
        last.withdraw()
    for file in others:
        file.commit(undoable=True)
    if last.is_replaced:
        undoing.defer()
    last.commit()


def _fill(descriptor: int, pieces: tuple[Piece, ...]) -> None:
    try:
        for piece in pieces:
            piece.write(descriptor)
    except BaseException:
        posix.close(descriptor)
        raise
    posix.close(descriptor)


def _remove(path: bytes) -> None:
    try:
        posix.unlink(path)
    except OSError:
        return  # a leftover does no harm


def _exists(path: bytes) -> bool:
    try:
        posix.lstat(path)
    except FileNotFoundError:
        return False
    except OSError:
        pass  # it exists but cannot be examined
    return True


def relative_to_here(path: bytes) -> bytes:
    """The absolute ``path``, relative to the working directory."""
    try:
        here = posix.getcwdb().split(b"/")
    except OSError:
        return path
    if here[-1] == b"":  # the root directory
        del here[-1]
    parts = path.split(b"/")
    common = 0
    while common < len(here) and common < len(parts) - 1 and here[common] == parts[common]:
        common += 1
    return b"/".join([b".."] * (len(here) - common) + parts[common:])
