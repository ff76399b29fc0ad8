# SPDX-License-Identifier: GPL-2.0-only
"""The part of a .bin that stays the same when only addresses change."""

import xxhash


class Front:
    """The tables of a .bin that contain no addresses. They come before the offsets.

    Tables that differ in addresses only share one Front object. A caller that keeps something derived from
    it, such as a copy in a file, can reuse that for as long as it sees the same object.

    tables  contents by table name, in the order of the .bin
    """

    __slots__ = ("__weakref__", "_begun", "tables")

    def __init__(self, tables: dict[str, bytes]) -> None:
        self.tables = tables
        self._begun = xxhash.xxh3_128()
        for data in tables.values():
            self._begun.update(data)

    def digest(self, offsets: bytes) -> str:
        """Digest in hex of the .bin made of these tables and ``offsets``: what xxh128sum(1) prints.

        It tells a changed table from the last one. It need not resist forgery: SHA-256 would cost as much as
        all the rest of the encoding.
        """
        digest = self._begun.copy()
        digest.update(offsets)
        return digest.hexdigest()
