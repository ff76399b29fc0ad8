# SPDX-License-Identifier: GPL-2.0-only
"""Layout of an answer in the store: u32 length of the reply, the reply as on the wire, text, binary, map."""

from kallsymsd.engine.answer import Answer
from kallsymsd.engine.memoryfile import MemoryFile
from kallsymsd.protocol.wire import OK, BuildReply, WireError


def encode(answer: Answer) -> list[bytes]:
    """``answer``, whose status is OK, for the store, in pieces."""
    reply = answer.reply.encode()
    return [len(reply).to_bytes(4, "little"), reply, *answer.parts()]


def decode(entry: bytes | memoryview) -> Answer:
    """What :func:`encode` was given, sealed again; WireError for anything it could not have written.

    OSError when there is no memory or descriptor for it.
    """
    end = 4 + int.from_bytes(entry[:4], "little")
    reply = BuildReply.decode(bytes(entry[4:end]))
    if reply.status != OK or end + reply.length != len(entry):
        raise WireError(f"stored answer of {len(entry)} bytes does not match its own header")
    return Answer(reply, (MemoryFile((entry[end:],)),))
