# SPDX-License-Identifier: GPL-2.0-only
"""Decodes a peer's bytes into frames and control messages. Does no I/O (docs/protocol.md)."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import msgpack

from kallsymsd.protocol import wire
from kallsymsd.protocol.wire import WireError

#: Limits within a control message, in elements or bytes; the frame's own limit applies, too.
_MAX_ELEMENTS = 1 << 14
_MAX_STRING = 1 << 20


class Frame(NamedTuple):
    """One frame: its kind (a constant in wire) and its body."""

    kind: int
    body: bytes


class Decoder:
    """Turns a peer's bytes, in pieces of any size, into frames.

    It does not allocate by a length field: memory grows only with the bytes that arrive. Time is linear in
    the number of bytes, even if they arrive one at a time.
    """

    def __init__(self, accepts: frozenset[int]) -> None:
        """``accepts`` is the set of frame kinds that this side may receive."""
        self._accepts = accepts
        self._buffer = bytearray()
        self._greeted = False
        self._header: tuple[int, int] | None = None
        self._error: str | None = None

    @property
    def is_empty(self) -> bool:
        """Whether no bytes are pending, not even a part of a frame."""
        return not self._buffer

    def feed(self, data: bytes) -> Iterator[Frame]:
        """Add ``data``; returns the complete frames, in order.

        Iterating raises WireError at the first protocol violation, and on every later call.
        """
        self._buffer += data
        return self._frames()

    def _frames(self) -> Iterator[Frame]:
        while True:
            if self._error is not None:
                raise WireError(self._error)
            try:
                frame = self._next()
            except WireError as error:
                self._error = str(error)
                self._buffer.clear()
                raise
            if frame is None:
                return
            yield frame

    def _next(self) -> Frame | None:
        if not self._greeted:
            preamble = self._take(wire.PREAMBLE_SIZE)
            if preamble is None:
                return None
            wire.check_preamble(preamble)
            self._greeted = True
        if self._header is None:
            header = self._take(wire.HEADER_SIZE)
            if header is None:
                return None
            kind, length = wire.parse_header(header)
            if kind not in self._accepts:
                raise WireError(f"unexpected frame of kind {kind}")
            self._header = kind, length
        kind, length = self._header
        body = self._take(length)
        if body is None:
            return None
        self._header = None
        return Frame(kind, body)

    def _take(self, size: int) -> bytes | None:
        """The next ``size`` bytes, or None if they have not arrived yet."""
        if len(self._buffer) < size:
            return None
        taken = bytes(self._buffer[:size])
        del self._buffer[:size]  # moves the start of the bytearray, not its contents
        return taken


def encode_message(kind: int, message: Mapping[str, Any]) -> bytes:
    """A CONTROL or ANSWER frame that carries ``message``."""
    return wire.frame(kind, msgpack.packb(message, use_bin_type=True))


def decode_message(body: bytes) -> dict[str, Any]:
    """The message in the body of a CONTROL or ANSWER frame; WireError unless it is a map with text keys."""
    try:
        # Use a new unpacker each time: one that failed must not be used again (GHSA-6v7p-g79w-8964).
        message = msgpack.unpackb(
            body,
            use_list=False,
            raw=False,
            strict_map_key=True,
            max_str_len=_MAX_STRING,
            max_bin_len=_MAX_STRING,
            max_array_len=_MAX_ELEMENTS,
            max_map_len=_MAX_ELEMENTS,
            max_ext_len=0,
        )
    # msgpack raises UnpackException for a truncated value, OverflowError for a timestamp out of range, and
    # ValueError (UnicodeDecodeError included) for everything else.
    except (msgpack.UnpackException, ValueError, OverflowError) as error:
        raise WireError(f"message is not msgpack: {error}") from error
    if not isinstance(message, dict) or not all(isinstance(key, str) for key in message):
        raise WireError("message is not a map with text keys")
    return message
