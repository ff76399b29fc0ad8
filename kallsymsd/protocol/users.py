# SPDX-License-Identifier: GPL-2.0-only
"""The user of a process or file, as the kernel reports it."""

import _socket
import posix
import sys

_INT = 4
# The default of /proc/sys/kernel/overflowuid, and the third number of a uid_map that maps all users.
_OVERFLOW = 65534
_ALL_USERS = b"4294967295"
# Bytes read of such a file.
_MOST = 4096


def own_uid() -> int:
    """Our user id as other processes see it. Not geteuid(), which claims to be root under fakeroot."""
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
    """Whether ``uid`` is our user.

    The cheap check comes first. Under fakeroot it compares with a false 0, which only root can match.
    """
    return uid == posix.geteuid() or uid == own_uid()


def is_our_peer(sock: _socket.socket) -> bool:
    """Whether the process at the other end of a Unix socket certainly runs as our user."""
    peer = peer_uid(sock)
    return is_us(peer) and not is_anybodys(peer)


def is_anybodys(uid: int) -> bool:
    """Whether the kernel may report several users as ``uid``, so that the number identifies nobody.

    A user namespace reports every unmapped user as the overflow user. If all users are mapped, that is an
    ordinary user. Without /proc, the default number of the overflow user is never trusted.
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
    """The first bytes of a file in /proc."""
    descriptor = posix.open(path, posix.O_RDONLY | posix.O_CLOEXEC)
    try:
        return posix.read(descriptor, _MOST)
    finally:
        posix.close(descriptor)
