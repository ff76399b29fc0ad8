# SPDX-License-Identifier: GPL-2.0-only
"""The loop: takes requests, makes sure that each is answered in time, and ends cleanly.

A plain epoll loop, not asyncio: asyncio's streams cannot receive descriptors, so it would need add_reader and
recvmsg anyway, and takes seven times as long to import. The socket has to be there at once.
"""

import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from kallsymsd.core.dialects import exact
from kallsymsd.protocol import wire
from kallsymsd.protocol.codec import Frame, decode_message, encode_message
from kallsymsd.protocol.wire import BuildRequest, WireError
from kallsymsd.service import waiting
from kallsymsd.service.ahead.directories import MOST_TREES
from kallsymsd.service.ahead.precompute import Precomputer
from kallsymsd.service.ahead.unused import Unused
from kallsymsd.service.ahead.watcher import Watcher
from kallsymsd.service.builds import Builds
from kallsymsd.service.connection import Connection
from kallsymsd.service.control import Control
from kallsymsd.service.hub import MOST_CONNECTIONS, PEER_LIMIT, Hub
from kallsymsd.service.instance import Instance
from kallsymsd.service.lifetime import Lifetime, State
from kallsymsd.service.saving import Saving
from kallsymsd.service.tally import Tally
from kallsymsd.service.ticket import Outcome, Ticket
from kallsymsd.service.waiting import Waiting
from kallsymsd.service.workers import Workers

if TYPE_CHECKING:
    from pathlib import Path

    from kallsymsd.engine.engine import Engine
    from kallsymsd.protocol.notes import Note

_log = logging.getLogger("kallsymsd")

# Seconds for saving counters and answers if answering clients used up the time for stopping.
_LEAST = 1.0
# Connections allowed however few descriptors there are.
_FEWEST_CONNECTIONS = 8


class Server:
    """Serves one socket until told to stop.

    builds  takes requests to the engine, and knows the last ones
    tally   counts what happens
    """

    def __init__(
        self,
        instance: Instance,
        make_engine: "Callable[[], Engine]",
        *,
        version: str,
        tally: Tally,
        configuration: Mapping[str, Any],
        workers: int,
        idle_limit: float = 0.0,
        descriptors: int = 8 * MOST_CONNECTIONS,
        watch: bool = True,
        replaced: "Callable[[], Path | None]" = lambda: None,
        take_noted: "Callable[[], Sequence[Note]]" = list,
        clock: "Callable[[], float]" = time.time,
    ) -> None:
        """``instance`` is listening already; the server closes it. ``make_engine`` runs in a worker.

        version        of this daemon; it answers only clients of the same version
        tally          counts
        configuration  what status shows
        workers        threads that compute
        descriptors    most descriptors of the process
        idle_limit     seconds without a client after which the daemon ends; 0 for never
        watch          precompute answers when maps are written
        replaced       says which of the daemon's own files was replaced, if any; a worker calls it
        take_noted     takes away what clients recorded for the daemon to count; a worker calls it
        clock          tells the time of day
        """
        self._instance = instance
        self._version = version
        self.tally = tally
        self._configuration = configuration
        self._accepted: deque[Ticket] = deque()
        self._outcomes: deque[tuple[Ticket, Outcome]] = deque()
        self._hub = Hub(
            instance.listener,
            self._take,
            self._gone,
            short=self._spare,
            most=max(_FEWEST_CONNECTIONS, min(MOST_CONNECTIONS, descriptors // 8)),
        )
        self._waiting = Waiting(self._hub, tally)
        unused = Unused()
        self.builds = Builds(make_engine, self._post, unused, clock=clock)
        self._workers = Workers(workers)
        self._lifetime = Lifetime(
            idle_limit=idle_limit, replaced=replaced, submit=self._workers.submit, wake=self._hub.wake
        )
        self._precomputer = Precomputer(
            lambda precomputer: Watcher(precomputer.hear, precomputer.overflow, enabled=watch),
            unused,
            submit=lambda job: self._workers.submit(job, ahead=True),
            serve=self.builds.serve,
            tally=tally,
            wake=self._hub.wake,
            most=min(MOST_TREES, descriptors // 16),
        )
        self._saving = Saving(
            self.builds,
            tally,
            take_noted=take_noted,
            submit=self._workers.submit,
            wake=self._hub.wake,
        )
        self._commands = Control(self.builds, tally, self._workers, status=self._status, stop=self._stop)

    def run(self) -> None:
        """Serve until :meth:`request_stop`; then answer pending requests within DRAIN_LIMIT, and return."""
        self._workers.submit(self.builds.warm_up)
        self._saving.begin()
        self._hub.wake()  # the first turn does not wait: clients may have connected already
        try:
            self._turn()
            if self._lifetime.state is State.SERVING:
                self._instance.announce()
            while self._lifetime.state is not State.STOPPED:
                self._turn()
        finally:
            self._close()

    def _turn(self) -> None:
        until = self._due()
        # Last: before that, a worker would wait for the interpreter until this thread waits for clients.
        while self._accepted:
            ticket = self._accepted.popleft()
            self._workers.submit(partial(self.builds.serve, ticket))
        self._hub.turn(until)
        if self._outcomes:
            self._hand_out()
        now = time.monotonic()
        self._precomputer.turn(now)
        self._keep_time(now)

    def request_stop(self) -> None:
        """Begin to stop; may be called from a signal handler and from any thread."""
        self._lifetime.request_stop()

    # What workers call.

    def _post(self, ticket: Ticket, outcome: Outcome) -> None:
        self._outcomes.append((ticket, outcome))
        self._hub.wake()

    # Requests.

    def _take(self, connection: Connection, frame: Frame) -> None:
        if connection.ticket is not None:
            raise WireError("a request while another is under way")
        if frame.kind == wire.BUILD:
            self._build(connection, BuildRequest.decode(frame.body))
        else:
            answer = self._commands.answer(decode_message(frame.body))
            self._hub.send(connection, encode_message(wire.ANSWER, answer))

    def _build(self, connection: Connection, request: BuildRequest) -> None:
        ticket = Ticket(request, connection.take_descriptor(), time.monotonic())
        refusal, kind = self._refusal(request)
        if refusal:
            ticket.close()
            self.tally.failure(request)
            self._hub.fail(connection, refusal, kind)
            return
        self._waiting.add(ticket, connection)
        self._accepted.append(ticket)

    def _refusal(self, request: BuildRequest) -> tuple[str, int]:
        """Why this daemon cannot answer the request, "" if it can; and the kind of frame that says so."""
        if request.version != self._version:
            return self._version, wire.VERSION
        try:
            is_known = exact(request.dialect).accepts(request.options)
        except KeyError:
            is_known = False
        if not is_known:
            unknown = f"no dialect {request.dialect!r:.40} with options {request.options:#x} is known here"
            return unknown, wire.FAILURE
        return "", wire.FAILURE

    def _hand_out(self) -> None:
        """Answer the clients whose builds have an outcome."""
        now = time.monotonic()
        while self._outcomes:
            ticket, outcome = self._outcomes.popleft()
            if ticket.ahead:
                self._precomputer.finished(ticket, outcome)
                continue
            connection = self._waiting.take(ticket)
            if connection is None:
                continue  # the client hung up
            if connection.closing:  # the client broke the protocol meanwhile
                self.tally.hangup(ticket.request)
                continue
            connection.deadline = now + PEER_LIMIT
            self.tally.outcome(ticket.request, outcome, now - ticket.began)
            if outcome.answer is None:
                self._hub.fail(connection, outcome.failure)
                continue
            reply = outcome.answer.reply.delivered(outcome.how, precomputed=outcome.precomputed)
            self._hub.send(connection, wire.frame(wire.REPLY, reply.encode()), outcome.answer)
            self._precomputer.answered(ticket, outcome, now)

    def _spare(self) -> None:
        """Descriptors or memory have run out."""
        if self.builds.engine is not None:
            self.builds.engine.spare()

    def _gone(self, connection: Connection) -> None:
        """A connection ended."""
        if connection.ticket is not None:
            self.tally.hangup(connection.ticket.request)
            self._waiting.abandon(connection.ticket)

    # Status.

    def _status(self) -> Mapping[str, Any]:
        now = time.monotonic()
        return {
            "version": self._version,
            "pid": os.getpid(),
            "state": self._lifetime.state.value,
            "uptime": now - self._lifetime.began,
            "clients": len(self._hub.connections),
            "busy": self._busy(now),
            "watch": self._precomputer.status(now),
            "stuck": self._workers.stuck,
            **self._configuration,
        }

    def _busy(self, now: float) -> list[Mapping[str, Any]]:
        work = [(what, began, False) for what, began in self._waiting.work()]
        work += [(what, began, True) for what, began in self._precomputer.busy().items()]
        return [{"what": what, "seconds": now - began, "ahead": ahead} for what, began, ahead in work]

    def _stop(self) -> Mapping[str, Any]:
        # The announcement is withdrawn before the answer: after it, no client finds this daemon.
        self._drain()
        return {"state": self._lifetime.state.value}

    # Time.

    def _due(self) -> float:
        """When there is something to do even if nothing happens; inf for never."""
        return min(
            self._saving.due(),
            self._precomputer.due(),
            self._waiting.due(),
            self._lifetime.due(is_used=bool(self._hub.connections)),
        )

    def _keep_time(self, now: float) -> None:
        is_used = bool(self._hub.connections) or self._workers.busy
        if self._lifetime.state is State.SERVING and self._lifetime.is_over(now, is_used=is_used):
            self._drain()
        self._waiting.turn(now)
        self._workers.replace_stuck(waiting.WORK_LIMIT)
        self._saving.turn(now)
        if self._lifetime.state is State.DRAINING:
            has_output = any(each.has_output for each in self._hub.connections.values())
            self._lifetime.end(now, is_busy=bool(self._waiting) or has_output)

    # The end.

    def _drain(self) -> None:
        if self._lifetime.state is not State.SERVING:
            return
        self._lifetime.drain()
        self._instance.withdraw()
        if not self._instance.inherited:
            self._hub.stop_accepting()  # clients that connected before that must not notice

    def _close(self) -> None:
        self._instance.withdraw()
        self._hub.close()
        self._precomputer.close()
        if not self._workers.stop(self._lifetime.left(0.5)):
            _log.warning("a build was still running")
        # In a thread that can be left behind: the disk may be dead, or the database in use.
        finishing = threading.Thread(target=self._finish, name="finish", daemon=True)
        finishing.start()
        finishing.join(self._lifetime.left(_LEAST))
        if finishing.is_alive():
            _log.warning("what was not stored yet is lost: the cache directory does not answer")
        # Last: a process that waits for the lock then finds everything written.
        self._instance.close()

    def _finish(self) -> None:
        self._saving.finish()
        if self.builds.store is not None:
            self.builds.store.close()
