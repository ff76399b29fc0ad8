# SPDX-License-Identifier: GPL-2.0-only
"""What of a .bin stays as it is when symbols only move."""

import xxhash


class Front:
    """The tables of a .bin that no address is in, which stand before the offsets.

    Tables of the same symbols at other addresses have the same object: whoever made something of it, such as
    a copy elsewhere, can know that by identity.

    tables  contents by the table's name, in the order of the .bin
    """

    __slots__ = ("__weakref__", "_begun", "tables")

    def __init__(self, tables: dict[str, bytes]) -> None:
        self.tables = tables
        self._begun = xxhash.xxh3_128()
        for data in tables.values():
            self._begun.update(data)

    def digest(self, offsets: bytes) -> str:
        """Digest in hex of the .bin that goes on with ``offsets``: what xxh128sum(1) prints.

        It is to tell a changed table from the last one, not to resist forgery; SHA-256 would cost as much as
        all other encoding.
        """
        digest = self._begun.copy()
        digest.update(offsets)
        return digest.hexdigest()
