# SPDX-License-Identifier: GPL-2.0-only
"""Private directories: those that belong to us and that no other user can enter."""

import posix

from kallsymsd.protocol.users import is_anybodys

TYPE_CHECKING = False  # typing is not worth its import
if TYPE_CHECKING:
    from pathlib import Path

_KIND = 0o170000  # S_IFMT; the module stat is not worth its import
_DIRECTORY = 0o040000
_LINK = 0o120000
_OTHERS = 0o077


class NotPrivateError(Exception):
    """A directory cannot be used. The text is one line: the path, why, and what to do."""


def flaw(path: bytes) -> str:
    """Why ``path`` is not a private directory, and what to do; "" if it is one.

    Raises OSError if it cannot be examined, for example because it does not exist.
    """
    status = posix.lstat(path)
    if status.st_mode & _KIND == _LINK:
        return "is a symbolic link; name the directory it points to, or remove it"
    # fakeroot fakes both sides of this comparison alike; another user's directory of mode 0700 still cannot
    # be entered.
    if status.st_uid != posix.geteuid():
        return f"belongs to user {status.st_uid}, not to you; name another directory"
    if is_anybodys(status.st_uid):
        return f"has an unknown owner: in this user namespace, user {status.st_uid} stands for any user"
    if status.st_mode & _KIND != _DIRECTORY:
        return "is not a directory; remove it"
    if status.st_mode & _OTHERS:
        shown = path.decode("utf-8", "surrogateescape")
        return f"is open to others (mode {status.st_mode & 0o7777:04o}); run: chmod 700 {shown}"
    return ""


def is_private(path: bytes) -> bool:
    """Whether ``path`` is a private directory."""
    try:
        return not flaw(path)
    except OSError:
        return False


def make_private(path: bytes) -> bool:
    """Like :func:`is_private`; creates the directory if needed, but not in another user's directory."""
    make_ours(path)
    return is_private(path)


def make_ours(path: bytes) -> None:
    """Create a directory in one of ours, or in /tmp. Errors are ignored: they show when it is used.

    Not in another user's directory: sudo may keep $HOME of the calling user.
    """
    parent = path.rpartition(b"/")[0]
    try:
        if parent == b"/tmp" or is_ours(parent):
            posix.mkdir(path, 0o700)
    except OSError:
        pass  # it exists already, or is_private() will say no


def is_ours(path: bytes) -> bool:
    """Whether ``path`` is a directory that belongs to us; symbolic links are followed."""
    try:
        status = posix.stat(path)
    except OSError:
        return False
    is_us = status.st_uid == posix.geteuid() and not is_anybodys(status.st_uid)
    return is_us and status.st_mode & _KIND == _DIRECTORY


def private_directory(path: "Path") -> None:
    """Create the directory ``path`` with mode 0700 unless it exists, and check it with check_private().

    Missing parents are created, too. Raises NotPrivateError.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.mkdir(mode=0o700, exist_ok=True)
    except FileExistsError as error:
        raise NotPrivateError(f"{error.filename}: is not a directory; remove it") from error
    except OSError as error:
        raise NotPrivateError(f"{path}: cannot create: {error.strerror}; name another directory") from error
    check_private(path)


def check_private(path: "Path") -> None:
    """Raise NotPrivateError unless ``path`` is a private directory.

    Another user could have put files into a directory that is a symbolic link, belongs to another user, or is
    open to others.
    """
    try:
        problem = flaw(bytes(path))
    except OSError as error:
        raise NotPrivateError(f"{path}: {error.strerror}; name another directory") from error
    if problem:
        raise NotPrivateError(f"{path}: {problem}")
