# SPDX-License-Identifier: GPL-2.0-only
"""Any bytes are frames or a WireError, however they are cut."""

import tracemalloc
from itertools import pairwise

import msgpack
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from kallsymsd.protocol import wire
from kallsymsd.protocol.codec import Decoder, Frame, decode_message, encode_message
from kallsymsd.protocol.wire import WireError

ALL = frozenset(wire.MAX_BODY)

frames = st.lists(
    st.tuples(st.sampled_from(sorted(ALL - {wire.HEARTBEAT})), st.binary(max_size=300))
    | st.just((wire.HEARTBEAT, b"")),
    max_size=6,
)


def stream(contents: list[tuple[int, bytes]]) -> bytes:
    """What a peer sends that sends these frames, written down as docs/protocol.md has it."""
    data = b"KSYM\x04\x00\x00\x00"
    for kind, body in contents:
        data += kind.to_bytes(4, "little") + len(body).to_bytes(4, "little") + body
    return data


def decoded(pieces: list[bytes], accepts: frozenset[int] = ALL) -> tuple[list[Frame], str]:
    """All frames up to the end or the error, and the error."""
    decoder, found = Decoder(accepts), []
    try:
        for piece in pieces:
            for frame in decoder.feed(piece):
                found.append(frame)  # noqa: PERF402  the frames before an error count
    except WireError as error:
        return found, str(error)
    return found, ""


def cut(data: bytes, places: list[int]) -> list[bytes]:
    edges = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[start:end] for start, end in pairwise(edges)]


@given(frames)
def test_frames_arrive_as_they_were_sent(contents: list[tuple[int, bytes]]) -> None:
    assert decoded([stream(contents)]) == (contents, "")


@given(frames)
def test_frames_arrive_byte_by_byte(contents: list[tuple[int, bytes]]) -> None:
    assert decoded([bytes([byte]) for byte in stream(contents)]) == (contents, "")


@given(frames, st.lists(st.integers(0, 5000)))
def test_frames_arrive_in_any_pieces(contents: list[tuple[int, bytes]], places: list[int]) -> None:
    assert decoded(cut(stream(contents), places)) == (contents, "")


@given(st.binary(max_size=400))
@example(b"KSYM\x04\x00\x00\x00")
@example(b"KSYM\x04\x00\x00\x00\xff\xff\xff\xff\xff\xff\xff\xff")
def test_any_bytes_are_frames_or_an_error_and_cutting_changes_nothing(data: bytes) -> None:
    assert decoded([data]) == decoded([bytes([byte]) for byte in data])


@given(frames, st.data())
def test_a_changed_byte_is_frames_or_an_error(contents: list[tuple[int, bytes]], data: st.DataObject) -> None:
    changed = bytearray(stream(contents))
    changed[data.draw(st.integers(0, len(changed) - 1))] = data.draw(st.integers(0, 255))
    whole = decoded([bytes(changed)])
    assert whole == decoded([bytes([byte]) for byte in changed])


@pytest.mark.parametrize(
    "data",
    [
        b"KSYN\x01\x00\x00\x00",
        b"KSYM\x02\x00\x00\x00",
        b"KSYM\x05\x00\x00\x00",
        b"GET / HTTP/1.1\r\n",
        stream([(8, b"")]),
        stream([(0, b"")]),
        stream([(wire.HEARTBEAT, b"x")]),
        stream([(wire.BUILD, b"")])[:-4] + (wire.MAX_BODY[wire.BUILD] + 1).to_bytes(4, "little"),
        stream([(wire.CONTROL, b"")])[:-4] + b"\xff\xff\xff\xff",
    ],
)
def test_leaving_the_protocol_is_an_error_from_then_on(data: bytes) -> None:
    decoder = Decoder(ALL)
    for more in (data, b"", stream([(wire.BUILD, b"")])):
        with pytest.raises(WireError):
            list(decoder.feed(more))


def test_a_body_of_the_greatest_length_is_taken() -> None:
    contents = [(wire.BUILD, bytes(wire.MAX_BODY[wire.BUILD]))]
    assert decoded([stream(contents)]) == (contents, "")


def test_frames_before_an_error_are_given_out() -> None:
    found, error = decoded([stream([(wire.BUILD, b"one"), (wire.CONTROL, b"two"), (99, b"")])])
    assert found == [(wire.BUILD, b"one"), (wire.CONTROL, b"two")]
    assert "99" in error


def test_a_kind_that_this_side_does_not_take_is_refused_before_its_body_comes() -> None:
    decoder = Decoder(frozenset({wire.BUILD}))
    header_only = stream([(wire.REPLY, bytes(1000))])[: wire.PREAMBLE_SIZE + wire.HEADER_SIZE]
    with pytest.raises(WireError, match="kind 2"):
        list(decoder.feed(header_only))


def test_nothing_is_allocated_on_the_word_of_a_length_field() -> None:
    decoder = Decoder(ALL)
    largest = wire.MAX_BODY[wire.REPLY]
    tracemalloc.start()
    try:
        header = wire.REPLY.to_bytes(4, "little") + largest.to_bytes(4, "little")
        assert list(decoder.feed(b"KSYM\x04\x00\x00\x00" + header + bytes(100))) == []
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < largest // 100


# Control messages.

plain = st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | st.text()
values = st.recursive(plain, lambda inner: st.dictionaries(st.text(), inner, max_size=4), max_leaves=10)


@given(st.dictionaries(st.text(), values, max_size=5))
def test_a_message_arrives_as_it_was_sent(message: dict[str, object]) -> None:
    ((kind, body),), error = decoded([b"KSYM\x04\x00\x00\x00" + encode_message(wire.CONTROL, message)])
    assert (kind, decode_message(body), error) == (wire.CONTROL, message, "")


@given(st.binary(max_size=300))
@example(b"")
@example(b"\xc1")
@example(b"\x81\x90\x01")  # an array as key
@example(b"\x81\x01\x02")  # a number as key
@example(b"\x81\xa1\xff\x01")  # a key that is not UTF-8
@example(b"\xdf\xff\xff\xff\xff")  # 4 billion pairs
@example(b"\xdd\xff\xff\xff\xff")  # 4 billion elements
@example(b"\xc6\xff\xff\xff\xff")  # 4 billion bytes
@example(b"\x91" * 10_000)
@example(b"\x81\xa1a\xd7\xff" + b"\xff" * 8)  # a time out of range
@example(b"\x81\xa1a\xc7\x0c\xff" + b"\xff" * 12)
@example(b"\x81\xa1a\xd6\x01\x00\x00\x00\x00")  # an extension type
def test_any_bytes_are_a_message_or_an_error(data: bytes) -> None:
    try:
        message = decode_message(data)
    except WireError:
        return
    assert all(isinstance(key, str) for key in message)


@pytest.mark.parametrize("value", [None, 1, "text", [], [{"command": "stop"}], {b"command": 1}, {1: 2}])
def test_a_message_is_a_map_with_text_keys(value: object) -> None:
    with pytest.raises(WireError):
        decode_message(msgpack.packb(value))


def test_arrays_arrive_as_tuples_and_cannot_be_changed() -> None:
    assert decode_message(msgpack.packb({"a": [1, [2]]})) == {"a": (1, (2,))}
