# SPDX-License-Identifier: GPL-2.0-only
"""Decides how a request is answered: from memory, from the store, or by computing."""

import threading
from collections import OrderedDict
from collections.abc import Callable
from time import perf_counter_ns

from kallsyms_client.wire import HIT, STAGES, BuildRequest, How, WireError
from kallsymsd.engine import cold, entry
from kallsymsd.engine.answer import Answer
from kallsymsd.engine.key import cache_key
from kallsymsd.engine.maps import MapText, RecentMaps
from kallsymsd.engine.result import BuildResult
from kallsymsd.engine.store import Store

_WRITE = STAGES.index("write")


class Question:
    """A request together with the map it is about.

    request  what the client asked for
    map      contents of its map
    key      cache key; two questions with one key have one answer
    """

    __slots__ = ("key", "map", "request")

    def __init__(self, request: BuildRequest, contents: MapText) -> None:
        self.request = request
        self.map = contents
        self.key = cache_key(request, contents.digest)


class Engine:
    """Answers questions, each in the cheapest way that gives the right bytes."""

    def __init__(
        self,
        store: Store | None,
        compute: Callable[[BuildRequest, bytes], BuildResult] = cold.build,
        *,
        no_store: str = "",
    ) -> None:
        """``store`` keeps answers beyond this process.

        Without one, ``no_store`` says why, and they are kept in memory only.
        """
        self.store = store
        self._no_store = no_store
        self._compute = compute
        self._maps = RecentMaps()
        self._answers = _RecentAnswers()

    @property
    def problem(self) -> str:
        """Why answers are not stored, in one line; "" as long as they are."""
        return self.store.problem if self.store is not None else self._no_store

    def identify(self, request: BuildRequest, content: bytes | memoryview) -> Question:
        """The question that ``request`` is about a map with ``content``; nothing is computed yet.

        ``content`` may lie in a buffer that is used again afterwards.
        """
        return Question(request, self._maps.find(content))

    def build(self, question: Question) -> tuple[Answer, How]:
        """The answer, and how it came about this time. OSError when there is no memory file for it."""
        before = perf_counter_ns()
        answer = self._answers.get(question.key) or self._stored(question.key)
        if answer is not None:
            how = How(HIT, symbols=answer.how.symbols, steps=answer.how.steps)
            how.stages[_WRITE] = _microseconds_since(before)
            return answer, how
        answer = self._computed(question)
        if answer.ok:
            self._answers.put(question.key, answer)
        return answer, answer.how

    def keep(self, question: Question, answer: Answer, how: How) -> None:
        """Write a new answer to the store. A step of its own, because no client should wait for a disk."""
        if self.store is None or not answer.ok or how.made == HIT or answer.size > self.store.limit:
            return
        self.store.put(question.key, entry.encode(answer))

    def _stored(self, key: bytes) -> Answer | None:
        stored = self.store.get(key) if self.store is not None else None
        if stored is None:
            return None
        try:
            answer = Answer(entry.decode(stored))
        except WireError:
            return None
        self._answers.put(key, answer)
        return answer

    def _computed(self, question: Question) -> Answer:
        """A new answer; sealing it belongs to its stage "write"."""
        result = self._compute(question.request, question.map.text)
        before = perf_counter_ns()
        answer = Answer(result)
        answer.how.stages[_WRITE] += _microseconds_since(before)
        return answer


def _microseconds_since(nanoseconds: int) -> int:
    return (perf_counter_ns() - nanoseconds) // 1000


class _RecentAnswers:
    """The answers given last, as sealed memory files: a repeated request costs no copy."""

    # Memory files count as this process's memory, and each is a descriptor.
    _MAX_BYTES = 192 << 20
    _MAX_ANSWERS = 64

    def __init__(self) -> None:
        self._answers: OrderedDict[bytes, Answer] = OrderedDict()
        self._size = 0
        self._lock = threading.Lock()

    def get(self, key: bytes) -> Answer | None:
        with self._lock:
            if key in self._answers:
                self._answers.move_to_end(key)
            return self._answers.get(key)

    def put(self, key: bytes, answer: Answer) -> None:
        with self._lock:
            replaced = self._answers.pop(key, None)
            self._size += answer.size - (replaced.size if replaced is not None else 0)
            self._answers[key] = answer
            while self._size > self._MAX_BYTES or len(self._answers) > self._MAX_ANSWERS:
                _, dropped = self._answers.popitem(last=False)
                self._size -= dropped.size
