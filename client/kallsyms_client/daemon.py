# SPDX-License-Identifier: GPL-2.0-only
"""Asks the daemon. Every wait has a deadline, and nothing the daemon says is trusted unchecked."""

import _socket
import posix
import sys
import time

from kallsyms_client import wire

#: Seconds to wait for a connection: the daemon's queue may be full.
CONNECT = 0.1
#: Seconds without a frame after which the daemon counts as stuck; it sends one every 0.1 s while it works.
SILENCE = 0.4
#: Seconds for all of a request, for a daemon that is alive and never ends.
PATIENCE = 60.0
#: Longest path of a Unix socket in bytes: sun_path, less its final zero.
MAX_PATH = 107

_INT = 4


class AbsentError(Exception):
    """There is no daemon; the text says where it was looked for."""


class TroubleError(Exception):
    """There is a daemon, and it is of no use; the text says which and why."""


def ask(
    request: wire.BuildRequest, map_descriptor: int, environment: dict[bytes, bytes]
) -> tuple[wire.BuildReply, int]:
    """The daemon's reply to ``request``, and the descriptor of the result (-1 if the reply has none).

    Raises AbsentError or TroubleError.
    """
    sock, path = _connect(environment)
    try:
        conversation = _Conversation(sock)
        try:
            reply = conversation.build(request, map_descriptor)
            return reply, conversation.take_descriptor()
        finally:
            conversation.close()
    except TimeoutError as error:
        raise TroubleError(f"{path}: no answer in time") from error
    except OSError as error:
        raise TroubleError(f"{path}: {error.strerror}") from error
    except (wire.WireError, TroubleError) as error:
        raise TroubleError(f"{path}: {error}") from error


class _Conversation:
    """One request on one connection."""

    def __init__(self, sock: _socket.socket) -> None:
        self._sock = sock
        self._received = bytearray()
        self._descriptors: list[int] = []
        self._end = time.monotonic() + PATIENCE

    def build(self, request: wire.BuildRequest, map_descriptor: int) -> wire.BuildReply:
        """Send the request, wait for the reply."""
        try:
            self._send(wire.preamble() + wire.frame(wire.BUILD, request.encode()), map_descriptor)
        except (BrokenPipeError, ConnectionResetError):
            pass  # it hung up; it may have said why before
        deadline = time.monotonic() + SILENCE
        wire.check_preamble(self._take(wire.PREAMBLE_SIZE, deadline))
        while True:
            deadline = min(time.monotonic() + SILENCE, self._end)
            kind, length = wire.parse_header(self._take(wire.HEADER_SIZE, deadline))
            body = self._take(length, deadline)
            if kind == wire.REPLY:
                return self._checked(wire.BuildReply.decode(body), request)
            if kind == wire.FAILURE:
                raise TroubleError(_one_line(body))
            if kind != wire.HEARTBEAT:
                raise wire.WireError(f"frame of kind {kind} instead of a reply")

    def _send(self, data: bytes, descriptor: int) -> None:
        self._sock.settimeout(SILENCE)
        rights = descriptor.to_bytes(_INT, sys.byteorder)
        sent = self._sock.sendmsg([data], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, rights)])
        if sent < len(data):
            self._sock.sendall(data[sent:])

    def _take(self, size: int, deadline: float) -> bytes:
        """The next ``size`` bytes; TimeoutError at ``deadline``."""
        while len(self._received) < size:
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError
            self._sock.settimeout(left)
            space = _socket.CMSG_SPACE(_INT)
            data, ancillary, flags, _ = self._sock.recvmsg(1 << 16, space, _socket.MSG_CMSG_CLOEXEC)
            for level, kind, payload in ancillary:
                if (level, kind) == (_socket.SOL_SOCKET, _socket.SCM_RIGHTS):
                    for at in range(0, len(payload), _INT):
                        self._descriptors.append(int.from_bytes(payload[at : at + _INT], sys.byteorder))
            if flags & _socket.MSG_CTRUNC:
                raise TroubleError("sent descriptors that could not be received")
            if not data:
                raise TroubleError("closed the connection")
            self._received += data
        taken = bytes(self._received[:size])
        del self._received[:size]
        return taken

    def _checked(self, reply: wire.BuildReply, request: wire.BuildRequest) -> wire.BuildReply:
        if len(self._descriptors) != (reply.status == wire.OK):
            raise TroubleError(f"replied with {len(self._descriptors)} descriptors")
        if reply.status == wire.OK:
            status = posix.fstat(self._descriptors[0])
            length = reply.text_length + reply.binary_length
            if status.st_mode & 0o170000 != 0o100000 or status.st_size != length:
                raise TroubleError(f"replied with a descriptor that is not a file of {length} bytes")
            if request.form == wire.ASM and reply.binary_length:
                raise TroubleError("replied with a .bin that was not asked for")
        return reply

    def take_descriptor(self) -> int:
        """The descriptor that came with the reply, -1 if none did."""
        return self._descriptors.pop() if self._descriptors else -1

    def close(self) -> None:
        """Hang up."""
        self._sock.close()
        for descriptor in self._descriptors:
            posix.close(descriptor)


def _one_line(text: bytes) -> str:
    """What the daemon says, made fit for a terminal."""
    words = " ".join(text.decode("utf-8", "replace").split())
    return "".join(letter if letter.isprintable() else "?" for letter in words)


def _connect(environment: dict[bytes, bytes]) -> tuple[_socket.socket, str]:
    """A connection to the first daemon found, and its path for messages."""
    why = ""
    for places in (_named_places, _standard_places):
        for path in places(environment):
            shown = path.decode("utf-8", "replace")
            if len(path) > MAX_PATH:
                raise TroubleError(f"{shown}: {len(path)} bytes, a socket's path has at most {MAX_PATH}")
            sock = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
            try:
                _connect_within(sock, path)
            except (FileNotFoundError, NotADirectoryError, PermissionError, ConnectionRefusedError) as error:
                sock.close()
                why = why or f"{shown}: {error.strerror}"
            except OSError as error:
                sock.close()
                raise TroubleError(f"{shown}: {error.strerror or 'timed out'}") from error
            else:
                if not _is_ours(sock):
                    sock.close()
                    raise TroubleError(f"{shown}: belongs to another user")
                return sock, shown
    raise AbsentError(why)


def _connect_within(sock: _socket.socket, path: bytes) -> None:
    deadline = time.monotonic() + CONNECT
    sock.settimeout(CONNECT)
    while True:
        try:
            sock.connect(path)
        except BlockingIOError:  # EAGAIN: the queue is full
            if time.monotonic() > deadline:
                raise
            time.sleep(0.005)
        else:
            return


def _named_places(environment: dict[bytes, bytes]) -> list[bytes]:
    """Where the environment says that the daemon's socket is."""
    if given := environment.get(b"KALLSYMSD_SOCKET"):
        return [given]
    runtime = environment.get(b"XDG_RUNTIME_DIR", b"")
    return [runtime + b"/kallsymsd/s"] if runtime.startswith(b"/") else []


def _standard_places(environment: dict[bytes, bytes]) -> list[bytes]:
    """Where the daemon's socket is when the environment says nothing, or says where it is not."""
    if environment.get(b"KALLSYMSD_SOCKET"):
        return []
    uid = _own_uid()
    places = [b"/run/user/%d/kallsymsd/s" % uid]
    # Anybody may make this name, so it must be ours and closed to others. Under fakeroot, geteuid() and what
    # lstat() says are false alike.
    private = b"/tmp/kallsymsd-%d" % uid
    try:
        status = posix.lstat(private)
    except OSError:
        return places
    if status.st_mode & 0o170077 == 0o040000 and status.st_uid in (uid, posix.geteuid()):
        places.append(private + b"/s")
    return places


def _is_ours(sock: _socket.socket) -> bool:
    """Whether the process at the other end is our user's.

    The cheap question comes first. Under fakeroot its answer is a false 0: then only root can pass for us.
    """
    peer = _peer_uid(sock)
    return peer == posix.geteuid() or peer == _own_uid()


def _peer_uid(sock: _socket.socket) -> int:
    """User id of the process at the other end; struct ucred is pid, uid, gid."""
    credentials = sock.getsockopt(_socket.SOL_SOCKET, _socket.SO_PEERCRED, 3 * _INT)
    return int.from_bytes(credentials[_INT : 2 * _INT], sys.byteorder)


def _own_uid() -> int:
    """The user id that others see of us. Not geteuid(): under fakeroot that claims to be root."""
    left, right = _socket.socketpair()
    try:
        return _peer_uid(left)
    finally:
        left.close()
        right.close()
