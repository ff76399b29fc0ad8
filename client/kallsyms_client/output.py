# SPDX-License-Identifier: GPL-2.0-only
"""Writes results: all of them or nothing, every write and close checked.

A destination is staged, then committed. What can fail for want of space fails while staging, when nothing
is lost yet; what fails later is undone.
"""

import posix

from kallsyms_client.report import failure, strerror
from kallsyms_client.signals import Undoing, broken_pipe

_REGULAR = 0o100000
_DIRECTORY = 0o040000
_KIND = 0o170000  # S_IFMT; the module stat is not worth its import


class Piece:
    """Bytes to be written: ``length`` of them from ``start`` in a descriptor or a bytes object.

    A file may consist of several. The offset of the descriptor is never moved: the daemon hands it to several
    clients.
    """

    __slots__ = ("length", "source", "start")

    def __init__(self, source: int | bytes, start: int, length: int) -> None:
        self.source = source
        self.start = start
        self.length = length

    def write(self, descriptor: int) -> None:
        """Write all to ``descriptor``; OSError when that fails."""
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
            # Not every descriptor takes a sendfile, one with O_APPEND does not. What is really wrong with
            # the others, a write will say.
            pass
        while start < end:
            chunk = posix.pread(self.source, min(end - start, 1 << 18), start)
            if not chunk:
                raise OSError(0, "the daemon's result is shorter than announced")
            start += posix.write(descriptor, chunk)

    def read(self) -> bytes:
        """All of it, or as much as there is."""
        if isinstance(self.source, bytes):
            return self.source[self.start : self.start + self.length]
        parts = []
        at, end = self.start, self.start + self.length
        while at < end and (part := posix.pread(self.source, end - at, at)):
            parts.append(part)
            at += len(part)
        return b"".join(parts)


class FileArgument:
    """A file named on the command line. Replaced by a rename, so that it is whole at any time.

    What is no regular file (/dev/null, a pipe) is written to as it is.
    """

    def __init__(self, path: bytes, *pieces: Piece) -> None:
        self.path = path
        self.pieces = pieces
        self._final: bytes | None = None
        self._temporary = b""
        self._saved = b""
        self._is_new = False

    def stage(self) -> None:
        """Write the temporary file."""
        try:
            self._final = _replaceable(self.path)
            if self._final is None:
                return
            descriptor, self._temporary = _create_beside(self._final)
            _fill(descriptor, self.pieces)
        except OSError as error:
            raise failure(self.path + b": " + strerror(error)) from error

    def commit(self, *, undoable: bool = False) -> None:
        """Put the file in place."""
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
            raise failure(self.path + b": " + strerror(error)) from error

    def _save(self, final: bytes) -> None:
        saved = self._temporary + b".old"
        try:
            posix.link(final, saved)
        except FileNotFoundError:
            self._is_new = True
        except OSError:
            return  # a file system without links: what is replaced there stays so
        else:
            self._saved = saved

    def undo(self) -> None:
        """Take an undoable commit back, if there was one."""
        if self._final is None or self._temporary:
            return
        try:
            if self._saved:
                posix.rename(self._saved, self._final)
                self._saved = b""
            elif self._is_new:
                posix.unlink(self._final)
        except OSError:
            return  # the failure that led here is the one to report

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
        """Write and close."""
        try:
            for piece in self.pieces:
                piece.write(1)
            posix.close(1)
        except BrokenPipeError as error:
            raise broken_pipe() from error
        except OSError as error:
            raise failure(b"standard output: " + strerror(error)) from error
        self._size = -1

    def clean(self) -> None:
        """Give a file its length and position back after a failed commit."""
        try:
            if self._size >= 0:
                posix.ftruncate(1, self._size)
                posix.lseek(1, self._position, 0)  # SEEK_SET
        except OSError:
            return  # as in undo() above


def write(last: FileArgument | StandardOutput, *before: FileArgument) -> None:
    """Write all, ``last`` last; ClientError when that fails, and then all is as it was.

    It is so as well when a signal ends the process meanwhile, unless that is SIGKILL.
    """
    committed: list[FileArgument] = []
    undoing = Undoing()
    with undoing:
        try:
            for file in (*before, last):
                file.stage()
            for file in before:
                committed.append(file)
                file.commit(undoable=True)
            last.commit()
        except BaseException:
            undoing.defer()
            for file in reversed(committed):
                file.undo()
            raise
        finally:
            undoing.defer()
            last.clean()
            for file in before:
                file.clean()


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


def _replaceable(path: bytes) -> bytes | None:
    """The name to rename over, with links followed; None for what must be written to as it is."""
    final = path
    for _ in range(40):  # as many links as the kernel follows
        try:
            link = posix.readlink(final)
        except OSError:
            break
        final = link if link.startswith(b"/") else _directory(final) + link
    try:
        status = posix.stat(path)
    except FileNotFoundError:
        return final
    if status.st_mode & _KIND == _DIRECTORY:
        raise IsADirectoryError(0, "Is a directory")
    try:
        named = posix.lstat(final)
    except OSError:
        return None  # such as /dev/stdout: its link leads to something without a name
    is_same = (named.st_dev, named.st_ino) == (status.st_dev, status.st_ino)
    return final if is_same and status.st_mode & _KIND == _REGULAR else None


def _directory(path: bytes) -> bytes:
    """The part of a path before the last name, with its slash."""
    return path[: path.rfind(b"/") + 1]


def _create_beside(path: bytes) -> tuple[int, bytes]:
    """Descriptor and name of a new file in the directory of ``path``.

    It is called .tmp_ something: the kernel's "make clean" and .gitignore know these.
    """
    directory = _directory(path)
    name = b".tmp_%b.%d" % (path[len(directory) :][:200], posix.getpid())
    flags = posix.O_WRONLY | posix.O_CREAT | posix.O_EXCL | posix.O_CLOEXEC
    for attempt in range(100):  # an earlier process with our number may have been killed here
        temporary = b"%b%b.%d" % (directory, name, attempt)
        try:
            return posix.open(temporary, flags, 0o666), temporary
        except FileExistsError:
            continue
    raise FileExistsError(0, "too many temporary files .tmp_* are in the way")


def included_name() -> tuple[bytes, bytes]:
    """Path of the .bin that goes with standard output, absolute, and b""; or b"" and why there is none.

    There is one if descriptor 1 is a regular file at its start, open without O_APPEND, whose name ends in .S
    and still is that file.
    """
    try:
        status = posix.fstat(1)
        if status.st_mode & _KIND != _REGULAR:
            return b"", b"it is not a regular file"
        path = posix.readlink(b"/proc/self/fd/1")
        why_not = _why_not(path, status)
    except OSError as error:
        return b"", strerror(error)
    return (b"", why_not) if why_not else (path[:-2] + b".bin", b"")


def _why_not(path: bytes, status: posix.stat_result) -> bytes:
    if not path.endswith(b".S"):
        return path + b" does not end in .S"
    named = posix.lstat(path)
    if (named.st_dev, named.st_ino) != (status.st_dev, status.st_ino):
        return b"another file is called %b now" % path
    position, flags = _fdinfo()
    if flags & posix.O_APPEND:
        return b"it is open for appending"
    return b"it is not at its start" if position else b""


def _fdinfo() -> tuple[int, int]:
    """Position and flags of descriptor 1 (proc(5)); the module fcntl would be another import."""
    descriptor = posix.open(b"/proc/self/fdinfo/1", posix.O_RDONLY | posix.O_CLOEXEC)
    try:
        fields = posix.read(descriptor, 4096).split()
    finally:
        posix.close(descriptor)
    return int(fields[fields.index(b"pos:") + 1]), int(fields[fields.index(b"flags:") + 1], 8)


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
