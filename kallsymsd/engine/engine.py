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

# Largest map without symbols that is kept, in bytes: the first pass of a link has an empty map.
_SMALL = 1 << 16
# Most answers that wait for save(). A build has two or three; each holds descriptors.
_MOST_UNSAVED = 64
# More than any map has, so that all free memory is given back.
_EVERYTHING = 1 << 40


#: The map, and everything else that the answer depends on.
AnswerKey = tuple[MapText, bytes]


class Question:
    """A request and its map.

    request    what the client asks for
    map        its map
    form       everything else that the answer depends on
    discarded  bytes of the map if it turned out not to be worth keeping, else 0
    """

    __slots__ = ("discarded", "form", "map", "request")

    def __init__(self, request: BuildRequest, contents: MapText) -> None:
        self.request = request
        self.map = contents
        self.form = form_key(request)
        self.discarded = 0

    @property
    def key(self) -> AnswerKey:
        """Questions with the same key have the same answer."""
        return self.map, self.form

    @property
    def stored_key(self) -> bytes:
        """Key in the store, where a map is known only by its digest."""
        return cache_key(self.request, self.map.digest)


class Computer(Protocol):
    """What computes answers: Trees, or a stand-in in tests."""

    def knows(self, request: BuildRequest) -> bool:
        """Whether the state of the request's tree is in memory."""

    def build(self, request: BuildRequest, contents: MapText) -> BuildResult:
        """Compute the answer to ``request`` for ``contents``."""

    def save(self) -> None:
        """Write changed states to the store."""

    def summaries(self) -> list[TreeSummary]:
        """The states in memory."""

    def forget(self, tree: bytes | None) -> int:
        """Remove the states of ``tree`` (None: of all trees) from memory; their number."""

    def settle(self) -> int:
        """Fit memory to the states; bytes of the map that needed more, 0 if none did."""


class Engine:
    """Answers questions, each in the cheapest way that gives the right bytes.

    In this order: an answer in memory; an update, if the tree's state is in memory (cheaper than the digest
    that an answer on disk is found by); an answer on disk; an update of a state on disk; a cold run.
    """

    def __init__(
        self,
        store: Store | None,
        trees: Computer | None = None,
        *,
        no_store: str = "",
        prepare: Callable[[int], None] = lambda _map_size: None,
        give_back: Callable[[int], None] = lambda _size: None,
        descriptors: int = 4 * MOST_DESCRIPTORS,
        least_front: int = LEAST_FRONT,
    ) -> None:
        """``store`` keeps answers and states across restarts.

        Without a store they are kept in memory only; ``no_store`` says why there is none.

        prepare      is called with the bytes of the map after each cold run, once its client has the answer
        give_back    is called with the bytes of an input that is not kept, once it is no longer in use
        descriptors  most descriptors of the process; a quarter is for answers in memory
        least_front  smallest front that answers share, in bytes
        """
        self.store = store
        self._no_store = no_store
        self._prepare = prepare
        self._trees = trees if trees is not None else Trees(store)
        self._give_back = give_back
        self._discarded = 0
        self._maps = RecentMaps(descriptors=descriptors // 4)
        self._fronts = Fronts(least_front, min(MOST_FRONTS, descriptors // 8))
        self._most_unsaved = min(_MOST_UNSAVED, descriptors // 16)
        # Answers that are not stored yet, the last one of each form in each tree.
        self._unsaved: dict[tuple[bytes, bytes], tuple[Question, Answer]] = {}
        self._lock = threading.Lock()

    @property
    def problem(self) -> str:
        """Why answers are not stored, in one line; "" if they are."""
        return self.store.problem if self.store is not None else self._no_store

    def alike(self, size: int) -> list[bytes]:
        """Contents of the maps of that many bytes in memory, the most recently used first."""
        return self._maps.alike(size)

    def identify(self, request: BuildRequest, content: bytes) -> Question:
        """The question of ``request`` about a map with ``content``; nothing is computed yet."""
        return Question(request, self._maps.find(content))

    def build(self, question: Question) -> tuple[Answer, How]:
        """The answer, and how it was made this time. OSError without memory or descriptors for it."""
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
                question.discarded = size
        return answer, answer.reply.how

    def keep(self, question: Question, answer: Answer, how: How) -> None:
        """Store a new answer, free old ones, prepare for the next request. To be called after the reply.

        The result of a cold run is written at once. The rest is left to save(), so that a build whose passes
        follow each other within a second writes once.
        """
        self._maps.let_go()
        if how.made != HIT and (size := self._trees.settle()):
            self._discard(size)
        if how.made == COLD and answer.ok:
            self._prepare(len(question.map.text))
        if self.store is None or not answer.ok or how.made == HIT or answer.size > self.store.limit:
            return
        with self._lock:
            self._unsaved[question.request.tree, question.form] = question, answer
            if len(self._unsaved) > self._most_unsaved:
                del self._unsaved[next(iter(self._unsaved))]
        if how.made == COLD:
            self.save()

    def settle(self, discarded: int = 0) -> None:
        """Give back memory that is no longer needed. To be called when nothing of a request is in use.

        ``discarded`` is the size of the request's input if it is not kept.
        """
        if discarded or self._discarded:
            with self._lock:
                size, self._discarded = max(discarded, self._discarded), 0
            self._trees.settle()
            self._give_back(size)

    def _discard(self, size: int) -> None:
        with self._lock:
            self._discarded = max(self._discarded, size)

    def spare(self) -> None:
        """Drop all answers in memory except those being sent: descriptors have run out."""
        with self._lock:
            self._unsaved.clear()
        self._maps.clear()

    def save(self) -> None:
        """Write to the store what is not in it yet. To be called every few seconds, and at the end.

        While the store is not open, everything waits for the next call.
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
        """The states in memory, the one used last first."""
        return self._trees.summaries()

    def forget(self, tree: bytes | None) -> int:
        """Remove the states of ``tree`` (None: of all trees) from memory; their number.

        All maps and answers in memory go too. What is stored stays.
        """
        with self._lock:
            self._unsaved = {
                key: value for key, value in self._unsaved.items() if tree is not None and key[0] != tree
            }
        self._maps.clear()
        self._discard(_EVERYTHING)
        return self._trees.forget(tree)

    def clear_store(self, tree: bytes | None) -> None:
        """Remove the stored states of ``tree``; None: everything that is stored."""
        if self.store is not None:
            clear(self.store, tree)
        self.settle()  # forget() was called before

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
        """A new answer; sealing it counts to the stage "write"."""
        result = self._trees.build(question.request, question.map)
        before = perf_counter_ns()
        files = self._sparing(lambda: seal(result, self._fronts))
        timed = result._replace(how=result.how.plus("write", _microseconds_since(before)))
        return Answer(timed.reply, files, timed.changed)

    def _sparing(self, make: Callable[[], _T]) -> _T:
        """What ``make`` returns; if descriptors run out, after dropping other answers."""
        try:
            return make()
        except OSError as error:
            if error.errno not in (errno.EMFILE, errno.ENFILE):
                raise
        self.spare()
        return make()


def _microseconds_since(nanoseconds: int) -> int:
    return (perf_counter_ns() - nanoseconds) // 1000
