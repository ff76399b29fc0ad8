# SPDX-License-Identifier: GPL-2.0-only
"""The cache keys: the one place that says what an answer depends on."""

import hashlib

from kallsymsd.protocol.wire import BuildRequest

#: Version of everything between a map and its answer. Raise it with every change that gives other bytes for
#: the same request, or that changes the layout of stored answers: old entries are then never found.
SCHEMA = 3

#: Bytes of a key and of a map's digest.
KEY_SIZE = 32


def digest(content: bytes | memoryview) -> bytes:
    """SHA-256 of a map's contents, 32 bytes."""
    return hashlib.sha256(content).digest()


def form_key(request: BuildRequest) -> bytes:
    """Everything but the map that the answer to ``request`` depends on; for keys in memory.

    It omits ``source`` because a map has the same answer wherever it came from, ``version`` because a daemon
    answers only clients of its own version, ``map_path`` and ``tree`` because the output does not depend on
    where the map is.
    """
    return _joined(
        bytes((request.form, request.bits, request.big_endian, request.debug, request.sysmap)),
        request.options.to_bytes(4, "little"),
        request.dialect.encode(),
        request.bin_name,
    )


def cache_key(request: BuildRequest, map_digest: bytes) -> bytes:
    """Key in the store of the answer to ``request`` for the map with ``map_digest``, 32 bytes."""
    return _hashed(b"answer", form_key(request), map_digest)


def tree_key(request: BuildRequest) -> bytes:
    """Key of the state of the request's tree, 32 bytes; each dialect and set of options has its own."""
    return _hashed(b"tree", request.tree, request.dialect.encode(), request.options.to_bytes(4, "little"))


def _hashed(*fields: bytes) -> bytes:
    return hashlib.sha256(_joined(SCHEMA.to_bytes(4, "little"), *fields)).digest()


def _joined(*fields: bytes) -> bytes:
    """The fields, each after its length, so that different lists never give the same bytes."""
    return b"".join(len(field).to_bytes(4, "little") + field for field in fields)
