# SPDX-License-Identifier: GPL-2.0-only
"""Like kallsymsd.protocol.places, for programs that can afford pathlib; errors say what is wrong."""

import os
import pwd
from collections.abc import Mapping
from pathlib import Path

from kallsymsd.protocol import places
from kallsymsd.protocol.places import MAX_SOCKET_PATH


class BadPathError(Exception):
    """A path cannot be used. The text is one line: the path, why, and what to do."""


def socket_path(environment: Mapping[str, str], uid: int) -> Path:
    """Path of the daemon's socket for user ``uid``; BadPathError if it is too long or not absolute."""
    path = Path(os.fsdecode(places.socket_path(_encoded(environment), uid)))
    check_socket_path(path)
    return path


def check_socket_path(path: Path) -> None:
    """Raise BadPathError unless ``path`` is absolute and short enough for a Unix socket."""
    if not path.is_absolute():
        raise BadPathError(f"{path}: is not absolute; name the socket by its absolute path")
    length = len(os.fsencode(path))
    if length > MAX_SOCKET_PATH:
        raise BadPathError(
            f"{path}: {length} bytes, a socket's path has at most {MAX_SOCKET_PATH}; choose a shorter path"
        )


def path_text(path: bytes) -> str:
    """A path as valid text, for control messages."""
    return path.decode("utf-8", "backslashreplace")


def lock_path(socket_path: Path) -> Path:
    """Path of the lock that the daemon serving ``socket_path`` holds."""
    return socket_path.with_name(socket_path.name + ".lock")


def base_directory(environment: Mapping[str, str], variable: str, below_home: str) -> Path:
    """The directory in ``variable`` if that is an absolute path, else ``below_home`` in the home directory.

    The home directory is $HOME, else that of the passwd database. Raises BadPathError if neither is an
    absolute path, as in containers without a passwd entry or services with a dynamic user.
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
    """The cache directory: kallsymsd in $XDG_CACHE_HOME if that is an absolute path, else in ~/.cache.

    Raises BadPathError if there is no home directory either.
    """
    return base_directory(environment, "XDG_CACHE_HOME", ".cache") / "kallsymsd"


def notes_directory(environment: Mapping[str, str]) -> Path | None:
    """Where clients leave records, and where a daemon that they start logs, whatever is configured.

    None without a home directory: then clients leave no records.
    """
    try:
        return cache_directory(environment)
    except BadPathError:
        return None


def _encoded(environment: Mapping[str, str]) -> dict[bytes, bytes]:
    return {os.fsencode(name): os.fsencode(value) for name, value in environment.items()}
