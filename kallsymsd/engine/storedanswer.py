# SPDX-License-Identifier: GPL-2.0-only
"""Layout of an answer in the store: u32 length of the reply, the reply as on the wire, text, binary, map."""

from kallsymsd.engine.answer import Answer
from kallsymsd.engine.result import BuildResult
from kallsymsd.protocol.wire import OK, BuildReply, WireError


def encode(answer: Answer) -> list[bytes]:
    """``answer``, whose status is OK, for the store, in pieces."""
    reply = answer.reply(answer.how).encode()
    return [len(reply).to_bytes(4, "little"), reply, *answer.parts()]


def decode(entry: bytes | memoryview) -> BuildResult:
    """What :func:`encode` was given; WireError for anything it could not have written."""
    end = 4 + int.from_bytes(entry[:4], "little")
    reply = BuildReply.decode(bytes(entry[4:end]))
    binary_at = end + reply.text_length
    map_at = binary_at + reply.binary_length
    if reply.status != OK or map_at + reply.map_length != len(entry):
        raise WireError(f"stored answer of {len(entry)} bytes does not match its own header")
    return BuildResult(
        OK,
        reply.how,
        text=bytes(entry[end:binary_at]),
        pieces=(entry[binary_at:map_at],),
        sysmap=bytes(entry[map_at:]),
        message=reply.message,
    )
