# SPDX-License-Identifier: GPL-2.0-only
"""One client's socket: bytes and descriptors in, frames and descriptors out, never blocking."""

from __future__ import annotations

import array
import os
import select
import socket
from collections import deque
from typing import TYPE_CHECKING

from kallsyms_client import wire
from kallsymsd.service.codec import Decoder, Frame

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kallsymsd.engine.answer import Answer
    from kallsymsd.service.builds import Ticket

_CHUNK = 1 << 16
# A request carries one descriptor. The kernel closes what does not fit and says so (MSG_CTRUNC).
_MAX_DESCRIPTORS = 2
_DESCRIPTOR_SIZE = array.array("i").itemsize
_ANCILLARY = socket.CMSG_SPACE(_MAX_DESCRIPTORS * _DESCRIPTOR_SIZE)


class HungUpError(Exception):
    """The peer closed the connection or its sending side; both mean that it wants nothing any more."""


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
        self._descriptors: deque[int] = deque()
        self._out: deque[_Outgoing] = deque()

    @property
    def has_output(self) -> bool:
        """Whether something waits to be sent."""
        return bool(self._out)

    def receive(self) -> Iterator[Frame]:
        """Read what is there, once; the frames that are complete by now.

        Raises HungUpError, and WireError (also going through the frames) for a peer that leaves the protocol.
        """
        try:
            data, ancillary, flags, _ = self.sock.recvmsg(_CHUNK, _ANCILLARY, socket.MSG_CMSG_CLOEXEC)
        except BlockingIOError:
            return iter(())
        except OSError as error:
            raise HungUpError from error
        for level, kind, payload in ancillary:
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                descriptors = array.array("i")
                descriptors.frombytes(payload[: len(payload) - len(payload) % _DESCRIPTOR_SIZE])
                self._descriptors.extend(descriptors)
        if flags & socket.MSG_CTRUNC or len(self._descriptors) > _MAX_DESCRIPTORS:
            raise wire.WireError("descriptors were lost: too many came, or none is free here")
        if not data:
            raise HungUpError
        return self._decoder.feed(data)

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
