# SPDX-License-Identifier: GPL-2.0-only
"""Output files: which can be replaced, which are the same file, and the .bin beside standard output."""

import posix

from kallsyms_client.failures import failure
from kallsymsd.protocol.messages import strerror

_REGULAR = 0o100000
_DIRECTORY = 0o040000
_KIND = 0o170000  # S_IFMT; importing the module stat would take too long

#: Descriptor or path of a file, and its name in the usage.
Named = tuple[int | bytes, bytes]


def replaceable(path: bytes) -> bytes | None:
    """The path to replace by a rename, with links followed; None if ``path`` must be written in place.

    OSError for a directory, and for a path that cannot be examined.
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
        return None  # such as /dev/stdout, a link to something without a name
    is_same = (named.st_dev, named.st_ino) == (status.st_dev, status.st_ino)
    return final if is_same and status.st_mode & _KIND == _REGULAR else None


def create_beside(path: bytes) -> tuple[int, bytes]:
    """Create a temporary file in the directory of ``path``; returns its descriptor and name.

    The name starts with .tmp_, which the kernel's "make clean" and .gitignore cover.
    """
    directory, base = _split(path)
    name = b".tmp_%b.%d" % (base[:200], posix.getpid())
    flags = posix.O_WRONLY | posix.O_CREAT | posix.O_EXCL | posix.O_CLOEXEC
    for attempt in range(100):  # a killed process with our pid may have left such a file
        temporary = b"%b%b.%d" % (directory, name, attempt)
        try:
            return posix.open(temporary, flags, 0o666), temporary
        except FileExistsError:
            continue
    raise FileExistsError(0, "too many temporary files .tmp_*; remove them")


def can_be_included(name: bytes) -> bool:
    """Whether .incbin can name that file: the preprocessor acts on control characters."""
    return min(name, default=0x20) >= 0x20 and 0x7F not in name


def included_name() -> tuple[bytes, bytes]:
    """Absolute path of the .bin beside standard output, and b""; or b"" and why there can be none.

    Descriptor 1 must be an empty regular file, opened without O_APPEND, whose name ends in .S and still
    refers to that file. A file with the name of the .bin must be replaceable.
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
        return b"%b is another file by now" % path
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
    """Whether ``path`` is a regular file or does not exist; links are followed."""
    try:
        return posix.stat(path).st_mode & _KIND == _REGULAR
    except OSError:
        return True


def position_and_flags() -> tuple[int, int]:
    """Position and flags of descriptor 1, from proc(5): that saves importing the module fcntl."""
    descriptor = posix.open(b"/proc/self/fdinfo/1", posix.O_RDONLY | posix.O_CLOEXEC)
    try:
        fields = posix.read(descriptor, 4096).split()
    finally:
        posix.close(descriptor)
    return int(fields[fields.index(b"pos:") + 1]), int(fields[fields.index(b"flags:") + 1], 8)


def check_distinct(inputs: list[Named], outputs: list[Named]) -> None:
    """Raise ClientError if an output is the same file as an input or another output, under any name.

    Only regular files and files that do not exist yet are checked: /dev/null may be given twice.
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
    """Whether both are the same regular file, which may not exist yet."""
    identity = _identity(one)
    return bool(identity) and identity == _identity(other)


def _identity(file: int | bytes) -> tuple[int | bytes, ...]:
    """A value that is the same for all names of a regular file; () for anything else.

    A file that does not exist yet is identified by its directory and base name.
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
    """``path`` with the links in its last part followed, even if they are dangling."""
    final = path
    for _ in range(40):  # the kernel's limit
        try:
            link = posix.readlink(final)
        except OSError:
            break
        final = link if link.startswith(b"/") else _split(final)[0] + link
    return final


def _split(path: bytes) -> tuple[bytes, bytes]:
    """The directory part of a path, with its slash, and the base name."""
    at = path.rfind(b"/") + 1
    return path[:at], path[at:]
