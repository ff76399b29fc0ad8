# SPDX-License-Identifier: GPL-2.0-only
"""Directories that only their owner can use."""

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
    """A directory cannot be used; the text names it, says why and what to do, in one line."""


def flaw(path: bytes) -> str:
    """Why ``path`` is not a directory of ours that nobody else can enter, and what to do; "" if it is one.

    Raises OSError where that cannot be told, as of a directory that is not there.
    """
    status = posix.lstat(path)
    if status.st_mode & _KIND == _LINK:
        return "is a symbolic link; name the directory it points to, or remove it"
    # Under fakeroot both sides of this comparison are faked, alike; entering a foreign directory of mode
    # 0700 fails all the same.
    if status.st_uid != posix.geteuid():
        return f"belongs to user {status.st_uid}, not to you; name another directory"
    if is_anybodys(status.st_uid):
        return f"whose it is cannot be told in this user namespace: user {status.st_uid} may be anybody"
    if status.st_mode & _KIND != _DIRECTORY:
        return "is not a directory; remove it"
    if status.st_mode & _OTHERS:
        shown = path.decode("utf-8", "surrogateescape")
        return f"is open to others (mode {status.st_mode & 0o7777:04o}); run: chmod 700 {shown}"
    return ""


def is_private(path: bytes) -> bool:
    """Whether ``path`` is a directory of ours that nobody else can enter."""
    try:
        return not flaw(path)
    except OSError:
        return False


def make_private(path: bytes) -> bool:
    """As :func:`is_private`; the directory is made if need be, but not in one of somebody else."""
    make_ours(path)
    return is_private(path)


def make_ours(path: bytes) -> None:
    """Make a directory in one of ours, or in /tmp; whether that worked shows when it is used.

    sudo may keep $HOME, which is somebody else's then.
    """
    parent = path.rpartition(b"/")[0]
    try:
        if parent == b"/tmp" or is_ours(parent):
            posix.mkdir(path, 0o700)
    except OSError:
        pass  # it is there, or is_private() says no


def is_ours(path: bytes) -> bool:
    """Whether ``path`` is a directory that belongs to us; links to it are followed."""
    try:
        status = posix.stat(path)
    except OSError:
        return False
    is_us = status.st_uid == posix.geteuid() and not is_anybodys(status.st_uid)
    return is_us and status.st_mode & _KIND == _DIRECTORY


def private_directory(path: "Path") -> None:
    """Make the directory ``path`` with mode 0700 unless it exists, and verify it.

    Missing parents are made too. Raises NotPrivateError when it cannot be made, or as :func:`check_private`.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.mkdir(mode=0o700, exist_ok=True)
    except FileExistsError as error:
        raise NotPrivateError(f"{error.filename}: is not a directory; remove it") from error
    except OSError as error:
        raise NotPrivateError(f"{path}: cannot be made: {error.strerror}; name another directory") from error
    check_private(path)


def check_private(path: "Path") -> None:
    """Raise NotPrivateError for what is not a directory of ours that nobody else can enter.

    That is when it is a symbolic link, belongs to somebody else or lets others in: then anybody might have
    put things into it.
    """
    try:
        problem = flaw(bytes(path))
    except OSError as error:
        raise NotPrivateError(f"{path}: {error.strerror}; name another directory") from error
    if problem:
        raise NotPrivateError(f"{path}: {problem}")
