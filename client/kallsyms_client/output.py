# SPDX-License-Identifier: GPL-2.0-only
"""Writes results: all of them or nothing, every write and close checked.

A destination is staged, then committed. What can fail for want of space fails while staging, when nothing
is lost yet; what fails later is undone.
"""

import posix

from kallsyms_client.destinations import create_beside, position_and_flags, replaceable
from kallsyms_client.failures import ClientError, failure
from kallsyms_client.signals import Undoing, broken_pipe
from kallsymsd.protocol.messages import strerror
from kallsymsd.protocol.received import Piece

_REGULAR = 0o100000
_KIND = 0o170000  # S_IFMT; the module stat is not worth its import


class FileError(ClientError):
    """A file argument cannot be written: which, and why (errno)."""

    def __init__(self, path: bytes, error: OSError) -> None:
        super().__init__(b"kallsyms: " + path + b": " + strerror(error) + b"\n")
        self.path = path
        self.errno = error.errno


class FileArgument:
    """A file named on the command line. Replaced by a rename, so that it is whole at any time.

    What is no regular file (/dev/null, a pipe) is written to as it is.
    """

    def __init__(self, path: bytes, *pieces: Piece) -> None:
        self.path = path
        self.pieces = pieces
        self._final: bytes | None = None
        self._temporary = b""
        # Set before the call that makes it so: a signal may come between the two, and undo() must know.
        self._saved = b""
        self._is_new = False

    @property
    def is_replaced(self) -> bool:
        """Whether commit() renames, once this is staged. That waits for nobody, and can be undone."""
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
        """Move an older file aside: nobody is to find it together with what is about to be committed."""
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
        """Put the file in place; after withdraw() it is undoable anyway."""
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
        except OSError:  # a file system without links
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
        """Take an undoable commit and a withdrawal back, if there were any; False where that fails."""
        if self._final is None:
            return True
        try:
            if self._saved:
                posix.rename(self._saved, self._final)
            elif self._is_new and not (self._temporary and _exists(self._temporary)):
                posix.unlink(self._final)
        except FileNotFoundError:
            return True  # a signal came first
        except OSError:
            return False  # the failure that led here is the one to report
        return True

    def clean(self) -> None:
        """Remove what is left beside the file."""
        for path in (self._temporary, self._saved):
            if path:
                _remove(path)


class StandardOutput:
    """Descriptor 1. Written in place: a shell or make opened it and will go on with it."""

    def __init__(self, *pieces: Piece) -> None:
        self.pieces = pieces
        self._size = -1
        self._position = 0
        self._is_begun = False

    @property
    def is_file(self) -> bool:
        """Whether it is a regular file, once this is staged: then a failed write can be taken back."""
        return self._size >= 0

    def stage(self) -> None:
        """Note how to take a failed write back."""
        try:
            status = posix.fstat(1)
            if status.st_mode & _KIND == _REGULAR:
                self._position = posix.lseek(1, 0, 1)  # SEEK_CUR
                self._size = status.st_size
        except OSError as error:
            raise failure(b"standard output: " + strerror(error)) from error

    def commit(self) -> None:
        """Write. What a file server says when a file is closed is heard, while it can still be undone."""
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
        """End a pipe for its reader. Nothing can fail any more that has not failed in commit()."""
        try:
            posix.close(1)
        except OSError as error:
            raise failure(b"standard output: " + strerror(error)) from error

    def undo(self) -> bool:
        """Give a file its length and position back; False if it is not what it was."""
        if not self._is_begun or not self.is_file:
            return True
        try:
            posix.ftruncate(1, self._size)
            posix.lseek(1, self._position, 0)  # SEEK_SET
            return self._position >= self._size or bool(position_and_flags()[1] & posix.O_APPEND)
        except OSError:
            return False  # as in undo() above


def write(last: FileArgument | StandardOutput, *before: FileArgument) -> None:
    """Write all; ClientError when that fails, and then all is as it was.

    It is so as well when a signal ends the process meanwhile, unless that is SIGKILL. After that too there is
    never an older ``last`` with newer files that it names, nor the reverse: what an assembler finds goes
    together, or it finds a file missing.
    """
    others = [*before]
    undoing = Undoing()
    in_order: list[FileArgument | StandardOutput] = []
    with undoing:
        try:
            for file in (*before, last):
                file.stage()
            for file in before:
                if not file.is_replaced:  # first, as it may wait for a reader and cannot be undone
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
                    break  # what is not as it was must not be found with what is
            raise
        finally:
            undoing.defer()
            for file in (*before, last) if isinstance(last, FileArgument) else before:
                file.clean()


def _write_into_file(last: StandardOutput, others: list[FileArgument], undoing: Undoing) -> None:
    """Write standard output in place. Until it is whole, the files that it names are not there."""
    for file in others:
        file.withdraw()
    last.commit()
    undoing.defer()
    for file in others:
        file.commit()
    last.close()


def _write_last(last: FileArgument | StandardOutput, others: list[FileArgument], undoing: Undoing) -> None:
    """Put the other files in place, then ``last``. Meanwhile there is none of that name."""
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
        return  # it is in nobody's way


def _exists(path: bytes) -> bool:
    try:
        posix.lstat(path)
    except FileNotFoundError:
        return False
    except OSError:
        pass  # it is there, but cannot be looked at
    return True


def relative_to_here(path: bytes) -> bytes:
    """``path``, absolute, as seen from the working directory."""
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
