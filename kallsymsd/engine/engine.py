# SPDX-License-Identifier: GPL-2.0-only
"""Decides how a request is answered: from memory, from the store, or by computing."""

import errno
import threading
from collections.abc import Callable
from time import perf_counter_ns
from typing import Protocol, TypeVar

from kallsymsd.engine import storedanswer
from kallsymsd.engine.answer import Answer, seal
from kallsymsd.engine.clear import clear
from kallsymsd.engine.keys import cache_key, form_key
from kallsymsd.engine.memoryfile import LEAST_FRONT, MOST_FRONTS, Fronts
from kallsymsd.engine.recentmaps import MOST_DESCRIPTORS, MapText, RecentMaps
from kallsymsd.engine.result import BuildResult
from kallsymsd.engine.store import Store
from kallsymsd.engine.trees import Trees, TreeSummary
from kallsymsd.protocol.wire import COLD, HIT, BuildRequest, How, WireError

_T = TypeVar("_T")

# Bytes of a map without symbols that is remembered all the same: the first pass of a link has an empty one.
_SMALL = 1 << 16
# Answers that wait for save(). In one build there are two or three; each holds descriptors.
_MOST_UNSAVED = 64
# More than any map has: all memory that is free is given back.
_EVERYTHING = 1 << 40


#: The map and what is made of it.
AnswerKey = tuple[MapText, bytes]


class Question:
    """A request together with the map it is about.

    request  what the client asked for
    map      contents of its map
    form     everything else that decides the answer
    wasted   bytes of the map, once it has turned out not to be worth keeping; else 0
    """

    __slots__ = ("form", "map", "request", "wasted")

    def __init__(self, request: BuildRequest, contents: MapText) -> None:
        self.request = request
        self.map = contents
        self.form = form_key(request)
        self.wasted = 0

    @property
    def key(self) -> AnswerKey:
        """Two questions with one key have one answer."""
        return self.map, self.form

    @property
    def stored_key(self) -> bytes:
        """Key in the store, where the map is known by its digest only."""
        return cache_key(self.request, self.map.digest)


class Computer(Protocol):
    """What computes answers: Trees, or a stand-in."""

    def knows(self, request: BuildRequest) -> bool:
        """Whether an update of the request's tree can begin at once."""

    def build(self, request: BuildRequest, contents: MapText) -> BuildResult:
        """Compute the answer to ``request`` for ``contents``."""

    def save(self) -> None:
        """Write what is known of the trees to the store."""

    def summaries(self) -> list[TreeSummary]:
        """What is in memory."""

    def forget(self, tree: bytes | None) -> int:
        """Remove what is known of ``tree`` (None: of all) from memory; of how many there was something."""

    def settle(self) -> int:
        """Need no more memory than what is known does; bytes of the map that needed more, 0 if none did."""


class Engine:
    """Answers questions, each in the cheapest way that gives the right bytes.

    In this order: an answer in memory; an update, if the tree's state is in memory (cheaper than the digest
    that finds an answer on disk); an answer on disk; an update from a state on disk; a cold run.
    """

    def __init__(
        self,
        store: Store | None,
        trees: Computer | None = None,
        *,
        no_store: str = "",
        ready: Callable[[int], None] = lambda _map_size: None,
        give_back: Callable[[int], None] = lambda _size: None,
        descriptors: int = 4 * MOST_DESCRIPTORS,
        least_front: int = LEAST_FRONT,
    ) -> None:
        """``store`` keeps answers and states beyond this process.

        Without one, ``no_store`` says why, and they are kept in memory only.

        ready        is told the bytes of each map of which a cold run was made, once that is answered
        give_back    is told the bytes of inputs that are not kept, once nothing of them is in use any more
        descriptors  that the process may have; a quarter is for answers in memory
        least_front  bytes of a front below which answers do not share it
        """
        self.store = store
        self._no_store = no_store
        self._ready = ready
        self._trees = trees if trees is not None else Trees(store)
        self._give_back = give_back
        self._wasted = 0
        self._maps = RecentMaps(descriptors=descriptors // 4)
        self._fronts = Fronts(least_front, min(MOST_FRONTS, descriptors // 8))
        self._most_unsaved = min(_MOST_UNSAVED, descriptors // 16)
        # Answers that no restart should lose, the last one of each kind in each tree.
        self._unsaved: dict[tuple[bytes, bytes], tuple[Question, Answer]] = {}
        self._lock = threading.Lock()

    @property
    def problem(self) -> str:
        """Why answers are not stored, in one line; "" as long as they are."""
        return self.store.problem if self.store is not None else self._no_store

    def alike(self, size: int) -> list[bytes]:
        """The maps of that many bytes in memory, the last one first: a new one may have the same contents."""
        return self._maps.alike(size)

    def identify(self, request: BuildRequest, content: bytes) -> Question:
        """The question that ``request`` is about a map with ``content``; nothing is computed yet."""
        return Question(request, self._maps.find(content))

    def build(self, question: Question) -> tuple[Answer, How]:
        """The answer, and how it came about this time. OSError when there is no memory file for it."""
        before = perf_counter_ns()
        answer = question.map.answers.get(question.form) or self._stored(question)
        if answer is not None:
            made = answer.reply.how
            how = How(HIT, symbols=made.symbols, steps=made.steps)
            return answer, how.plus("write", _microseconds_since(before))
        size = len(question.map.text)
        answer = None
        try:
            answer = self._computed(question)
        finally:
            if answer is not None and answer.ok and (answer.reply.how.symbols or size <= _SMALL):
                self._maps.add(question.map, question.form, answer)
            else:
                self._maps.forget(question.map)
                question.wasted = size
        return answer, answer.reply.how

    def keep(self, question: Question, answer: Answer, how: How) -> None:
        """Keep a new answer for the store, free old ones, be ready for the next: nothing a client waits for.

        What was dear to make is written at once; the rest by save(), so that a build whose passes follow
        each other within a second writes once.
        """
        self._maps.let_go()
        if how.made != HIT and (size := self._trees.settle()):
            self._waste(size)
        if how.made == COLD and answer.ok:
            self._ready(len(question.map.text))
        if self.store is None or not answer.ok or how.made == HIT or answer.size > self.store.limit:
            return
        with self._lock:
            self._unsaved[question.request.tree, question.form] = question, answer
            if len(self._unsaved) > self._most_unsaved:
                del self._unsaved[next(iter(self._unsaved))]
        if how.made == COLD:
            self.save()

    def settle(self, wasted: int = 0) -> None:
        """Give back memory that is not needed any more; to be called when nothing of a request is in use.

        ``wasted`` is the size of its input if that is not kept.
        """
        if wasted or self._wasted:
            with self._lock:
                size, self._wasted = max(wasted, self._wasted), 0
            self._trees.settle()
            self._give_back(size)

    def _waste(self, size: int) -> None:
        with self._lock:
            self._wasted = max(self._wasted, size)

    def spare(self) -> None:
        """Forget answers in memory, but for those that are just being sent: there are no descriptors left."""
        with self._lock:
            self._unsaved.clear()
        self._maps.clear()

    def save(self) -> None:
        """Write to the store what is not in it yet. To be called every few seconds, and at the end.

        What cannot be stored yet waits for the next time.
        """
        if self.store is not None and self.store.is_opening:
            return
        with self._lock:
            unsaved = list(self._unsaved.values())
            self._unsaved.clear()
        if self.store is not None:
            for question, answer in unsaved:
                self.store.put(question.stored_key, *storedanswer.encode(answer))
        self._trees.save()

    def summaries(self) -> list[TreeSummary]:
        """The trees in memory, that used last first."""
        return self._trees.summaries()

    def forget(self, tree: bytes | None) -> int:
        """Remove from memory what is known of ``tree`` (None: of all); how many states there were.

        All maps and answers in memory go, too; what is stored stays.
        """
        with self._lock:
            self._unsaved = {
                key: value for key, value in self._unsaved.items() if tree is not None and key[0] != tree
            }
        self._maps.clear()
        self._waste(_EVERYTHING)
        return self._trees.forget(tree)

    def clear_store(self, tree: bytes | None) -> None:
        """Remove what is stored of ``tree`` (None: everything)."""
        if self.store is not None:
            clear(self.store, tree)
        self.settle()  # as forget() comes before

    def _stored(self, question: Question) -> Answer | None:
        if self.store is None or self._trees.knows(question.request):
            return None
        stored = self.store.get(question.stored_key)
        if stored is None:
            return None
        try:
            answer = self._sparing(lambda: storedanswer.decode(stored))
        except WireError:
            self.store.reject(question.stored_key)
            return None
        self._maps.add(question.map, question.form, answer)
        return answer

    def _computed(self, question: Question) -> Answer:
        """A new answer; sealing it belongs to its stage "write"."""
        result = self._trees.build(question.request, question.map)
        before = perf_counter_ns()
        files = self._sparing(lambda: seal(result, self._fronts))
        timed = result._replace(how=result.how.plus("write", _microseconds_since(before)))
        return Answer(timed.reply, files, timed.changed)

    def _sparing(self, make: Callable[[], _T]) -> _T:
        """What ``make`` makes; other answers are given up for it if there is no descriptor left."""
        try:
            return make()
        except OSError as error:
            if error.errno not in (errno.EMFILE, errno.ENFILE):
                raise
        self.spare()
        return make()


def _microseconds_since(nanoseconds: int) -> int:
    return (perf_counter_ns() - nanoseconds) // 1000
