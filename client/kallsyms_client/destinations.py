# SPDX-License-Identifier: GPL-2.0-only
"""Where outputs go: what is replaced, whether two files are one, and the .bin beside standard output."""

import posix

from kallsyms_client.failures import failure
from kallsymsd.protocol.messages import strerror

_REGULAR = 0o100000
_DIRECTORY = 0o040000
_KIND = 0o170000  # S_IFMT; the module stat is not worth its import

#: Descriptor or path of a file, and what the usage calls it.
Named = tuple[int | bytes, bytes]


def replaceable(path: bytes) -> bytes | None:
    """The name to rename over, with links followed; None for what must be written to as it is.

    OSError for a directory, and for what cannot be looked at.
    """
    final = _followed(path)
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


def create_beside(path: bytes) -> tuple[int, bytes]:
    """Descriptor and name of a new file in the directory of ``path``.

    It is called .tmp_ something: the kernel's "make clean" and .gitignore know these.
    """
    directory, base = _split(path)
    name = b".tmp_%b.%d" % (base[:200], posix.getpid())
    flags = posix.O_WRONLY | posix.O_CREAT | posix.O_EXCL | posix.O_CLOEXEC
    for attempt in range(100):  # an earlier process with our number may have been killed here
        temporary = b"%b%b.%d" % (directory, name, attempt)
        try:
            return posix.open(temporary, flags, 0o666), temporary
        except FileExistsError:
            continue
    raise FileExistsError(0, "too many temporary files .tmp_* are in the way")


def can_be_included(name: bytes) -> bool:
    """Whether an .incbin can name that file: not with control characters, which the preprocessor obeys."""
    return min(name, default=0x20) >= 0x20 and 0x7F not in name


def included_name() -> tuple[bytes, bytes]:
    """Path of the .bin that goes with standard output, absolute, and b""; or b"" and why there is none.

    There is one if descriptor 1 is a regular file, empty, open without O_APPEND, whose name ends in .S and
    still is that file; and if what has the name of the .bin could be replaced.
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
    position, flags = position_and_flags()
    if flags & posix.O_APPEND:
        return b"it is open for appending"
    if position:
        return b"it is not at its start"
    if status.st_size:
        return b"it is not empty"
    binary = path[:-2] + b".bin"
    return b"" if _is_regular_or_new(binary) else b"%b is not a regular file" % binary


def _is_regular_or_new(path: bytes) -> bool:
    """Whether a file can be put in the place of ``path`` as far as its kind goes; links are followed."""
    try:
        return posix.stat(path).st_mode & _KIND == _REGULAR
    except OSError:
        return True


def position_and_flags() -> tuple[int, int]:
    """Position and flags of descriptor 1 (proc(5)); the module fcntl would be another import."""
    descriptor = posix.open(b"/proc/self/fdinfo/1", posix.O_RDONLY | posix.O_CLOEXEC)
    try:
        fields = posix.read(descriptor, 4096).split()
    finally:
        posix.close(descriptor)
    return int(fields[fields.index(b"pos:") + 1]), int(fields[fields.index(b"flags:") + 1], 8)


def check_distinct(inputs: list[Named], outputs: list[Named]) -> None:
    """ClientError if an output is also an input or another output, under whatever names.

    Only regular files count, and those that are still to be made: /dev/null may be given twice.
    """
    seen: dict[tuple[int | bytes, ...], Named] = {}
    for file, what in inputs:
        if identity := _identity(file):
            seen.setdefault(identity, (file, what))
    for file, what in outputs:
        identity = _identity(file)
        if not identity:
            continue
        if identity in seen:
            other, as_what = seen[identity]
            shown = [each for each in (file, other) if isinstance(each, bytes)]
            raise failure(b"%b: given both as %b and as %b" % (shown[0], as_what, what))
        seen[identity] = file, what


def is_one_file(one: int | bytes, other: int | bytes) -> bool:
    """Whether both are one regular file, made or still to be made."""
    identity = _identity(one)
    return bool(identity) and identity == _identity(other)


def _identity(file: int | bytes) -> tuple[int | bytes, ...]:
    """The same for all names of a regular file; () for anything else, or what cannot be looked at.

    A file that is not there yet is known by its directory and its last name.
    """
    try:
        try:
            status = posix.stat(file)
        except FileNotFoundError:
            if isinstance(file, int):
                return ()
            directory, name = _split(_followed(file))
            status = posix.stat(directory or b".")
            return (status.st_dev, status.st_ino, name) if name else ()
    except (OSError, ValueError):
        return ()
    return (status.st_dev, status.st_ino) if status.st_mode & _KIND == _REGULAR else ()


def _followed(path: bytes) -> bytes:
    """``path`` with the links at its end followed, also if there is nothing at the end of them."""
    final = path
    for _ in range(40):  # as many links as the kernel follows
        try:
            link = posix.readlink(final)
        except OSError:
            break
        final = link if link.startswith(b"/") else _split(final)[0] + link
    return final


def _split(path: bytes) -> tuple[bytes, bytes]:
    """The part of a path before the last name, with its slash, and that name."""
    at = path.rfind(b"/") + 1
    return path[:at], path[at:]
