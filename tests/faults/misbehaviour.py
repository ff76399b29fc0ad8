# SPDX-License-Identifier: GPL-2.0-only
"""All that a daemon can do wrong between a request and its reply."""

import fcntl
import os
import socket
import tempfile
import time
from collections.abc import Callable

from kallsymsd.protocol import wire
from tests.client.fakes import SEALS, Peer, memory_file

OK = wire.BuildReply(wire.OK, wire.How(), text_length=4)
BOTH = wire.BuildReply(wire.OK, wire.How(), text_length=4, binary_length=6)


def say(*parts: bytes) -> Callable[[Peer], None]:
    return lambda peer: peer.sock.sendall(b"".join(parts))


def send(reply: wire.BuildReply, *contents: bytes) -> Callable[[Peer], None]:
    def behave(peer: Peer) -> None:
        peer.greet()
        peer.send_frame(reply, *contents)

    return behave


def send_a_pipe(*contents: bytes) -> Callable[[Peer], None]:
    def behave(peer: Peer) -> None:
        peer.greet()
        reader, writer = os.pipe()
        files = [memory_file(content) for content in contents]
        socket.send_fds(peer.sock, [wire.frame(wire.REPLY, OK.encode())], [reader, *files])
        for descriptor in (reader, writer, *files):
            os.close(descriptor)

    return behave


def send_files(*descriptors: Callable[[], int]) -> Callable[[Peer], None]:
    """Send a reply with what ``descriptors`` make; its text has four bytes."""

    def behave(peer: Peer) -> None:
        peer.greet()
        files = [descriptor() for descriptor in descriptors]
        reply = OK if len(files) == 1 else BOTH
        socket.send_fds(peer.sock, [wire.frame(wire.REPLY, reply.encode())], files)
        for file in files:
            os.close(file)

    return behave


def a_file(flags: int = os.O_RDWR) -> int:
    """A file of four bytes, on a disk."""
    with tempfile.NamedTemporaryFile() as file:
        file.write(b"four")
        file.flush()
        return os.open(file.name, flags)


def reopened(flags: int) -> int:
    """A sealed memory file of four bytes, open in another way."""
    memory = memory_file(b"four")
    try:
        return os.open(f"/proc/self/fd/{memory}", flags)
    finally:
        os.close(memory)


def send_many(text: int = 4, binary: int = 6, front: int = 0) -> Callable[[Peer], None]:
    """Send a sealed result of that many bytes, without having that much memory."""

    def behave(peer: Peer) -> None:
        peer.greet()
        reply = wire.BuildReply(wire.OK, wire.How(), text_length=text, binary_length=binary)
        sizes = [front, text + binary - front] if front else [text + binary]
        files = []
        for size in sizes:
            files.append(os.memfd_create("many", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING))
            os.truncate(files[-1], size)
            fcntl.fcntl(files[-1], fcntl.F_ADD_SEALS, SEALS)
        socket.send_fds(peer.sock, [wire.frame(wire.REPLY, reply.encode())], files)
        for file in files:
            os.close(file)

    return behave


def dribble(peer: Peer) -> None:
    peer.greet()
    for byte in wire.frame(wire.HEARTBEAT):
        time.sleep(0.1)
        peer.sock.sendall(bytes((byte,)))


def stay_silent(peer: Peer) -> None:
    peer.sock.recv(1)  # until the client hangs up


def then_silence(*parts: bytes) -> Callable[[Peer], None]:
    def behave(peer: Peer) -> None:
        for part in parts:
            peer.sock.sendall(part)
            time.sleep(0.05)
        stay_silent(peer)

    return behave


def greet_late(peer: Peer) -> None:
    time.sleep(0.3)
    peer.greet()
    stay_silent(peer)


HELLO = wire.preamble()
#: What a fake daemon does, the reason that is counted, and what the warning says.
MISBEHAVIOUR: dict[str, tuple[Callable[[Peer], None], str, str]] = {
    "hangs up at once": (say(), "closed", "closed the connection"),
    "hangs up inside the preamble": (say(HELLO[:7]), "closed", "closed the connection"),
    "hangs up after the preamble": (say(HELLO), "closed", "closed the connection"),
    "hangs up inside a frame": (
        say(HELLO, wire.frame(wire.FAILURE, b"text")[:-1]),
        "closed",
        "closed the connection",
    ),
    "is silent": (stay_silent, "silent", "no answer in time"),
    "dribbles": (dribble, "silent", "no answer in time"),
    "speaks HTTP": (
        say(b"HTTP/1.1 400 Bad Request\r\n\r\n"),
        "protocol",
        "does not speak the kallsymsd protocol",
    ),
    "speaks a later protocol": (say(b"KSYM\x63\0\0\0"), "version", "protocol 99"),
    "speaks an earlier protocol": (
        say(b"KSYM\0\0\0\0"),
        "version",
        "protocol 0, not 4; computed without it. It is",
    ),
    "is of a later version": (
        say(HELLO, wire.frame(wire.VERSION, b"99.0")),
        "version",
        "is version 99.0, not",
    ),
    "is of an earlier version": (
        say(HELLO, wire.frame(wire.VERSION, b"0.0.1")),
        "version",
        "It is asked to leave",
    ),
    "is of no version": (say(HELLO, wire.frame(wire.VERSION, b"\xff")), "version", "is version"),
    "is silent after the preamble": (then_silence(HELLO), "silent", "no answer in time"),
    "is silent after signs of life": (
        then_silence(HELLO, *[wire.frame(wire.HEARTBEAT)] * 3),
        "silent",
        "in time",
    ),
    "greets late and is silent": (greet_late, "silent", "no answer in time"),
    "is silent inside a frame": (
        then_silence(HELLO, wire.frame(wire.REPLY, bytes(60))[:-1]),
        "silent",
        "in time",
    ),
    "sends garbage": (say(bytes(range(255, -1, -1)) * 300), "protocol", "does not speak"),
    "sends garbage after the preamble": (
        say(HELLO, bytes(range(255, 0, -1)) * 300),
        "protocol",
        "unknown kind",
    ),
    "sends an unknown frame": (say(HELLO, b"\xff\0\0\0\0\0\0\0"), "protocol", "unknown kind 255"),
    "sends a frame that is too long": (
        say(HELLO, b"\2\0\0\0\xff\xff\xff\xff"),
        "protocol",
        "frame of 4294967295 bytes",
    ),
    "sends a request": (say(HELLO, wire.frame(wire.BUILD)), "protocol", "frame of kind 1"),
    "sends an empty reply": (say(HELLO, wire.frame(wire.REPLY)), "protocol", "ends inside a field"),
    "says why it cannot": (
        say(HELLO, wire.frame(wire.FAILURE, b"out of memory")),
        "refused",
        "out of memory",
    ),
    "sends no result": (send(OK), "protocol", "0 descriptors"),
    "sends three results": (send(BOTH, b"fr", b"on", b"textin"), "local", "could not be received"),
    "sends two results": (send(OK, b"four", b"five"), "protocol", "not files of 4 bytes"),
    "sends a result that is too short": (send(OK, b"for"), "protocol", "not files of 4 bytes"),
    "sends a result that is too long": (send(OK, b"fours"), "protocol", "not files of 4 bytes"),
    "sends a pipe": (send_a_pipe(), "protocol", "not files of 4 bytes"),
    "sends a pipe as the front": (send_a_pipe(b"four"), "protocol", "not files of 4 bytes"),
    "sends a front without a .bin": (send(OK, b"fo", b"ur"), "protocol", "not files of 4 bytes"),
    "sends a front that is too short": (send(BOTH, b"fro", b"textin"), "protocol", "not files of 10 bytes"),
    "sends a front only": (send(BOTH, b"frontX"), "protocol", "not files of 10 bytes"),
    "sends a front that is too long": (send(BOTH, b"frontXY", b"tex"), "protocol", "not files of 10 bytes"),
    "sends the rest only": (send(BOTH, b"textin"), "protocol", "not files of 10 bytes"),
    "sends an unsealed result": (
        send_files(lambda: memory_file(b"four", 0)),
        "protocol",
        "not sealed memory files",
    ),
    "sends a result that may shrink": (
        send_files(lambda: memory_file(b"four", SEALS & ~fcntl.F_SEAL_SHRINK)),
        "protocol",
        "not sealed memory files",
    ),
    "sends a result that may change": (
        send_files(lambda: memory_file(b"four", SEALS & ~fcntl.F_SEAL_WRITE)),
        "protocol",
        "not sealed memory files",
    ),
    "sends an unsealed front": (
        send_files(lambda: memory_file(b"front", 0), lambda: memory_file(b"texti")),
        "protocol",
        "not sealed memory files",
    ),
    "sends an unsealed rest": (
        send_files(lambda: memory_file(b"front"), lambda: memory_file(b"texti", 0)),
        "protocol",
        "not sealed memory files",
    ),
    "sends a file of a disk": (send_files(a_file), "protocol", "not sealed memory files"),
    "sends a file that can only be written to": (
        send_files(lambda: reopened(os.O_WRONLY)),
        "protocol",
        "not sealed memory files",
    ),
    "sends a file that cannot be read": (
        send_files(lambda: reopened(os.O_PATH)),
        "protocol",
        "not sealed memory files",
    ),
    "sends a .bin of gigabytes": (
        send_many(binary=1 << 32),
        "protocol",
        "replied with a .bin of 4294967296 bytes for ",
    ),
    "sends a .bin of gigabytes in front": (
        send_many(binary=1 << 32, front=1 << 32),
        "protocol",
        "replied with a .bin of 4294967296 bytes for ",
    ),
    "sends a text of gigabytes": (
        send_many(text=1 << 32),
        "protocol",
        "replied with text of 4294967296 bytes for ",
    ),
    "sends text where it is in the .bin": (
        send_many(text=3 << 20),
        "protocol",
        "replied with text of 3145728 bytes for ",
    ),
    "sends a result with bad input": (
        send(wire.BuildReply(wire.BAD_INPUT, wire.How()), b"four"),
        "protocol",
        "1 descriptors",
    ),
}
