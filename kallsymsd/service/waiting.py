# SPDX-License-Identifier: GPL-2.0-only
"""The clients whose requests are under way: sends them heartbeats, and ends what takes too long."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from kallsymsd.protocol import wire

if TYPE_CHECKING:
    from kallsymsd.service.connection import Connection
    from kallsymsd.service.hub import Hub
    from kallsymsd.service.tally import Tally
    from kallsymsd.service.ticket import Ticket

#: Seconds between two heartbeats to a waiting client, which gives up after 0.4 s of silence.
HEARTBEAT = 0.1
#: Seconds a build may take; then its client is refused (kallsyms itself gives up before that).
WORK_LIMIT = 50.0


class Waiting:
    """Tickets, and the connections that wait for them. Belongs to the loop's thread."""

    def __init__(self, hub: Hub, tally: Tally) -> None:
        self._hub = hub
        self._tally = tally
        self._connections: dict[Ticket, Connection] = {}
        self._next_beat = 0.0

    def __len__(self) -> int:
        return len(self._connections)

    def add(self, ticket: Ticket, connection: Connection) -> None:
        """``connection`` waits for ``ticket`` from now on."""
        if not self._connections:
            self._next_beat = ticket.began + HEARTBEAT
        self._connections[ticket] = connection
        connection.ticket = ticket

    def take(self, ticket: Ticket) -> Connection | None:
        """The connection that waited for ``ticket``, which now has an outcome; None if it is gone."""
        connection = self._connections.pop(ticket, None)
        if connection is not None:
            connection.ticket = None
        return connection

    def abandon(self, ticket: Ticket) -> None:
        """No client waits for ``ticket`` any more: it is completed for the cache, or never begun."""
        ticket.cancelled = True
        self.take(ticket)

    def work(self) -> list[tuple[str, float]]:
        """What is under way, as shown to the user, and since when."""
        return [(ticket.label, ticket.began) for ticket in self._connections]

    def due(self) -> float:
        """When turn() must be called even if nothing happens; inf for never."""
        return self._next_beat if self._connections else math.inf

    def turn(self, now: float) -> None:
        """End what takes too long, and send the others a heartbeat if one is due."""
        if not self._connections or now < self._next_beat:
            return
        for ticket, connection in list(self._connections.items()):
            if now >= ticket.began + WORK_LIMIT:
                self.abandon(ticket)
                self._tally.failure(ticket.request)
                self._hub.fail(connection, f"the build takes longer than {WORK_LIMIT:.0f} s")
        self._next_beat = now + HEARTBEAT
        for connection in list(self._connections.values()):
            if not connection.has_output:  # a client that does not read must not fill memory
                self._hub.send(connection, wire.frame(wire.HEARTBEAT))
