# SPDX-License-Identifier: GPL-2.0-only
"""The cache key: the one place that says what decides an answer."""

import hashlib

from kallsyms_client.wire import BuildRequest

#: Version of everything between a map and its answer. Raise it with every change that makes other bytes of
#: the same request, or that stores answers in another layout: old entries then are never found again.
SCHEMA = 1

#: Bytes of a key and of a map's digest.
KEY_SIZE = 32


def digest(content: bytes | memoryview) -> bytes:
    """SHA-256 of a map's contents, 32 bytes."""
    return hashlib.sha256(content).digest()


def cache_key(request: BuildRequest, map_digest: bytes) -> bytes:
    """Key of the answer to ``request`` for the map with ``map_digest``, 32 bytes.

    Covers every field that decides the output. ``version`` is left out because a daemon only answers clients
    of its own version, ``map_path`` and ``tree`` because the output does not depend on where the map lies.
    """
    fields = (
        SCHEMA.to_bytes(4, "little"),
        bytes((request.form, request.bits, request.big_endian, request.debug)),
        request.options.to_bytes(4, "little"),
        request.dialect.encode(),
        request.bin_name,
        map_digest,
    )
    hashed = hashlib.sha256()
    for field in fields:
        # Each length goes in front, so that no two different requests give the same stream of bytes.
        hashed.update(len(field).to_bytes(4, "little"))
        hashed.update(field)
    return hashed.digest()
