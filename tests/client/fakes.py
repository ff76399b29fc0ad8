# SPDX-License-Identifier: GPL-2.0-only
"""A daemon that does what a test tells it to."""

import fcntl
import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from kallsymsd.protocol import wire
from kallsymsd.protocol.lock import Lock


@dataclass
class Peer:
    """One client's connection, on the side of the daemon.

    request   what the client asked for
    map_text  what the descriptor held that came with it
    """

    sock: socket.socket
    request: wire.BuildRequest
    map_text: bytes

    def greet(self) -> None:
        """Send the preamble."""
        self.sock.sendall(wire.preamble())

    def reply(
        self,
        text: bytes = b"",
        binary: bytes = b"",
        *,
        sysmap: bytes = b"",
        status: int = wire.OK,
        message: bytes = b"",
        how: wire.How | None = None,
        front: int = 0,
    ) -> None:
        """Send a correct reply, the first ``front`` bytes of the .bin in a file of their own."""
        reply = wire.BuildReply(
            status,
            how or wire.How(wire.HIT, symbols=3),
            text_length=len(text),
            binary_length=len(binary),
            map_length=len(sysmap),
            message=message,
        )
        own = text + binary[front:] + sysmap if status == wire.OK else None
        self.send_frame(reply, binary[:front] or None, own)

    def send_frame(self, reply: wire.BuildReply, *contents: bytes | None) -> None:
        """Send a reply with a memory file for each of ``contents`` that is not None."""
        with ExitStack() as stack:
            descriptors = []
            for content in contents:
                if content is not None:
                    descriptors.append(memory_file(content))
                    stack.callback(os.close, descriptors[-1])
            socket.send_fds(self.sock, [wire.frame(wire.REPLY, reply.encode())], descriptors)


@dataclass
class FakeDaemon:
    """What became of a fake daemon.

    path      of its socket
    requests  what it was asked, in order
    farewells how often it was asked to leave
    errors    what went wrong in its thread
    """

    path: Path
    requests: list[Peer] = field(default_factory=list)
    farewells: int = 0
    errors: list[BaseException] = field(default_factory=list)


@contextmanager
def serving_lock(path: Path, *, ready: bool = True) -> Iterator[None]:
    """The lock of a daemon that serves ``path``; without it, or not ``ready``, one is only being started."""
    lock = Lock(path.with_name(path.name + ".lock"))
    assert lock.take()
    lock.note(ready=ready)
    try:
        yield
    finally:
        lock.close()


@contextmanager
def fake_daemon(path: Path, behave: Callable[[Peer], None]) -> Iterator[FakeDaemon]:
    """A daemon at ``path`` that reads one request from each client, then does what ``behave`` does, then
    closes the connection.
    """
    fake = FakeDaemon(path)
    stopping = threading.Event()
    with socket.socket(socket.AF_UNIX) as listener, serving_lock(path):
        listener.bind(os.fspath(path))
        listener.listen()
        listener.settimeout(0.05)

        def serve() -> None:
            while not stopping.is_set():
                try:
                    sock, _ = listener.accept()
                except TimeoutError:
                    continue
                with sock:
                    try:
                        sock.settimeout(10)
                        peer = _receive(sock)
                        if peer is None:
                            fake.farewells += 1
                            continue
                        fake.requests.append(peer)
                        behave(peer)
                    except (BrokenPipeError, ConnectionResetError):
                        pass  # the client gave up, as a test may want it to
                    except BaseException as error:  # noqa: BLE001 - reported by the test that made it
                        fake.errors.append(error)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield fake
        finally:
            stopping.set()
            thread.join(20)
            path.unlink()
    assert not fake.errors, fake.errors


def _receive(sock: socket.socket) -> Peer | None:
    """A request; None if it is to leave."""
    data = b""
    descriptors: list[int] = []

    def take(size: int) -> bytes:
        nonlocal data
        while len(data) < size:
            chunk, received, _, _ = socket.recv_fds(sock, 1 << 16, 4)
            assert chunk, "the client hung up before its request was complete"
            data += chunk
            descriptors.extend(received)
        taken, data = data[:size], data[size:]
        return taken

    preamble = take(wire.PREAMBLE_SIZE)
    kind, length = wire.parse_header(take(wire.HEADER_SIZE))
    if kind == wire.CONTROL:
        assert preamble + wire.frame(kind, take(length)) in (wire.stop(0), wire.stop(wire.PROTOCOL))
        return None
    wire.check_preamble(preamble)
    assert kind == wire.BUILD
    request = wire.BuildRequest.decode(take(length))
    assert len(descriptors) == 1
    with os.fdopen(descriptors[0], "rb") as in_map:
        return Peer(sock, request, in_map.read())


SEALS = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE


def memory_file(content: bytes, seals: int = SEALS) -> int:
    """A descriptor of a memory file."""
    descriptor = os.memfd_create("result", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    with os.fdopen(os.dup(descriptor), "wb") as file:
        file.write(content)
    fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, seals)
    return descriptor
