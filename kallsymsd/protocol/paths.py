# SPDX-License-Identifier: GPL-2.0-only
"""As kallsymsd.protocol.places, for programs that can afford pathlib; says why there is none."""

import os
import pwd
from collections.abc import Mapping
from pathlib import Path

from kallsymsd.protocol import places
from kallsymsd.protocol.places import MAX_SOCKET_PATH


class BadPathError(Exception):
    """A path cannot be used; the text names it, says why and what to do, in one line."""


def socket_path(environment: Mapping[str, str], uid: int) -> Path:
    """Path of the daemon's socket for user ``uid``; BadPathError for a name that the kernel cannot bind."""
    path = Path(os.fsdecode(places.socket_path(_encoded(environment), uid)))
    check_socket_path(path)
    return path


def check_socket_path(path: Path) -> None:
    """Raise BadPathError for a name that the kernel cannot bind, or that depends on a working directory."""
    if not path.is_absolute():
        raise BadPathError(f"{path}: is not absolute; name the socket by its whole path")
    length = len(os.fsencode(path))
    if length > MAX_SOCKET_PATH:
        raise BadPathError(
            f"{path}: {length} bytes, a socket's path has at most {MAX_SOCKET_PATH}; name a shorter one"
        )


def path_text(path: bytes) -> str:
    """A path as messages carry it: always valid text."""
    return path.decode("utf-8", "backslashreplace")


def lock_path(socket_path: Path) -> Path:
    """Path of the lock that the daemon serving ``socket_path`` holds."""
    return socket_path.with_name(socket_path.name + ".lock")


def base_directory(environment: Mapping[str, str], variable: str, below_home: str) -> Path:
    """The directory that ``variable`` names if that is an absolute path, else one below the home directory.

    The home directory is $HOME, else what the passwd database says. Raises BadPathError where neither is an
    absolute path: in containers without such a user, in services with a dynamic one.
    """
    if found := places.base_directory(_encoded(environment), variable.encode(), below_home.encode()):
        return Path(os.fsdecode(found))
    try:
        home = pwd.getpwuid(os.getuid()).pw_dir
    except KeyError:
        home = ""
    if not home.startswith("/"):
        raise BadPathError(
            f"there is no home directory: HOME is not an absolute path, and user {os.getuid()} has none "
            f"in the passwd database; set HOME or {variable}"
        )
    return Path(home, below_home)


def cache_directory(environment: Mapping[str, str]) -> Path:
    """The cache directory: kallsymsd in $XDG_CACHE_HOME, or in ~/.cache unless that is an absolute path.

    Raises BadPathError where there is no home directory, either.
    """
    return base_directory(environment, "XDG_CACHE_HOME", ".cache") / "kallsymsd"


def notes_directory(environment: Mapping[str, str]) -> Path | None:
    """Where clients leave notes, and the log of a daemon that they start, whatever is configured.

    None where there is no home directory: they leave none.
    """
    try:
        return cache_directory(environment)
    except BadPathError:
        return None


def _encoded(environment: Mapping[str, str]) -> dict[bytes, bytes]:
    return {os.fsencode(name): os.fsencode(value) for name, value in environment.items()}
