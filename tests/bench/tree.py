# SPDX-License-Identifier: GPL-2.0-only
"""A build tree whose maps a daemon is asked about, and what that costs the daemon."""

import os
import time
from dataclasses import dataclass
from pathlib import Path

from kallsymsd.protocol import wire
from kallsymsd.protocol.asking import ask
from tests.bench.job import Job
from tests.measure import Daemon


@dataclass(frozen=True)
class Request:
    """One request, in seconds.

    cpu    of the daemon, from before the map is written until it has replied; and until it rests, unless
           ``stored``
    after  of the daemon, from its reply until it rests
    wall   from request to reply
    stored the daemon wrote to its cache meanwhile
    how    how the daemon made the answer
    precomputed  it did so before it was asked
    """

    cpu: float
    after: float
    wall: float
    stored: bool
    how: wire.How
    precomputed: bool

    @property
    def made(self) -> str:
        """How the tables were made, in a word."""
        return wire.MADE[self.how.made]


class Tree:
    """A directory with a map, which the real client's code asks a daemon about."""

    def __init__(self, job: Job, daemon: Daemon, directory: Path) -> None:
        self._daemon = daemon
        self._map = directory / "System.map"
        self._request = job.request(directory)
        self._environment = {os.fsencode(k): os.fsencode(v) for k, v in daemon.environment.items()}

    def rebuild(self, text: bytes, *, pause: float = 0.0) -> Request:
        """Make ``text`` the tree's map, in a new file as builds do, and ask for its tables ``pause`` later.

        What a daemon does that sees the file before it is asked counts as well. Copying the results to their
        places is the client's cost and not in here.
        """
        store = self._daemon.stored()
        start = self._daemon.cpu()
        new = self._map.with_suffix(".new")
        new.write_bytes(text)
        new.replace(self._map)
        if pause:
            time.sleep(pause)
            self._daemon.settle()
        source = os.open(self._map, os.O_RDONLY | os.O_CLOEXEC)
        try:
            asked = time.perf_counter()
            output = ask(self._request, source, len(text), self._environment)
            wall = time.perf_counter() - asked
        finally:
            os.close(source)
        replied = self._daemon.cpu()
        for memory_file in output.descriptors:
            os.close(memory_file)
        self._daemon.settle()
        after = self._daemon.cpu() - replied
        stored = self._daemon.stored() != store
        # Clearing up behind a reply, such as freeing the state before, is part of answering.
        cpu = replied - start + (0.0 if stored else after)
        return Request(cpu, after, wall, stored, output.reply.how, output.reply.precomputed)
