# SPDX-License-Identifier: GPL-2.0-only
"""The last maps, in memory: comparing with one is cheaper than any hash, and makes no new copy."""

import threading
from collections import OrderedDict

from kallsymsd.engine.key import digest

#: Bytes of maps kept. A link has up to three different maps of about 7 MB; this is some trees' worth.
LIMIT = 128 << 20


class MapText:
    """Contents of a map, with their digest (see :func:`kallsymsd.engine.key.digest`)."""

    __slots__ = ("digest", "text")

    def __init__(self, text: bytes, digest: bytes) -> None:
        self.text = text
        self.digest = digest


class RecentMaps:
    """The most recently seen maps up to ``limit`` bytes; least recently seen ones are dropped first."""

    def __init__(self, limit: int = LIMIT) -> None:
        self._limit = limit
        self._maps: OrderedDict[bytes, MapText] = OrderedDict()
        self._size = 0
        self._lock = threading.Lock()

    def find(self, content: bytes | memoryview) -> MapText:
        """The map with this ``content``: the one in memory, else a new one, which is remembered.

        ``content`` may lie in a buffer that is used again afterwards.
        """
        known = self._known(content)
        if known is None:
            known = MapText(bytes(content), digest(content))
        self._remember(known)
        return known

    def _known(self, content: bytes | memoryview) -> MapText | None:
        size = len(content)
        with self._lock:
            candidates = [known for known in self._maps.values() if len(known.text) == size]
        for known in reversed(candidates):
            # startswith is a memcmp for any buffer; "==" between bytes and memoryview goes item by item.
            if known.text.startswith(content):
                return known
        return None

    def _remember(self, known: MapText) -> None:
        if len(known.text) > self._limit:
            return
        with self._lock:
            if known.digest not in self._maps:
                self._maps[known.digest] = known
                self._size += len(known.text)
            self._maps.move_to_end(known.digest)
            while self._size > self._limit:
                _, dropped = self._maps.popitem(last=False)
                self._size -= len(dropped.text)
