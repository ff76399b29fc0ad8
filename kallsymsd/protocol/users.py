# SPDX-License-Identifier: GPL-2.0-only
"""Which user somebody is, as the kernel says it."""

import _socket
import posix
import sys

_INT = 4
# /proc/sys/kernel/overflowuid where nobody has changed it, and the third number of a uid_map that maps all.
_OVERFLOW = 65534
_ALL_USERS = b"4294967295"
# Most bytes of such a file.
_MOST = 4096


def own_uid() -> int:
    """The user id that others see of us. Not geteuid(): under fakeroot that claims to be root."""
    left, right = _socket.socketpair()
    try:
        return peer_uid(left)
    finally:
        left.close()
        right.close()


def peer_uid(sock: _socket.socket) -> int:
    """User id of the process at the other end; struct ucred is pid, uid, gid."""
    credentials = sock.getsockopt(_socket.SOL_SOCKET, _socket.SO_PEERCRED, 3 * _INT)
    return int.from_bytes(credentials[_INT : 2 * _INT], sys.byteorder)


def is_us(uid: int) -> bool:
    """Whether the kernel shows our user as ``uid``.

    The cheap question comes first. Under fakeroot its answer is a false 0: then only root can pass for us.
    """
    return uid == posix.geteuid() or uid == own_uid()


def is_our_peer(sock: _socket.socket) -> bool:
    """Whether the process at the other end of a Unix socket is our user's, without a doubt."""
    peer = peer_uid(sock)
    return is_us(peer) and not is_anybodys(peer)


def is_anybodys(uid: int) -> bool:
    """Whether the kernel may show somebody else as user ``uid``, so that nothing follows from being shown so.

    In a user namespace all that are not mapped there are shown as the overflow user; where all are mapped,
    that is a user like others. Without /proc, its usual number is never trusted.
    """
    try:
        overflow = int(_head(b"/proc/sys/kernel/overflowuid"))
    except (OSError, ValueError):
        overflow = _OVERFLOW
    if uid != overflow:
        return False
    try:
        return _head(b"/proc/self/uid_map").split() != [b"0", b"0", _ALL_USERS]
    except OSError:
        return True


def _head(path: bytes) -> bytes:
    """What a file of the kernel's begins with."""
    descriptor = posix.open(path, posix.O_RDONLY | posix.O_CLOEXEC)
    try:
        return posix.read(descriptor, _MOST)
    finally:
        posix.close(descriptor)
