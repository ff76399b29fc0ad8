# SPDX-License-Identifier: GPL-2.0-only
"""The clients whose builds are under way: signs of life for them, and an end for what has none."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from kallsymsd.protocol import wire

if TYPE_CHECKING:
    from kallsymsd.service.connection import Connection
    from kallsymsd.service.hub import Hub
    from kallsymsd.service.tally import Tally
    from kallsymsd.service.ticket import Ticket

#: Seconds between two signs of life to a client that waits (it gives up after 0.4 s of silence).
HEARTBEAT = 0.1
#: Seconds a build may take; then its client is told to help itself (ours have left before).
WORK_LIMIT = 50.0


class Waiting:
    """Tickets and the connections that wait for them. Belongs to the loop's thread."""

    def __init__(self, hub: Hub, tally: Tally) -> None:
        self._hub = hub
        self._tally = tally
        self._connections: dict[Ticket, Connection] = {}
        self._next_beat = 0.0

    def __len__(self) -> int:
        return len(self._connections)

    def add(self, ticket: Ticket, connection: Connection) -> None:
        """A connection waits from now on."""
        if not self._connections:
            self._next_beat = ticket.began + HEARTBEAT
        self._connections[ticket] = connection
        connection.ticket = ticket

    def take(self, ticket: Ticket) -> Connection | None:
        """The connection that waited for ``ticket``, which has an outcome; None if it has left."""
        connection = self._connections.pop(ticket, None)
        if connection is not None:
            connection.ticket = None
        return connection

    def abandon(self, ticket: Ticket) -> None:
        """Nobody waits for ``ticket`` any more: it is left to end for the cache, or never begins."""
        ticket.cancelled = True
        self.take(ticket)

    def work(self) -> list[tuple[str, float]]:
        """What is under way, for a person, and since when."""
        return [(ticket.label, ticket.began) for ticket in self._connections]

    def due(self) -> float:
        """When turn() is to be called even if nothing happens; inf for never."""
        return self._next_beat if self._connections else math.inf

    def turn(self, now: float) -> None:
        """Give up what takes too long; a sign of life for the others if one is due."""
        if not self._connections or now < self._next_beat:
            return
        for ticket, connection in list(self._connections.items()):
            if now >= ticket.began + WORK_LIMIT:
                self.abandon(ticket)
                self._tally.failure(ticket.request)
                self._hub.fail(connection, f"the build takes longer than {WORK_LIMIT:.0f} s")
        self._next_beat = now + HEARTBEAT
        for connection in list(self._connections.values()):
            if not connection.has_output:  # a client that reads nothing is not to fill our memory
                self._hub.send(connection, wire.frame(wire.HEARTBEAT))
