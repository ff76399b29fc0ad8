# SPDX-License-Identifier: GPL-2.0-only
"""Answers build requests in worker threads; equal requests under way share one computation."""

from __future__ import annotations

import logging
import os
import threading
import time
from time import perf_counter_ns
from typing import TYPE_CHECKING

from kallsymsd.core.dialects import exact
from kallsymsd.core.errors import InputError
from kallsymsd.protocol.wire import ELF, HIT, MAX_BODY, REPLY, How, patience
from kallsymsd.service.history import History
from kallsymsd.service.reading import UnreadableError, is_path_of, read_elf, read_map
from kallsymsd.service.ticket import Outcome, Ticket

if TYPE_CHECKING:  # loading the engine takes time; the daemon listens before that
    from collections.abc import Callable, Sequence

    from kallsymsd.engine.answer import Answer
    from kallsymsd.engine.engine import AnswerKey, Engine, Question
    from kallsymsd.engine.recentmaps import MapText
    from kallsymsd.engine.store import Store
    from kallsymsd.service.ahead.unused import Unused

_log = logging.getLogger("kallsymsd")

# Bytes of messages that fit in a reply, whatever else is in it.
_MOST_MESSAGES = MAX_BODY[REPLY] - 1024


class Builds:
    """Takes tickets to the engine.

    history  the last requests
    """

    def __init__(
        self,
        make_engine: Callable[[], Engine],
        done: Callable[[Ticket, Outcome], None],
        unused: Unused,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """``make_engine`` is called once, by the first worker that needs the engine: loading it takes time.

        done    is called from worker threads, once for each ticket
        unused  knows which answers were precomputed
        clock   tells the time of day
        """
        self._make_engine = make_engine
        self._done = done
        self._unused = unused
        self.history = History(clock)
        self._engine: Engine | None = None
        self._engine_lock = threading.Lock()
        self._running: dict[tuple[AnswerKey, bytes], list[Ticket]] = {}
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

        A ticket whose answer is being computed for another ticket joins that one. This then returns at once,
        and both are answered together.
        """
        discarded = self._serve(ticket)
        if self._engine is not None:
            self._engine.settle(discarded)

    def _serve(self, ticket: Ticket) -> int:
        """Answer a ticket; the size of its input if nothing of that is kept, else 0."""
        if ticket.cancelled:
            ticket.close()
            self._done(ticket, Outcome(None, How(), failure="the client is gone"))
            return 0
        try:
            engine = self._loaded()
            question = self._question(engine, ticket)
        except Exception as error:  # noqa: BLE001  whatever it is, the client goes on without the daemon
            self._fail(ticket, _unread(ticket, error))
            return _size(ticket.descriptor)
        finally:
            ticket.close()
        # The map's path is in messages about bad input, so equal requests have the same.
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
            told, last = self._told(outcome, tickets, last)
        # Of clients that join a precomputation, one stands for it.
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
            engine.keep(question, outcome.answer, outcome.how)
        return question.discarded

    def _told(
        self, outcome: Outcome, tickets: Sequence[Ticket], last: MapText | None
    ) -> tuple[Outcome, MapText | None]:
        """What the clients among ``tickets`` are told, and the map before theirs.

        The caller holds the lock: a client that comes later finds the answer in the engine.
        """
        if outcome.answer is None:
            return outcome, last
        precomputed = self._unused.deliver(outcome.answer, outcome.how, tickets, last)
        if precomputed is None:
            return outcome, last
        before = precomputed.before() if precomputed.before is not None else None
        return outcome._replace(how=outcome.answer.reply.how, precomputed=True), before

    def _is_first(self, ticket: Ticket, equal: tuple[AnswerKey, bytes], limit: float) -> bool:
        """Whether the ticket's answer is not being computed already; if it is, the ticket joins.

        It does not join a computation older than ``limit`` seconds: clients wait no longer than that, so
        earlier clients have left, and something is wrong.
        """
        with self._running_lock:
            tickets = self._running.setdefault(equal, [])
            age = time.monotonic() - tickets[0].began if tickets else 0.0
            if age <= limit:
                tickets.append(ticket)
                return tickets[0] is ticket
        self._fail(ticket, Outcome(None, How(), failure=f"has computed this map for {age:.0f} s already"))
        return False

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
    if ticket.predict is not None:
        return ticket.predict(ticket.descriptor)
    if ticket.request.source == ELF:
        return read_elf(ticket.descriptor, exact(ticket.request.dialect))
    return read_map(ticket.descriptor, engine.alike)


def _fitting(answer: Answer, how: How, *, is_empty: bool) -> Outcome:
    """Outcome of an answer; a failure if its messages fit in no reply: names may be as long as the map."""
    length = len(answer.reply.message)
    if length > _MOST_MESSAGES:
        return Outcome(None, How(), failure=f"the messages about this map are too long: {length} bytes")
    return Outcome(answer, how, is_empty=is_empty)


def _for_ticket(outcome: Outcome, ticket: Ticket, *, shared: bool) -> Outcome:
    """``outcome`` as this ticket's client is told it: with the time that reading its own map took."""
    own = outcome.how.plus("read", ticket.read)
    return outcome._replace(how=own, shared=shared and own.made != HIT)


def _unread(ticket: Ticket, error: Exception) -> Outcome:
    """Outcome of an input that cannot be read, or of which no map can be made."""
    if isinstance(error, UnreadableError):
        return Outcome(None, How(), failure=str(error))
    if not isinstance(error, InputError):
        return _broken(error)
    from kallsymsd.engine.answer import Answer  # noqa: PLC0415  as above
    from kallsymsd.engine.result import BuildResult  # noqa: PLC0415  likewise

    message = error.render(ticket.request.map_path)
    return Outcome(None if ticket.ahead else Answer(BuildResult.bad_input(message).reply), How())


def _broken(error: Exception) -> Outcome:
    """Outcome of a defect of ours or an exhausted machine: a line for the client, all of it for the log."""
    _log.error("a build failed", exc_info=error)
    return Outcome(None, How(), failure=f"internal error: {type(error).__name__}: {error}")
