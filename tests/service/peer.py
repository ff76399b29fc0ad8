# SPDX-License-Identifier: GPL-2.0-only
"""A blocking client for tests, and a server in a thread with a fake core."""

import array
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, Self

import msgpack

from kallsymsd import __version__
from kallsymsd.core.assembly import Assembly
from kallsymsd.engine.engine import Engine
from kallsymsd.engine.recentmaps import MapText
from kallsymsd.engine.result import BuildResult
from kallsymsd.engine.trees import TreeSummary
from kallsymsd.protocol import wire
from kallsymsd.protocol.notes import Fallback
from kallsymsd.protocol.wire import BuildReply, BuildRequest, How
from kallsymsd.service.instance import Instance
from kallsymsd.service.server import Server
from kallsymsd.service.tally import Tally

# Long enough for a machine under load; a test that gets here has failed.
PATIENCE = 20.0


class Received(NamedTuple):
    """A frame, and what came with it: text, binary and map."""

    kind: int
    body: bytes
    content: bytes


class Peer:
    """A client that does what a test says."""

    def __init__(self, path: Path) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(PATIENCE)
        try:
            self.sock.connect(str(path))
        except OSError:
            self.sock.close()
            raise
        self._data = b""
        self._descriptors: list[int] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self.sock.close()
        while self._descriptors:
            os.close(self._descriptors.pop())

    def send(self, data: bytes, *descriptors: int) -> None:
        rights = (
            [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))] if descriptors else []
        )
        sent = self.sock.sendmsg([data], rights)
        if sent < len(data):
            self.sock.sendall(data[sent:])

    def build(self, map_path: Path, **changes: Any) -> None:  # noqa: ANN401  fields of a request
        """Send the preamble and a build request."""
        descriptor = os.open(map_path, os.O_RDONLY)
        try:
            self.send(
                wire.preamble() + wire.frame(wire.BUILD, request(map_path, **changes).encode()), descriptor
            )
        finally:
            os.close(descriptor)

    def control(self, message: object) -> None:
        """Send the preamble and a control message."""
        self.send(wire.preamble() + wire.frame(wire.CONTROL, msgpack.packb(message)))

    def receive(self) -> Received:
        """The next frame that is not a heartbeat."""
        while True:
            received = self.receive_any()
            if received.kind != wire.HEARTBEAT:
                return received

    def receive_any(self) -> Received:
        """The next frame."""
        if not hasattr(self, "_greeting"):
            self._greeting = self._take(wire.PREAMBLE_SIZE)
            wire.check_preamble(self._greeting)
        kind, length = wire.parse_header(self._take(wire.HEADER_SIZE))
        body = self._take(length)
        content = b""
        if kind == wire.REPLY and self._descriptors:
            *front, own = [os.pread(fd, os.fstat(fd).st_size + 1, 0) for fd in self._descriptors]
            while self._descriptors:
                os.close(self._descriptors.pop())
            text = BuildReply.decode(body).text_length
            content = own[:text] + b"".join(front) + own[text:]
        return Received(kind, body, content)

    def reply(self) -> tuple[BuildReply, bytes]:
        """The reply to a build request, and text and binary."""
        received = self.receive()
        assert received.kind == wire.REPLY, received
        return BuildReply.decode(received.body), received.content

    def answer(self) -> dict[str, Any]:
        """The answer to a control message."""
        received = self.receive()
        assert received.kind == wire.ANSWER, received
        answer = msgpack.unpackb(received.body)
        assert isinstance(answer, dict)
        return answer

    def failure(self) -> str:
        """The text of a failure, after which the connection ends."""
        received = self.receive()
        assert received.kind == wire.FAILURE, received
        assert self.is_at_end()
        return received.body.decode()

    def is_at_end(self) -> bool:
        """Whether the daemon closes the connection without another word."""
        try:
            return not self._data and not self.sock.recv(1)
        except ConnectionResetError:
            return True

    def _take(self, size: int) -> bytes:
        while len(self._data) < size:
            data, ancillary, _, _ = self.sock.recvmsg(1 << 16, socket.CMSG_SPACE(16))
            for _, _, payload in ancillary:
                self._descriptors.extend(array.array("i", payload))
            if not data:
                raise EOFError(self._data)
            self._data += data
        taken, self._data = self._data[:size], self._data[size:]
        return taken


def request(map_path: Path, **changes: Any) -> BuildRequest:  # noqa: ANN401  fields of a request
    """A valid request for plain assembly."""
    fields = {"version": __version__, "dialect": "v6.11", "options": 1, "form": wire.ASM}
    return BuildRequest(**{**fields, "map_path": os.fsencode(map_path), "tree": b"/tree", **changes})


class FakeCore:
    """Stands in for the core: the answer is the map backwards.

    What begins with "bad" is bad input, with "crash" is a defect; what begins with "wait" is not done before
    ``release``, and ``started`` counts those.
    """

    def __init__(self) -> None:
        self.calls = 0
        self.release = threading.Event()
        self.started = threading.Semaphore(0)

    def summaries(self) -> list[TreeSummary]:
        return []

    def forget(self, tree: bytes | None) -> int:
        return int(tree is None)

    def knows(self, _: BuildRequest) -> bool:
        return False

    def settle(self) -> int:
        return 0

    def save(self) -> None:
        pass

    def build(self, _: BuildRequest, contents: MapText) -> BuildResult:
        self.calls += 1
        map_text = contents.text
        if map_text.startswith(b"bad"):
            return BuildResult.bad_input(b"No valid symbol.\n")
        if map_text.startswith(b"crash"):
            raise ZeroDivisionError("a defect\nof two lines")
        if map_text.startswith(b"wait"):
            self.started.release()
            assert self.release.wait(PATIENCE)
        made = Assembly(map_text[::-1], [])
        return BuildResult(How(symbols=len(map_text)), made, message=b"a warning\n")


class Daemon:
    """A server in a thread."""

    def __init__(
        self, path: Path, make_engine: Callable[[], Engine], clock: Callable[[], float] = time.time
    ) -> None:
        self.path = path
        self.noted: list[Fallback] = []
        self.saved: list[dict[str, Any]] = []
        self.replaced: Callable[[], Path | None] = lambda: None
        self.server = Server(
            Instance(path),
            make_engine,
            version=__version__,
            tally=Tally(lambda kept: self.saved.append(kept.message()), 0.0, clock=clock),
            configuration={"socket": str(path)},
            workers=2,
            replaced=self._replaced,
            take_noted=self._take_noted,
            clock=clock,
        )
        self.thread = threading.Thread(target=self.server.run)
        self.thread.start()

    def _replaced(self) -> Path | None:
        return self.replaced()

    def _take_noted(self) -> list[Fallback]:
        noted, self.noted = self.noted, []
        return noted

    def peer(self) -> Peer:
        return Peer(self.path)

    def stats(self) -> dict[str, Any]:
        with self.peer() as peer:
            peer.control({"command": "stats"})
            return peer.answer()

    def stop(self) -> None:
        self.server.request_stop()
        self.thread.join(PATIENCE)
        assert not self.thread.is_alive()


@contextmanager
def serving(
    path: Path, make_engine: Callable[[], Engine], clock: Callable[[], float] = time.time
) -> Iterator[Daemon]:
    """A daemon for the time of the context; ``clock`` tells it the time of day."""
    daemon = Daemon(path, make_engine, clock)
    try:
        yield daemon
    finally:
        daemon.stop()
