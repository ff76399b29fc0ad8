# SPDX-License-Identifier: GPL-2.0-only
"""Paths of the socket and the cache, by the XDG base directory rules.

For the client, which avoids slow imports; other programs use :mod:`kallsymsd.protocol.paths`.
"""

import posix

from kallsymsd.protocol.private import is_ours, make_ours, make_private
from kallsymsd.protocol.users import own_uid

#: Longest path of a Unix socket in bytes: sun_path without its final zero.
MAX_SOCKET_PATH = 107

_BELOW_RUNTIME = b"/kallsymsd/s"

Environment = dict[bytes, bytes]


def socket_path(environment: Environment, uid: int | None = None) -> bytes:
    """Where the daemon of user ``uid`` listens, or would listen; by default, of our own user.

    That is $KALLSYMSD_SOCKET, else kallsymsd/s in the first of $XDG_RUNTIME_DIR and /run/user/UID that exists
    and belongs to us, else /tmp/kallsymsd-UID/s.
    """
    if given := environment.get(b"KALLSYMSD_SOCKET"):
        return given
    uid = own_uid() if uid is None else uid
    # Under sudo, su and in containers XDG_RUNTIME_DIR is missing or another user's. Only the login manager
    # may create /run/user/UID.
    for runtime in (environment.get(b"XDG_RUNTIME_DIR", b""), b"/run/user/%d" % uid):
        if runtime.startswith(b"/") and is_ours(runtime):
            return runtime.rstrip(b"/") + _BELOW_RUNTIME
    return b"/tmp/kallsymsd-%d/s" % uid


def named_sockets(environment: Environment) -> list[bytes]:
    """The socket that the environment names, which a client tries first."""
    if given := environment.get(b"KALLSYMSD_SOCKET"):
        return [given]
    runtime = environment.get(b"XDG_RUNTIME_DIR", b"")
    return [runtime + _BELOW_RUNTIME] if runtime.startswith(b"/") else []


def standard_sockets(environment: Environment) -> list[bytes]:
    """The default sockets, which a client tries next; none if KALLSYMSD_SOCKET is set."""
    if environment.get(b"KALLSYMSD_SOCKET"):
        return []
    uid = own_uid()
    return [b"/run/user/%d%b" % (uid, _BELOW_RUNTIME), b"/tmp/kallsymsd-%d/s" % uid]


def runtime_of(path: bytes) -> bytes:
    """The runtime directory whose daemon socket is ``path``; b"" for a socket elsewhere."""
    return path.removesuffix(_BELOW_RUNTIME) if path.endswith(_BELOW_RUNTIME) else b""


def base_directory(environment: Environment, variable: bytes, below_home: bytes) -> bytes:
    """The directory in ``variable`` if that is an absolute path, else ``below_home`` in $HOME, else b""."""
    named = environment.get(variable, b"")
    if named.startswith(b"/"):
        return named
    home = environment.get(b"HOME", b"")
    return home + b"/" + below_home if home.startswith(b"/") else b""


def made_cache_directory(environment: Environment) -> bytes:
    """The cache directory, created if needed; b"" if there is none that is private to us."""
    cache = base_directory(environment, b"XDG_CACHE_HOME", b".cache")
    if not cache:
        return b""
    make_ours(cache)
    path = cache + b"/kallsymsd"
    return path if make_private(path) else b""


def exists(path: bytes) -> bool:
    """Whether ``path`` exists, dangling symbolic links included."""
    try:
        posix.lstat(path)
    except OSError:
        return False
    return True
