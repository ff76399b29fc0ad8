# SPDX-License-Identifier: GPL-2.0-only
"""The last maps, in memory: comparing with one is cheaper than any hash, and makes no new copy."""

import threading
from collections import OrderedDict
from functools import cached_property

from kallsymsd.engine.key import digest

#: Bytes of maps kept. A link has up to three different maps of about 7 MB; states of trees keep their own.
LIMIT = 32 << 20


class MapText:
    """Contents of a map. As long as RecentMaps knows it, no other object has the same contents."""

    def __init__(self, text: bytes) -> None:
        self.text = text

    @cached_property
    def digest(self) -> bytes:
        """Digest of the contents, made on demand: it costs more than an update of the tables."""
        return digest(self.text)


class RecentMaps:
    """The most recently seen maps up to ``limit`` bytes; least recently seen ones are dropped first."""

    def __init__(self, limit: int = LIMIT) -> None:
        self._limit = limit
        self._maps: OrderedDict[MapText, None] = OrderedDict()
        self._size = 0
        self._lock = threading.Lock()

    def find(self, content: bytes | memoryview) -> MapText:
        """The map with this ``content``: the one in memory, else a new one, which is remembered.

        ``content`` may lie in a buffer that is used again afterwards.
        """
        # The lock is held while maps are compared and copied: the interpreter's is anyway, and two threads
        # with the same new map must not make two of it.
        with self._lock:
            known = self._known(content) or MapText(bytes(content))
            self._remember(known)
        return known

    def _known(self, content: bytes | memoryview) -> MapText | None:
        size = len(content)
        for known in reversed(self._maps):
            # startswith is a memcmp for any buffer; "==" between bytes and memoryview goes item by item.
            if len(known.text) == size and known.text.startswith(content):
                return known
        return None

    def _remember(self, known: MapText) -> None:
        if len(known.text) > self._limit:
            return
        if known not in self._maps:
            self._maps[known] = None
            self._size += len(known.text)
        self._maps.move_to_end(known)
        while self._size > self._limit:
            dropped, _ = self._maps.popitem(last=False)
            self._size -= len(dropped.text)
