# SPDX-License-Identifier: GPL-2.0-only
"""Serves build requests in worker threads; equal ones under way share one computation."""

from __future__ import annotations

import logging
import os
import threading
import time
from time import perf_counter_ns
from typing import TYPE_CHECKING, NamedTuple
from weakref import WeakKeyDictionary, ref

from kallsymsd.core.dialects import exact
from kallsymsd.core.errors import InputError
from kallsymsd.protocol.paths import path_text
from kallsymsd.protocol.wire import ELF, HIT, MAX_BODY, REPLY, STAGES, BuildRequest, How, patience
from kallsymsd.service.history import History
from kallsymsd.service.reading import UnreadableError, is_path_of, read_elf, read_map

if TYPE_CHECKING:  # loading the engine takes time; the daemon listens before that
    from collections.abc import Callable

    from kallsymsd.engine.answer import Answer
    from kallsymsd.engine.engine import AnswerKey, Engine, Question
    from kallsymsd.engine.recentmaps import MapText
    from kallsymsd.engine.store import Store

_log = logging.getLogger("kallsymsd")

_READ = STAGES.index("read")
# Bytes of messages that fit in a reply, whatever else is in it.
_MOST_MESSAGES = MAX_BODY[REPLY] - 1024


class Ticket:
    """One client's request on its way; or work ahead of one that may come.

    request     what it asked for
    descriptor  its map, ours to close
    began       when it came, in seconds of the loop's clock
    path        the map's path, once that is proved to be the map's; "" until then
    ahead       no client has asked yet
    foretell    makes the map's text before the map is there; the descriptor is of another file, or -1
    cancelled   the client is gone; set by the loop, read by workers
    read        microseconds that reading the map took
    """

    __slots__ = ("ahead", "began", "cancelled", "descriptor", "foretell", "path", "read", "request")

    def __init__(
        self,
        request: BuildRequest,
        descriptor: int,
        began: float,
        *,
        path: str = "",
        ahead: bool = False,
        foretell: Callable[[int], bytes] | None = None,
    ) -> None:
        self.request = request
        self.descriptor = descriptor
        self.began = began
        self.path = path
        self.ahead = ahead
        self.foretell = foretell
        self.cancelled = False
        self.read = 0

    @property
    def label(self) -> str:
        """The map, for a person."""
        return path_text(os.fsencode(self.path)) or "a map"

    def close(self) -> None:
        """Close the map."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1


class Outcome(NamedTuple):
    """What became of a ticket: an answer, or a line of text that says why there is none.

    how       how the answer was made for this client; ready if that was done, or begun, before anybody asked
    shared    the computation is another ticket's
    is_empty  there are tables of no symbol at all: the first pass of a link since v6.11
    """

    answer: Answer | None
    how: How
    failure: str = ""
    shared: bool = False
    is_empty: bool = False


class Builds:
    """Takes tickets to the engine.

    history  the last requests
    """

    def __init__(self, make_engine: Callable[[], Engine], done: Callable[[Ticket, Outcome], None]) -> None:
        """``make_engine`` is called once, by the first worker that needs it: loading it takes time.

        ``done`` is called from worker threads, once for each ticket.
        """
        self._make_engine = make_engine
        self._done = done
        self.history = History()
        self._engine: Engine | None = None
        self._engine_lock = threading.Lock()
        self._running: dict[tuple[AnswerKey, bytes], list[Ticket]] = {}
        # Of answers made ahead that no client has had yet: the map before theirs.
        self._before: WeakKeyDictionary[Answer, ref[MapText]] = WeakKeyDictionary()
        self._running_lock = threading.Lock()

    def warm_up(self) -> None:
        """Load the engine, and what reads linked kernels, before anybody waits for it."""
        self._loaded()
        import kallsymsd.elf.vmlinux  # noqa: F401, PLC0415  reading does, at the first one

    @property
    def engine(self) -> Engine | None:
        """The engine, once it is loaded."""
        return self._engine

    @property
    def store(self) -> Store | None:
        """The store, once the engine is loaded, if it has one."""
        return self._engine.store if self._engine is not None else None

    def serve(self, ticket: Ticket) -> None:
        """Answer a ticket; a worker's job.

        A ticket that finds its answer being computed for another is answered together with that one, and
        this returns at once.
        """
        wasted = self._serve(ticket)
        if self._engine is not None:
            self._engine.settle(wasted)

    def _serve(self, ticket: Ticket) -> int:
        """Answer a ticket; the size of its input if nothing of that is kept, else 0."""
        if ticket.cancelled:
            ticket.close()
            self._done(ticket, Outcome(None, How(), failure="the client is gone"))
            return 0
        try:
            engine = self._loaded()
            question = self._question(engine, ticket)
        except Exception as error:  # noqa: BLE001  whatever it is, the client goes on without us
            self._fail(ticket, _unread(ticket, error))
            return _size(ticket.descriptor)
        finally:
            ticket.close()
        # The map's path is in messages about bad input, so it is part of being equal.
        equal = question.key, ticket.request.map_path
        if not self._is_first(ticket, equal, patience(len(question.map.text))):
            return 0
        last = self.history.last_map(ticket.request, question.map)
        try:
            answer, how = engine.build(question)
            outcome = _fitting(answer, how, is_empty=answer.ok and not question.map.text)
        except Exception as error:  # noqa: BLE001  as above
            outcome = _broken(error)
        with self._running_lock:
            tickets = self._running.pop(equal)
            told, last = self._claim(outcome, tickets, last)
        # Of clients that join work ahead, one stands for it.
        owners = (
            ticket,
            next((each for each in tickets if not each.ahead), ticket) if ticket.ahead else ticket,
        )
        outcomes = [_for_ticket(told, waiting, shared=waiting not in owners) for waiting in tickets]
        # Before the loop is told: it would wait for the interpreter until this thread waits for something.
        for waiting, own in zip(tickets, outcomes, strict=True):
            if not waiting.ahead:
                self.history.add(waiting, own, question.map, last)
        for waiting, own in zip(tickets, outcomes, strict=True):
            self._done(waiting, own)
        # Nobody waits for the rest.
        if outcome.answer is not None:
            # What had been made ahead is kept once more: from now on it is a hit.
            how = told.how if outcome.how.made == HIT else outcome.how
            engine.keep(question, outcome.answer, how)
        return question.wasted

    def _is_first(self, ticket: Ticket, equal: tuple[AnswerKey, bytes], limit: float) -> bool:
        """Whether the ticket's answer is not being computed already; if it is, it joins that computation.

        It does not join one that is older than ``limit`` seconds: clients wait no longer than that, so those
        that came before have left, and something is wrong.
        """
        with self._running_lock:
            tickets = self._running.setdefault(equal, [])
            age = time.monotonic() - tickets[0].began if tickets else 0.0
            if age <= limit:
                tickets.append(ticket)
                return tickets[0] is ticket
        self._fail(ticket, Outcome(None, How(), failure=f"has computed this map for {age:.0f} s already"))
        return False

    def _claim(
        self, outcome: Outcome, tickets: list[Ticket], last: MapText | None
    ) -> tuple[Outcome, MapText | None]:
        """What clients among ``tickets`` are told, and the map before theirs.

        Work that was done ahead is told of as that, the first time; it is a hit from then on. The answer
        itself carries the mark, also through the store. The caller holds the lock, so that no client comes
        between an answer's making and its mark.
        """
        answer, how = outcome.answer, outcome.how
        if answer is None or all(each.ahead for each in tickets):
            if answer is not None and how.made != HIT:
                outcome = outcome._replace(how=_copy(how, ready=False))
                answer.how.ready = answer.ok
                if last is not None:
                    self._before[answer] = ref(last)
            return outcome, last
        if how.made != HIT:
            return outcome._replace(how=_copy(how, ready=tickets[0].ahead)), last
        if answer.how.ready:
            outcome = outcome._replace(how=_copy(answer.how, ready=True))
            answer.how.ready = False
            before = self._before.pop(answer, None)
            last = before() if before is not None else None
        return outcome, last

    def _fail(self, ticket: Ticket, outcome: Outcome) -> None:
        self._done(ticket, outcome)
        if not ticket.ahead:
            self.history.add(ticket, outcome)

    def _loaded(self) -> Engine:
        with self._engine_lock:
            if self._engine is None:
                self._engine = self._make_engine()
            return self._engine

    def _question(self, engine: Engine, ticket: Ticket) -> Question:
        before = perf_counter_ns()
        if not ticket.path and is_path_of(ticket.request.map_path, ticket.descriptor):
            ticket.path = os.fsdecode(ticket.request.map_path)
        content = _read(ticket, engine)
        question = engine.identify(ticket.request, content)
        ticket.read = (perf_counter_ns() - before) // 1000
        return question


def _size(descriptor: int) -> int:
    """Bytes of an input that could not be read; 0 if that is not known."""
    try:
        return os.fstat(descriptor).st_size
    except OSError:
        return 0


def _read(ticket: Ticket, engine: Engine) -> bytes:
    """The map that the ticket is about."""
    if ticket.foretell is not None:
        return ticket.foretell(ticket.descriptor)
    if ticket.request.source == ELF:
        return read_elf(ticket.descriptor, exact(ticket.request.dialect))
    return read_map(ticket.descriptor, engine.alike)


def _fitting(answer: Answer, how: How, *, is_empty: bool) -> Outcome:
    """Outcome of an answer; none if its messages fit in no reply: names may be as long as the map."""
    length = len(answer.message)
    if length > _MOST_MESSAGES:
        return Outcome(None, How(), failure=f"the messages about this map are too long: {length} bytes")
    return Outcome(answer, how, is_empty=is_empty)


def _for_ticket(outcome: Outcome, ticket: Ticket, *, shared: bool) -> Outcome:
    """``outcome`` as this ticket's client is told it: with the time its own map took to read."""
    own = _copy(outcome.how, ready=outcome.how.ready)
    own.stages[_READ] += ticket.read
    return outcome._replace(how=own, shared=shared and own.made != HIT)


def _copy(how: How, *, ready: bool) -> How:
    return How(
        how.made,
        ready=ready,
        symbols=how.symbols,
        changed=how.changed,
        kept=how.kept,
        steps=how.steps,
        stages=list(how.stages),
    )


def _unread(ticket: Ticket, error: Exception) -> Outcome:
    """Outcome of an input that cannot be read, or of which no map can be made."""
    if isinstance(error, UnreadableError):
        return Outcome(None, How(), failure=str(error))
    if not isinstance(error, InputError):
        return _broken(error)
    from kallsymsd.engine.answer import Answer  # noqa: PLC0415  as above
    from kallsymsd.engine.result import BuildResult  # noqa: PLC0415  likewise

    message = error.render(ticket.request.map_path)
    return Outcome(None if ticket.ahead else Answer(BuildResult.bad_input(message)), How())


def _broken(error: Exception) -> Outcome:
    """Outcome of a defect of ours or an exhausted machine: a line for the client, all of it for the log."""
    _log.error("a build failed", exc_info=error)
    return Outcome(None, How(), failure=f"internal error: {type(error).__name__}: {error}")
