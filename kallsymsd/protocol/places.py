# SPDX-License-Identifier: GPL-2.0-only
"""Where the socket and the cache are, by the XDG base directory rules: for clients, which have no time.

:mod:`kallsymsd.protocol.paths` says the same to those that have.
"""

import posix

from kallsymsd.protocol.private import is_ours, make_ours, make_private
from kallsymsd.protocol.users import own_uid

#: Longest path of a Unix socket in bytes: sun_path, less its final zero.
MAX_SOCKET_PATH = 107

_BELOW_RUNTIME = b"/kallsymsd/s"

Environment = dict[bytes, bytes]


def socket_path(environment: Environment, uid: int | None = None) -> bytes:
    """Where the daemon of user ``uid`` listens, or would; by default the user that others see of us.

    That is $KALLSYMSD_SOCKET, else kallsymsd/s in $XDG_RUNTIME_DIR or /run/user/UID, whichever is there and
    ours, else /tmp/kallsymsd-UID/s.
    """
    if given := environment.get(b"KALLSYMSD_SOCKET"):
        return given
    uid = own_uid() if uid is None else uid
    # Under sudo, su and in containers XDG_RUNTIME_DIR is missing or somebody else's. /run/user/UID is the
    # login manager's to make, never ours.
    for runtime in (environment.get(b"XDG_RUNTIME_DIR", b""), b"/run/user/%d" % uid):
        if runtime.startswith(b"/") and is_ours(runtime):
            return runtime.rstrip(b"/") + _BELOW_RUNTIME
    return b"/tmp/kallsymsd-%d/s" % uid


def named_sockets(environment: Environment) -> list[bytes]:
    """Where the environment says that the daemon's socket is: where a client asks first."""
    if given := environment.get(b"KALLSYMSD_SOCKET"):
        return [given]
    runtime = environment.get(b"XDG_RUNTIME_DIR", b"")
    return [runtime + _BELOW_RUNTIME] if runtime.startswith(b"/") else []


def standard_sockets(environment: Environment) -> list[bytes]:
    """Where the daemon's socket is when the environment says nothing, or says where it is not."""
    if environment.get(b"KALLSYMSD_SOCKET"):
        return []
    uid = own_uid()
    return [b"/run/user/%d%b" % (uid, _BELOW_RUNTIME), b"/tmp/kallsymsd-%d/s" % uid]


def runtime_of(path: bytes) -> bytes:
    """The runtime directory in which ``path`` is the daemon's socket; b"" for a socket elsewhere."""
    return path.removesuffix(_BELOW_RUNTIME) if path.endswith(_BELOW_RUNTIME) else b""


def base_directory(environment: Environment, variable: bytes, below_home: bytes) -> bytes:
    """What ``variable`` names if that is an absolute path, else ``below_home`` of $HOME; b"" without one."""
    named = environment.get(variable, b"")
    if named.startswith(b"/"):
        return named
    home = environment.get(b"HOME", b"")
    return home + b"/" + below_home if home.startswith(b"/") else b""


def made_cache_directory(environment: Environment) -> bytes:
    """The cache directory, made if need be; b"" where there is none that is ours and closed to others."""
    cache = base_directory(environment, b"XDG_CACHE_HOME", b".cache")
    if not cache:
        return b""
    make_ours(cache)
    path = cache + b"/kallsymsd"
    return path if make_private(path) else b""


def exists(path: bytes) -> bool:
    """Whether there is anything by that name, a link that leads nowhere included."""
    try:
        posix.lstat(path)
    except OSError:
        return False
    return True
