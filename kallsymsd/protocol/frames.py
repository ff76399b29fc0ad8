# SPDX-License-Identifier: GPL-2.0-only
"""The protocol's byte layout: preamble, frames and their fields (docs/protocol.md).

No I/O and no imports. All integers are little-endian. On a connection, each side first sends a preamble, then
frames: a header of 8 bytes (u32 kind, u32 length of the body) and the body.
"""

# Names that the module wire re-exports.
__all__ = [
    "ANSWER",
    "BUILD",
    "CONTROL",
    "FAILURE",
    "HEADER_SIZE",
    "HEARTBEAT",
    "MAGIC",
    "MAX_BODY",
    "PREAMBLE_SIZE",
    "PROTOCOL",
    "REPLY",
    "VERSION",
    "ProtocolError",
    "WireError",
    "check_preamble",
    "frame",
    "parse_header",
    "preamble",
    "stop",
]

PROTOCOL = 4
MAGIC = b"KSYM"
PREAMBLE_SIZE = 8
HEADER_SIZE = 8

# Kinds of frames.
BUILD = 1  # client to daemon, carries the input's descriptor
REPLY = 2  # daemon to client, carries the result's descriptors when status is OK
HEARTBEAT = 3  # daemon to client while it computes, no body
CONTROL = 4  # kallsymsctl to daemon, body is a msgpack map
ANSWER = 5  # daemon to kallsymsctl, body is a msgpack map
FAILURE = 6  # daemon to either: cannot serve this; body is one line of UTF-8 text, the connection ends
VERSION = 7  # daemon to client: has another version; body is that version in ASCII, the connection ends

#: Longest body accepted for each kind, in bytes; checked before anything is allocated.
MAX_BODY = {
    BUILD: 1 << 16,
    REPLY: 1 << 24,  # the messages: two lines for each symbol with an overlong name
    HEARTBEAT: 0,
    CONTROL: 1 << 16,
    ANSWER: 1 << 24,
    FAILURE: 1 << 12,
    VERSION: 1 << 6,
}


class WireError(Exception):
    """The peer violated the protocol."""


class ProtocolError(WireError):
    """The peer speaks another version of the protocol: ``protocol``."""

    def __init__(self, protocol: int) -> None:
        super().__init__(f"the peer speaks protocol {protocol}, not {PROTOCOL}")
        self.protocol = protocol


def preamble(protocol: int = PROTOCOL) -> bytes:
    """The 8 bytes that each side sends first: magic, u16 protocol, u16 capabilities (none defined yet)."""
    return MAGIC + protocol.to_bytes(2, "little") + bytes(2)


def check_preamble(data: bytes) -> None:
    """Raise WireError unless ``data`` is the preamble of a peer that speaks our protocol."""
    if data[:4] != MAGIC:
        raise WireError("the peer does not speak the kallsymsd protocol")
    protocol = int.from_bytes(data[4:6], "little")
    if protocol != PROTOCOL:
        raise ProtocolError(protocol)


def frame(kind: int, body: bytes = b"") -> bytes:
    """One frame."""
    return kind.to_bytes(4, "little") + len(body).to_bytes(4, "little") + body


def stop(protocol: int) -> bytes:
    """The bytes that ask a daemon to stop; the message is the same in every version of the protocol.

    The body is {"command": "stop"} as msgpack, spelled out because the client does not import msgpack.
    """
    return preamble(protocol) + frame(CONTROL, b"\x81\xa7command\xa4stop")


def parse_header(data: bytes) -> tuple[int, int]:
    """Kind and body length of a frame header; WireError for an unknown kind or an excessive length."""
    kind = int.from_bytes(data[:4], "little")
    length = int.from_bytes(data[4:8], "little")
    if kind not in MAX_BODY:
        raise WireError(f"frame of unknown kind {kind}")
    if length > MAX_BODY[kind]:
        raise WireError(f"frame of {length} bytes, kind {kind} has at most {MAX_BODY[kind]}")
    return kind, length


class Reader:
    """Reads the fields of a body in order; WireError if it ends too early."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def take(self, size: int) -> bytes:
        """The next ``size`` bytes."""
        end = self.at + size
        if end > len(self.data):
            raise WireError(f"body of {len(self.data)} bytes ends inside a field")
        field = self.data[self.at : end]
        self.at = end
        return field

    def number(self, size: int) -> int:
        """An unsigned integer of ``size`` bytes."""
        return int.from_bytes(self.take(size), "little")

    def string(self) -> bytes:
        """A byte string: u32 length, then the bytes."""
        return self.take(self.number(4))

    def end(self) -> None:
        """Raise WireError if bytes are left."""
        if self.at != len(self.data):
            raise WireError(f"body has {len(self.data) - self.at} bytes too many")


def string(value: bytes) -> bytes:
    """``value`` as :meth:`Reader.string` reads it: u32 length, then the bytes."""
    return len(value).to_bytes(4, "little") + value
