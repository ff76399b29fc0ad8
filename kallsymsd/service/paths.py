# SPDX-License-Identifier: GPL-2.0-only
"""Where the socket and the cache are, by the XDG base directory rules."""

import os
import pwd
import socket
from collections.abc import Mapping
from pathlib import Path

from kallsyms_client.who import is_anybodys, own_uid, peer_uid

#: Longest path of a Unix socket in bytes: sun_path, less its final zero.
MAX_SOCKET_PATH = 107


class BadPathError(Exception):
    """A path cannot be used; the text names it, says why and what to do, in one line."""


def is_own(sock: socket.socket) -> bool:
    """Whether the process at the other end of a Unix socket is our user's, without a doubt."""
    uid = peer_uid(sock)
    return uid == own_uid() and not is_anybodys(uid)


def socket_path(environment: Mapping[str, str], uid: int) -> Path:
    """Path of the daemon's socket for user ``uid``.

    That is $KALLSYMSD_SOCKET, else kallsymsd/s in $XDG_RUNTIME_DIR or /run/user/UID, whichever is there and
    ours, else /tmp/kallsymsd-UID/s. Raises BadPathError for a name that the kernel cannot bind.
    """
    named = environment.get("KALLSYMSD_SOCKET", "")
    path = Path(named) if named else _runtime_directory(environment, uid) / "s"
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
    named = environment.get(variable, "")
    if named.startswith("/"):
        return Path(named)
    home = environment.get("HOME", "")
    if not home.startswith("/"):
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


def _runtime_directory(environment: Mapping[str, str], uid: int) -> Path:
    # Under sudo, su and in containers XDG_RUNTIME_DIR is missing or somebody else's. /run/user/UID is the
    # login manager's to make, never ours.
    for runtime in (Path(environment.get("XDG_RUNTIME_DIR", "")), Path(f"/run/user/{uid}")):
        if runtime.is_absolute() and _is_ours(runtime):
            return runtime / "kallsymsd"
    return Path(f"/tmp/kallsymsd-{uid}")  # noqa: S108  verified before it is used


def _is_ours(directory: Path) -> bool:
    try:
        owner = directory.stat().st_uid
    except OSError:
        return False
    return owner == os.geteuid() and not is_anybodys(owner)
