# SPDX-License-Identifier: GPL-2.0-only
"""One client's socket: bytes and descriptors in, frames and descriptors out, never blocking."""

from __future__ import annotations

import array
import os
import select
import socket
from collections import deque
from typing import TYPE_CHECKING

from kallsymsd.protocol import wire
from kallsymsd.protocol.codec import Decoder, Frame

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kallsymsd.engine.answer import Answer
    from kallsymsd.service.ticket import Ticket

_CHUNK = 1 << 16
# A request carries one descriptor. The kernel closes what does not fit and says so (MSG_CTRUNC).
_MAX_DESCRIPTORS = 2
_DESCRIPTOR_SIZE = array.array("i").itemsize
_ANCILLARY = socket.CMSG_SPACE(_MAX_DESCRIPTORS * _DESCRIPTOR_SIZE)


class HungUpError(Exception):
    """The peer closed the connection or its sending side; both mean that it wants nothing any more."""


class ShortError(wire.WireError):
    """A descriptor was lost because this process may have no more of them."""


class _Outgoing:
    """Bytes to be sent; the answer's descriptors go with the first of them."""

    __slots__ = ("answer", "rest")

    def __init__(self, data: bytes, answer: Answer | None) -> None:
        self.rest = memoryview(data)
        self.answer = answer


class Connection:
    """A client.

    sock      its socket, non-blocking
    ticket    its build that is under way, if any
    deadline  when to give it up, in seconds of the loop's clock
    closing   nothing more is read; the connection ends when all is sent
    closed    it has ended
    events    what the loop waits for, of epoll's
    """

    def __init__(self, sock: socket.socket, accepts: frozenset[int]) -> None:
        self.sock = sock
        self.ticket: Ticket | None = None
        self.deadline = 0.0
        self.closing = False
        self.closed = False
        self.events = select.EPOLLIN
        self._decoder = Decoder(accepts)
        self._frames: Iterator[Frame] | None = None
        self._descriptors: deque[int] = deque()
        self._out: deque[_Outgoing] = deque()

    @property
    def has_output(self) -> bool:
        """Whether something waits to be sent."""
        return bool(self._out)

    @property
    def queued(self) -> int:
        """Bytes that wait to be sent."""
        return sum(len(each.rest) for each in self._out)

    @property
    def has_input(self) -> bool:
        """Whether there may be a frame that was read and not taken."""
        return self._frames is not None and not self._decoder.is_empty

    def receive(self) -> Frame | None:
        """The next frame that is complete; what is in the socket is read, once, if nothing else is left.

        One at a time: its answer may have to wait to be sent, and then so has the next request. Raises
        HungUpError, and WireError for a peer that leaves the protocol.
        """
        if not self.has_input:
            self._read()
        frame = next(self._frames, None) if self._frames is not None else None
        if frame is None:
            self._frames = None  # the rest of the next one has to come first
        return frame

    def _read(self) -> None:
        try:
            data, ancillary, flags, _ = self.sock.recvmsg(_CHUNK, _ANCILLARY, socket.MSG_CMSG_CLOEXEC)
        except BlockingIOError:
            return
        except OSError as error:
            raise HungUpError from error
        for level, kind, payload in ancillary:
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                descriptors = array.array("i")
                descriptors.frombytes(payload[: len(payload) - len(payload) % _DESCRIPTOR_SIZE])
                self._descriptors.extend(descriptors)
        count = len(self._descriptors)
        if flags & socket.MSG_CTRUNC or count > _MAX_DESCRIPTORS:
            lost = ShortError if count < _MAX_DESCRIPTORS else wire.WireError
            raise lost("descriptors were lost: too many came, or none is free here")
        if not data:
            raise HungUpError
        self._frames = self._decoder.feed(data)

    def take_descriptor(self) -> int:
        """The descriptor that came with a request; the caller closes it."""
        if not self._descriptors:
            raise wire.WireError("build request without a descriptor of the map")
        return self._descriptors.popleft()

    def send(self, data: bytes, answer: Answer | None = None) -> None:
        """Send ``data``, and the answer's descriptors with it, as soon as the socket takes it."""
        self._out.append(_Outgoing(data, answer))

    def flush(self) -> bool:
        """Send what the socket takes; whether it took anything. Raises HungUpError when the peer is gone."""
        sent_any = False
        while self._out:
            first = self._out[0]
            ancillary = []
            if first.answer is not None and first.answer.files:
                rights = array.array("i", [file.descriptor for file in first.answer.files])
                ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)]
            try:
                count = self.sock.sendmsg((first.rest,), ancillary, socket.MSG_NOSIGNAL)
            except BlockingIOError:
                break
            except OSError as error:
                raise HungUpError from error
            sent_any = True
            first.answer = None
            first.rest = first.rest[count:]
            if not first.rest:
                self._out.popleft()
        return sent_any

    def close(self) -> None:
        """Let the client go."""
        self.closed = True
        self.sock.close()
        while self._descriptors:
            os.close(self._descriptors.popleft())
        self._out.clear()
