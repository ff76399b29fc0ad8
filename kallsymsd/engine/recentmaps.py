# SPDX-License-Identifier: GPL-2.0-only
"""The last maps and their answers, in memory, for repeated requests."""

from __future__ import annotations

import threading
from collections import OrderedDict
from functools import cached_property
from typing import TYPE_CHECKING

from kallsymsd.engine.keys import digest

if TYPE_CHECKING:
    from kallsymsd.engine.answer import Answer

#: Bytes of maps and answers kept: two passes of a large kernel's link, about 11 MB each. Files that answers
#: share count for each of them, since they stay until the last one goes.
LIMIT = 24 << 20

#: Most maps kept, however small.
MOST = 400

#: Most descriptors of answers kept: each answer holds one or two, and a process has only a few thousand.
MOST_DESCRIPTORS = 2048

#: Most answers about one map. A build has two or three. A build that always names its .bin differently has
#: ever more, and must not push out the maps of other builds.
MOST_ANSWERS = 32

# Bytes compared before the rest.
_END = 4096


class MapText:
    """A map.

    text     its contents
    answers  answers about it, by kallsymsd.engine.keys.form_key
    """

    def __init__(self, text: bytes) -> None:
        self.text = text
        self.answers: dict[bytes, Answer] = {}

    @cached_property
    def digest(self) -> bytes:
        """Digest of the contents, computed on demand: it costs more than an update of the tables."""
        return digest(self.text)


class RecentMaps:
    """The most recently used maps and their answers, up to ``limit`` bytes.

    The least recently used maps are dropped first. The last map is never dropped, but its answers may be. A
    map is found by comparing, which is cheaper than any hash. While a map is in here, no other object has the
    same contents.
    """

    def __init__(self, limit: int = LIMIT, descriptors: int = MOST_DESCRIPTORS) -> None:
        self._limit = limit
        self._most_descriptors = descriptors
        self._maps: OrderedDict[MapText, int] = OrderedDict()
        self._size = 0
        self._descriptors = 0
        self._dropped: list[dict[bytes, Answer]] = []
        self._lock = threading.Lock()

    def alike(self, size: int) -> list[bytes]:
        """Contents of the maps of that many bytes, the most recently used first."""
        with self._lock:
            return [known.text for known in reversed(self._maps) if len(known.text) == size]

    def find(self, content: bytes) -> MapText:
        """The map with this ``content``: the one in memory, else a new one, which is kept."""
        # The lock is held while maps are compared: the interpreter's is held anyway, and two threads with
        # the same new map must not make two objects of it.
        with self._lock:
            known = self._known(content)
            if known is None:
                known = MapText(content)
                self._remember(known, len(known.text))
            else:
                self._remember(known, 0)
        return known

    def add(self, contents: MapText, form: bytes, answer: Answer) -> None:
        """Keep an answer about a map."""
        with self._lock:
            if contents not in self._maps:
                return
            self._drop_answer(contents, form)
            contents.answers[form] = answer
            self._descriptors += len(answer.files)
            while len(contents.answers) > MOST_ANSWERS:
                self._drop_answer(contents, next(iter(contents.answers)))
            self._remember(contents, answer.size)
            while self._descriptors > self._most_descriptors and len(contents.answers) > 1:
                self._drop_answer(contents, next(iter(contents.answers)))

    def forget(self, contents: MapText) -> None:
        """Drop a map that is not worth its memory, and its answers."""
        with self._lock:
            if contents in self._maps:
                self._drop(contents)

    def let_go(self) -> None:
        """Free dropped answers. Takes half a millisecond, so call it when no client waits."""
        with self._lock:
            dropped, self._dropped = self._dropped, []
        dropped.clear()

    def clear(self) -> None:
        """Drop all maps and answers."""
        with self._lock:
            for contents in list(self._maps):
                self._drop(contents)
            self._dropped.clear()

    def _known(self, content: bytes) -> MapText | None:
        size = len(content)
        # Where addresses moved, they moved at the map's end too: most maps differ there.
        end = content[-_END:]
        for known in reversed(self._maps):
            if len(known.text) == size and known.text.endswith(end) and known.text == content:
                return known
        return None

    def _remember(self, contents: MapText, more: int) -> None:
        """Make a map, grown by ``more`` bytes, the most recently used. The caller holds the lock."""
        self._size += more
        self._maps[contents] = self._maps.pop(contents, 0) + more
        while len(self._maps) > 1 and (
            self._size > self._limit or len(self._maps) > MOST or self._descriptors > self._most_descriptors
        ):
            self._drop(next(iter(self._maps)))

    def _drop(self, contents: MapText) -> None:
        self._size -= self._maps.pop(contents)
        self._descriptors -= sum(len(answer.files) for answer in contents.answers.values())
        self._dropped.append(contents.answers)
        contents.answers = {}

    def _drop_answer(self, contents: MapText, form: bytes) -> None:
        """Drop one answer about a map that is in here, if it has that answer."""
        answer = contents.answers.pop(form, None)
        if answer is not None:
            self._maps[contents] -= answer.size
            self._size -= answer.size
            self._descriptors -= len(answer.files)
            self._dropped.append({form: answer})
