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
# A request carries one descriptor. The kernel closes those that do not fit, and sets MSG_CTRUNC.
_MAX_DESCRIPTORS = 2
_DESCRIPTOR_SIZE = array.array("i").itemsize
_ANCILLARY = socket.CMSG_SPACE(_MAX_DESCRIPTORS * _DESCRIPTOR_SIZE)


class HungUpError(Exception):
    """The peer closed the connection, or its sending side: either way it no longer wants an answer."""


class ShortError(wire.WireError):
    """A descriptor was lost because this process has no more left."""


class _Outgoing:
    """Bytes to be sent; the answer's descriptors go with the first byte."""

    __slots__ = ("answer", "rest")

    def __init__(self, data: bytes, answer: Answer | None) -> None:
        self.rest = memoryview(data)
        self.answer = answer


class Connection:
    """A client.

    sock      its socket, non-blocking
    ticket    its request under way, if any
    deadline  when to end the connection, in seconds of the loop's clock
    closing   nothing more is read; the connection ends when everything is sent
    closed    it has ended
    events    epoll events that the loop waits for
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
        """Whether data waits to be sent."""
        return bool(self._out)

    @property
    def queued(self) -> int:
        """Bytes waiting to be sent."""
        return sum(len(each.rest) for each in self._out)

    @property
    def has_input(self) -> bool:
        """Whether there may be a frame that was read but not taken yet."""
        return self._frames is not None and not self._decoder.is_empty

    def receive(self) -> Frame | None:
        """The next complete frame, if any; reads the socket once unless there is data left.

        One at a time: while its answer waits to be sent, the next request must wait too. Raises HungUpError,
        and WireError for a peer that breaks the protocol.
        """
        if not self.has_input:
            self._read()
        frame = next(self._frames, None) if self._frames is not None else None
        if frame is None:
            self._frames = None  # the rest of the next frame has to come first
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
        """Queue ``data``, and with it the answer's descriptors, for flush()."""
        self._out.append(_Outgoing(data, answer))

    def flush(self) -> bool:
        """Send as much as the socket takes; whether it took any. Raises HungUpError if the peer is gone."""
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
        """End the connection."""
        self.closed = True
        self.sock.close()
        while self._descriptors:
            os.close(self._descriptors.popleft())
        self._out.clear()
