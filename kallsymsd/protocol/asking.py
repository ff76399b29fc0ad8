# SPDX-License-Identifier: GPL-2.0-only
"""Asks the daemon. Every wait has a deadline, and nothing that the daemon sends is trusted unchecked."""

import _socket
import posix
import sys
import time

from kallsymsd.protocol import received, wire
from kallsymsd.protocol.places import MAX_SOCKET_PATH, named_sockets, standard_sockets
from kallsymsd.protocol.private import flaw
from kallsymsd.protocol.received import Output
from kallsymsd.protocol.users import is_anybodys, is_us, peer_uid

#: Seconds to wait for a connection: the daemon's queue may be full.
CONNECT = 0.1
#: Seconds without a frame until the daemon counts as stuck; it sends one every 0.1 s while it works.
SILENCE = 0.4

_INT = 4
# Seconds between two attempts to connect to a full queue.
_PAUSE = 0.005


class UnansweredError(Exception):
    """The daemon did not answer; the text says which daemon and why.

    reason    a key of notes.REASONS; "absent" and "starting" are not problems
    waited    seconds waited in vain: for the connection, and since the last frame; for a daemon that is too
              slow, the whole wait
    outdated  path and protocol of a daemon that is older than this client, None otherwise
    """

    def __init__(
        self, text: str, reason: str, waited: float = 0.0, outdated: tuple[bytes, int] | None = None
    ) -> None:
        super().__init__(text)
        self.reason = reason
        self.waited = waited
        self.outdated = outdated


class _RefusedError(Exception):
    """The daemon broke the protocol, or said why it cannot answer."""

    def __init__(self, text: str, reason: str, *, is_older: bool = False) -> None:
        super().__init__(text)
        self.reason = reason
        self.is_older = is_older


def ask(
    request: wire.BuildRequest, input_descriptor: int, input_size: int, environment: dict[bytes, bytes]
) -> Output:
    """The daemon's answer to ``request``.

    ``input_size`` is in bytes. Raises UnansweredError.
    """
    sock, path, waited = connect(environment)
    conversation = _Conversation(sock, input_size)
    try:
        return conversation.build(request, input_descriptor)
    except (OSError, wire.WireError, _RefusedError) as error:
        shown = f"kallsymsd at {path.decode('utf-8', 'replace')}"
        waited += conversation.waited
        if isinstance(error, wire.ProtocolError):
            outdated = (path, error.protocol) if error.protocol < wire.PROTOCOL else None
            raise UnansweredError(f"{shown}: {error}", "version", waited, outdated) from error
        if isinstance(error, TimeoutError):
            if conversation.is_heard or _is_ready(path):
                raise UnansweredError(f"{shown}: no answer in time", "silent", waited) from error
            raise UnansweredError(f"{shown}: is being started", "starting", waited) from error
        if isinstance(error, OSError):
            raise UnansweredError(f"{shown}: {error.strerror}", "closed", waited) from error
        if isinstance(error, wire.WireError):
            raise UnansweredError(f"{shown}: {error}", "protocol", waited) from error
        outdated = (path, wire.PROTOCOL) if error.is_older else None
        raise UnansweredError(f"{shown}: {error}", error.reason, waited, outdated) from error
    finally:
        conversation.close()


class _Conversation:
    """One request on one connection.

    is_heard  whether the daemon sent anything
    waited    seconds since the last frame. Counted wait by wait, each as no more than was granted for it, so
              that a daemon does not count as silent when the machine is slow or the client was stopped
    """

    def __init__(self, sock: _socket.socket, input_size: int) -> None:
        """``input_size`` limits the seconds for the answer, however many heartbeats come."""
        self.waited = 0.0
        self._before_last_frame = 0.0
        self._patience = wire.patience(input_size)
        self._input_size = input_size
        self._sock = sock
        self.is_heard = False
        self._received = bytearray()
        self._descriptors: list[int] = []

    def build(self, request: wire.BuildRequest, input_descriptor: int) -> Output:
        """Send the request and wait for the reply."""
        try:
            self._send(wire.preamble() + wire.frame(wire.BUILD, request.encode()), input_descriptor)
        except (BrokenPipeError, ConnectionResetError):
            pass  # it hung up; before that, it may have said why
        wire.check_preamble(self._take(wire.PREAMBLE_SIZE))
        while True:
            kind, length = wire.parse_header(self._take(wire.HEADER_SIZE))
            body = self._take(length)
            if kind == wire.REPLY:
                reply = wire.BuildReply.decode(body)
                descriptors = tuple(self._descriptors)
                front = received.check(reply, request, descriptors, self._input_size)
                self._descriptors.clear()  # they are the caller's now
                return Output.received(reply, descriptors, front)
            if kind == wire.FAILURE:
                raise _RefusedError(_one_line(body), "refused")
            if kind == wire.VERSION:
                theirs, ours = _one_line(body), request.version
                raise _RefusedError(
                    f"is version {theirs}, not {ours}", "version", is_older=_is_older(theirs, ours)
                )
            if kind != wire.HEARTBEAT:
                raise wire.WireError(f"frame of kind {kind} instead of a reply")
            self._before_last_frame += self.waited
            self.waited = 0.0

    def _send(self, data: bytes, descriptor: int) -> None:
        rights = descriptor.to_bytes(_INT, sys.byteorder)
        ancillary = [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, rights)]
        while data:
            before, granted = self._prepare_to_wait()
            try:
                sent = self._sock.sendmsg([data], ancillary)
            except TimeoutError:
                continue  # _prepare_to_wait() says which limit that was
            finally:
                self._count_wait(before, granted)
            data, ancillary = data[sent:], []

    def _take(self, size: int) -> bytes:
        """The next ``size`` bytes; TimeoutError if too much time has passed since the last frame."""
        while len(self._received) < size:
            before, granted = self._prepare_to_wait()
            try:
                data, ancillary, flags, _ = self._sock.recvmsg(
                    1 << 16, _socket.CMSG_SPACE(received.MOST * _INT), _socket.MSG_CMSG_CLOEXEC
                )
            except TimeoutError:
                continue
            finally:
                self._count_wait(before, granted)
            for level, kind, payload in ancillary:
                if (level, kind) == (_socket.SOL_SOCKET, _socket.SCM_RIGHTS):
                    for at in range(0, len(payload), _INT):
                        self._descriptors.append(int.from_bytes(payload[at : at + _INT], sys.byteorder))
            if flags & _socket.MSG_CTRUNC:
                raise _RefusedError("sent descriptors that could not be received", "local")
            if not data:
                raise _RefusedError("closed the connection", "closed")
            self.is_heard = True
            self._received += data
        taken = bytes(self._received[:size])
        del self._received[:size]
        return taken

    def _prepare_to_wait(self) -> tuple[float, float]:
        """Grant the next call on the socket the time left; the current time, and the seconds granted."""
        silence = SILENCE - self.waited
        patience = self._patience - self._before_last_frame - self.waited
        if patience <= 0:
            self.waited += self._before_last_frame
            raise _RefusedError(f"still computes after {self.waited:.1f} s", "slow")
        if silence <= 0:
            raise TimeoutError
        granted = min(silence, patience)
        self._sock.settimeout(granted)
        return time.monotonic(), granted

    def _count_wait(self, before: float, granted: float) -> None:
        self.waited += min(time.monotonic() - before, granted)

    def close(self) -> None:
        """Hang up."""
        self._sock.close()
        for descriptor in self._descriptors:
            posix.close(descriptor)


def _is_ready(path: bytes) -> bool:
    """Whether a daemon says that it serves the socket ``path``. Otherwise one is starting or stopping."""
    from kallsymsd.protocol.lock import is_ready

    try:
        return is_ready(path + b".lock")
    except OSError:
        return True


def _one_line(text: bytes) -> str:
    """What the daemon says, safe for a terminal."""
    words = " ".join(text.decode("utf-8", "replace").split())
    return "".join(letter if letter.isprintable() else "?" for letter in words)


def _is_older(theirs: str, ours: str) -> bool:
    """Whether version ``theirs`` is before ``ours``; False if that is unknown."""
    try:
        return [int(part) for part in theirs.split(".")] < [int(part) for part in ours.split(".")]
    except ValueError:
        return False


def connect(environment: dict[bytes, bytes]) -> tuple[_socket.socket, bytes, float]:
    """A connection to the first daemon found, its path, and the seconds waited for it.

    Raises UnansweredError.
    """
    why = ""
    for places in (named_sockets, standard_sockets):
        for path in places(environment):
            shown = path.decode("utf-8", "replace")
            if len(path) > MAX_SOCKET_PATH:
                text = f"{shown}: {len(path)} bytes, a socket's path has at most {MAX_SOCKET_PATH}"
                raise UnansweredError(f"kallsymsd at {text}", "path")
            if problem := directory_flaw(path.rpartition(b"/")[0]):
                why = why or f"{shown}: its directory {problem}"
                continue
            try:
                sock = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
            except OSError as error:
                raise UnansweredError(f"cannot ask kallsymsd: {error.strerror}", "local") from error
            waited = 0.0
            try:
                waited = _connect_within(sock, path)
                peer = peer_uid(sock)
            except (FileNotFoundError, NotADirectoryError, PermissionError, ConnectionRefusedError) as error:
                sock.close()
                why = why or f"{shown}: {error.strerror}"
                continue
            except OSError as error:
                sock.close()
                full = isinstance(error, BlockingIOError)
                raise UnansweredError(
                    f"kallsymsd at {shown}: {error.strerror}",
                    "full" if full else "local",
                    CONNECT if full else waited,
                ) from error
            if is_anybodys(peer):
                sock.close()
                why = why or f"{shown}: its user cannot be told in this user namespace"
                continue
            if not is_us(peer):
                sock.close()
                raise UnansweredError(f"kallsymsd at {shown}: belongs to another user", "foreign", waited)
            return sock, path, waited
    raise UnansweredError(f"no daemon at {why}", "absent")


def _connect_within(sock: _socket.socket, path: bytes) -> float:
    """Connect; the seconds waited. BlockingIOError after CONNECT seconds."""
    waited = 0.0
    sock.settimeout(CONNECT)
    while True:
        try:
            sock.connect(path)
        except BlockingIOError:  # EAGAIN: the queue is full
            if waited >= CONNECT:
                raise
            time.sleep(_PAUSE)
            waited += _PAUSE
        else:
            return waited


def directory_flaw(directory: bytes) -> str:
    """Why another user may have created what is in a socket's directory; "" if that is impossible."""
    try:
        return flaw(directory)
    except OSError:
        return ""  # connecting reports what is wrong
