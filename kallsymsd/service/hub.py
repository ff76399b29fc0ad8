# SPDX-License-Identifier: GPL-2.0-only
"""All clients' sockets in one epoll: accepts clients, sends, and ends connections cleanly."""

import contextlib
import logging
import math
import select
import socket
import time
from collections.abc import Callable

from kallsymsd.engine.answer import Answer
from kallsymsd.protocol import wire
from kallsymsd.protocol.codec import Frame
from kallsymsd.protocol.users import is_anybodys, own_uid, peer_uid
from kallsymsd.protocol.wire import WireError
from kallsymsd.service.connection import Connection, HungUpError, ShortError

_log = logging.getLogger("kallsymsd")

#: Seconds a client may take to send its request, or to read what it is sent.
PEER_LIMIT = 30.0
# Seconds without accepting after descriptors or memory ran out.
_ACCEPT_PAUSE = 0.1
# Seconds between two checks of the clock while a client is connected.
_TICK = 1.0
# Events handled in one turn; others wait for the next.
_MOST_EVENTS = 64
#: Connections above which the longest silent one is ended, as if its time were up.
MOST_CONNECTIONS = 1024
#: Bytes waiting to be sent above which the connection that has read nothing for longest is ended.
MOST_QUEUED = 64 << 20

_ACCEPTS = frozenset({wire.BUILD, wire.CONTROL})


class Hub:
    """The listener and its connections. Belongs to one thread.

    connections  open ones by descriptor
    """

    def __init__(
        self,
        listener: socket.socket,
        take: Callable[[Connection, Frame], None],
        gone: Callable[[Connection], None],
        *,
        short: Callable[[], None] = lambda: None,
        most: int = MOST_CONNECTIONS,
    ) -> None:
        """``take`` is called with each frame, and may raise WireError; ``gone`` when a connection ends.

        short  is called when descriptors or memory have run out
        most   most connections, not counting those that wait for an answer
        """
        self.connections: dict[int, Connection] = {}
        self._listener = listener
        self._take = take
        self._gone = gone
        self._short = short
        self._most = most
        self._unread: set[Connection] = set()  # connections with frames that can be taken now
        self._uid = own_uid()
        self._is_anybody = is_anybodys(self._uid)
        self._accepts = True  # the listener is in the epoll
        self._accept_at = math.inf  # when to accept again, while accepting is paused
        self._is_short = False  # of descriptors or memory, at the last attempt
        self._woken = False
        self._waits = False
        self._epoll = select.epoll()
        self._wake_in, self._wake_out = socket.socketpair()
        self._wake_in.settimeout(0)
        self._wake_out.settimeout(0)
        self._epoll.register(self._wake_out, select.EPOLLIN)
        self._epoll.register(listener, select.EPOLLIN)

    def wake(self) -> None:
        """Make :meth:`turn` return; may be called from any thread and from signal handlers."""
        # turn() writes _waits, then reads _woken; this writes _woken, then reads _waits. So at least one sees
        # what the other wrote: either turn() does not wait, or it is sent a byte.
        self._woken = True
        if self._waits:
            # Full: turn() returns anyway. Closed: no thread waits any more.
            with contextlib.suppress(OSError):
                self._wake_in.send(b"\0")

    def turn(self, until: float) -> None:
        """Wait for events, at most until then (inf: for ever), and handle them."""
        self._waits = True
        ready = self._epoll.poll(0.0 if self._woken or self._unread else self._timeout(until), _MOST_EVENTS)
        self._waits = False
        self._woken = False  # the caller looks for work after each turn
        for descriptor, events in ready:
            connection = self.connections.get(descriptor)
            if connection is not None:
                self._ready(connection, events)
            elif descriptor == self._wake_out.fileno():
                with contextlib.suppress(BlockingIOError):
                    self._wake_out.recv(4096)
            elif self._accepts and descriptor == self._listener.fileno():
                # One, since there are rarely more, and asking costs. After a shortage all of them: otherwise
                # each client would begin another shortage, which is logged.
                while self._accept() and self._is_short:
                    pass
        # One frame of each, so that no client waits for all that another has sent.
        unread, self._unread = self._unread, set()
        for connection in unread:
            self._ready(connection, select.EPOLLIN)
        now = time.monotonic()
        if now >= self._accept_at:
            self._accept_at = math.inf
            self._accepts = True
            self._epoll.register(self._listener, select.EPOLLIN)
        for connection in [each for each in self.connections.values() if now >= each.deadline]:
            if connection.ticket is None:
                self.drop(connection)

    def send(self, connection: Connection, data: bytes, answer: Answer | None = None) -> None:
        """Send ``data``, and with it the descriptors of ``answer``."""
        connection.send(data, answer)
        self._flush(connection)

    def fail(self, connection: Connection, text: str, kind: int = wire.FAILURE) -> None:
        """Tell a client in one line why it must go without the daemon, and end the connection."""
        line = " ".join(text.split()).encode("utf-8", "backslashreplace")
        connection.closing = True
        connection.deadline = time.monotonic() + PEER_LIMIT
        self.send(connection, wire.frame(kind, line[: wire.MAX_BODY[kind]]))

    def drop(self, connection: Connection) -> None:
        """End a connection now."""
        del self.connections[connection.sock.fileno()]
        self._epoll.unregister(connection.sock)
        connection.close()
        self._gone(connection)

    def stop_accepting(self) -> None:
        """Accept the clients that have connected so far, and no more."""
        while self._accepts and self._accept():
            pass
        self._stop_listening()
        self._accept_at = math.inf

    def close(self) -> None:
        """End all connections."""
        for connection in list(self.connections.values()):
            self.drop(connection)
        self._epoll.close()
        self._wake_in.close()
        self._wake_out.close()

    def _timeout(self, until: float) -> float | None:
        now = time.monotonic()
        due = min(until, self._accept_at, now + _TICK if self.connections else math.inf)
        return max(0.0, due - now) if due < math.inf else None

    def _accept(self) -> bool:
        """Accept a client; False if there is none, or no descriptor or memory for it."""
        try:
            sock, _ = self._listener.accept()
        except BlockingIOError:
            self._is_short = False
            return False
        except ConnectionAbortedError:
            return True
        except OSError as error:
            # No descriptor or memory left. The client stays in the backlog. Trying again at once would only
            # burn CPU, and logging it each time would only fill the log.
            if not self._is_short:
                _log.error("cannot accept clients for now: %s", error.strerror)
            self._is_short = True
            self._short()
            self._stop_listening()
            self._accept_at = time.monotonic() + _ACCEPT_PAUSE
            return False
        sock.settimeout(0)
        if peer_uid(sock) != self._uid or self._is_anybody:
            _log.warning("refused a client of user %d", peer_uid(sock))
            sock.close()
            return True
        connection = Connection(sock, _ACCEPTS)
        connection.deadline = time.monotonic() + PEER_LIMIT
        self.connections[sock.fileno()] = connection
        if len(self.connections) > self._most:
            silent = [each for each in self.connections.values() if each.ticket is None]
            if len(silent) > 1:  # keep the new one, which has just come
                self._drop_first(silent)
        self._epoll.register(sock, connection.events)
        self.send(connection, wire.preamble())
        self._ready(connection, select.EPOLLIN)  # most clients have sent their request by now
        return True

    def _stop_listening(self) -> None:
        if self._accepts:
            self._accepts = False
            self._epoll.unregister(self._listener)

    def _ready(self, connection: Connection, events: int) -> None:
        # Other events are errors or the end of the connection, which sending and receiving will report.
        if events & ~select.EPOLLIN and connection.has_output:
            self._flush(connection)
        if events & ~select.EPOLLOUT and _is_to_be_read(connection):
            try:
                self._receive(connection)
            except HungUpError:
                self.drop(connection)
            except WireError as error:
                if isinstance(error, ShortError):
                    self._short()
                self.fail(connection, str(error))

    def _receive(self, connection: Connection) -> None:
        frame = connection.receive()
        if frame is None:
            return
        connection.deadline = time.monotonic() + PEER_LIMIT
        self._take(connection, frame)
        if connection.has_input and _is_to_be_read(connection):
            self._unread.add(connection)

    def _flush(self, connection: Connection) -> None:
        if connection.closed:
            return
        try:
            if connection.flush() and connection.ticket is None:
                connection.deadline = time.monotonic() + PEER_LIMIT
        except HungUpError:
            self.drop(connection)
            return
        if connection.closing and not connection.has_output:
            self.drop(connection)
            return
        if connection.has_output:
            events = select.EPOLLOUT  # nothing is read from a client that does not read
            self._limit_queued()
        else:
            events = 0 if connection.closing else select.EPOLLIN
            if connection.has_input:
                self._unread.add(connection)
        if connection.events != events and not connection.closed:
            connection.events = events
            self._epoll.modify(connection.sock, events)

    def _limit_queued(self) -> None:
        waiting = {each: each.queued for each in self.connections.values() if each.has_output}
        while sum(waiting.values()) > MOST_QUEUED:
            del waiting[self._drop_first(list(waiting))]

    def _drop_first(self, connections: list[Connection]) -> Connection:
        """End the one of ``connections`` whose deadline comes first."""
        first = min(connections, key=lambda each: each.deadline)
        self.drop(first)
        return first


def _is_to_be_read(connection: Connection) -> bool:
    return not (connection.closed or connection.closing or connection.has_output)
