# SPDX-License-Identifier: GPL-2.0-only
"""Computes answers before they are asked for.

When a map is written that was asked about before; or before that, when the linker is done: what nm and
mksysmap will make of a linked kernel can be foretold. Where kernels are linked once (docs/one-link.md), even
before the linker begins: when what it will read is written.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections import OrderedDict, deque
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from kallsymsd.core.dialects import exact
from kallsymsd.protocol.paths import path_text
from kallsymsd.protocol.regular import open_regular
from kallsymsd.protocol.wire import ELF, HIT
from kallsymsd.service.ahead.buildfiles import PREDICTED, Event, Kind, kind_of, map_of
from kallsymsd.service.ahead.coming import Foretelling, map_of_inputs
from kallsymsd.service.ahead.directories import MOST_TREES, Watching
from kallsymsd.service.ahead.unclaimed import Place, Unclaimed
from kallsymsd.service.builds import Outcome, Ticket
from kallsymsd.service.reading import read_elf

if TYPE_CHECKING:
    from collections.abc import Callable

    from kallsymsd.protocol.wire import BuildRequest
    from kallsymsd.service.ahead.watcher import Watcher
    from kallsymsd.service.tally import Tally
    from kallsymsd.service.workers import Job

#: Names of maps remembered of each tree. A link has two or three.
MOST_NAMES = 16
# Events that may wait for the loop; those that do not fit are lost, which does no harm.
_MOST_EVENTS = 1024


class _Tree:
    """A directory in which clients had maps.

    requests  the last request about each map, or linked kernel, by name
    foretold  maps that were foretold from the linked kernel
    """

    __slots__ = ("foretold", "requests")

    def __init__(self) -> None:
        self.requests: OrderedDict[str, BuildRequest] = OrderedDict()
        self.foretold = Foretelling()


class _Work(NamedTuple):
    """An answer that is being made.

    place     the map it is for
    written   the file that is there already: the map, or what it can be foretold from
    request   what will be asked for
    foretell  makes the map of an open ``written``; None if that is the map, or what is asked about
    """

    place: Place
    written: Place
    request: BuildRequest
    foretell: Callable[[int], bytes] | None
    began: float


class Ahead:
    """What to watch, and what to do about events. Belongs to the loop's thread; hear() and overflow() do not.

    A map is computed with what its last request asked for. Freshness is never taken from an event: a request
    finds what was computed only by comparing contents.
    """

    def __init__(
        self,
        watcher: Callable[[Ahead], Watcher],
        *,
        submit: Callable[[Job], None],
        serve: Callable[[Ticket], None],
        tally: Tally,
        wake: Callable[[], None],
        most: int = MOST_TREES,
    ) -> None:
        """``watcher`` makes what watches, and is to tell it to hear() and overflow().

        submit  has a worker do something that nobody waits for
        serve   answers a ticket, within a worker; the loop then calls finished()
        tally   counts
        wake    makes the loop call turn(), from any thread
        most    directories to watch at a time
        """
        self._watching = Watching(
            watcher(self), submit=submit, released=self._forget, tally=tally, wake=wake, most=most
        )
        self._submit = submit
        self._serve = serve
        self._tally = tally
        self._wake = wake
        self._trees: dict[str, _Tree] = {}
        self._events: deque[tuple[str, str, Event]] = deque(maxlen=_MOST_EVENTS)
        # By map: work under way, and what was written meanwhile.
        self._jobs: dict[Place, _Work] = {}
        self._again: dict[Place, Place] = {}
        self._unclaimed = Unclaimed(tally)

    # Called from other threads.

    def hear(self, directory: str, name: str, event: Event) -> None:
        """Something happened to a file."""
        self._events.append((directory, name, event))
        self._wake()

    def overflow(self) -> None:
        """Events were lost."""
        self._watching.overflow()

    # Called by the loop.

    def answered(self, ticket: Ticket, outcome: Outcome, now: float) -> None:
        """A client got its answer: its map is one to watch."""
        if outcome.answer is not None:
            self._unclaimed.asked(
                _split(ticket.path), ticket.request, outcome.answer, ready=outcome.how.ready
            )
        place = _to_watch(ticket.path, ticket.request.source)
        if place is None:
            return
        directory, name = place
        tree = self._trees.get(directory)
        if tree is None:
            tree = self._trees[directory] = _Tree()
        tree.foretold.compare(name, outcome)
        tree.requests[name] = ticket.request
        tree.requests.move_to_end(name)
        # A kernel that is linked once has no other map that is asked about.
        keep = 1 if name == PREDICTED else MOST_NAMES
        while len(tree.requests) > keep:
            dropped, _ = tree.requests.popitem(last=False)
            tree.foretold.forget(dropped)
            self._unclaimed.waste((directory, dropped))
        self._watching.use(directory, now)

    def finished(self, ticket: Ticket, outcome: Outcome) -> None:
        """Work ahead is done."""
        place = _split(ticket.path)
        self._compare(self._jobs.pop(place), outcome)
        answer = outcome.answer
        if answer is not None and outcome.how.made != HIT and not outcome.shared:
            self._tally.ahead()
            self._unclaimed.waste(place)
            if not answer.ok:
                self._tally.ahead_wasted()
            elif not outcome.how.ready:  # else a client has joined, and has it
                self._unclaimed.add(place, ticket.request, answer)
        if place in self._again:
            self._begin(self._again.pop(place), Event.COMPLETE)

    def turn(self, now: float) -> None:
        """Deal with what was heard."""
        self._watching.turn(now)
        while self._events:
            directory, name, event = self._events.popleft()
            if not name:
                self._watching.deleted(directory)
            elif event is Event.GONE:
                self._unclaimed.waste((directory, name))
            else:
                self._begin((directory, name), event)

    def due(self) -> float:
        """When turn() is to be called even if nothing is heard; inf for never."""
        return self._watching.due()

    def busy(self) -> dict[str, float]:
        """The maps that are being computed, and since when."""
        return {path_text(os.fsencode("/".join(place))): work.began for place, work in self._jobs.items()}

    def status(self, now: float) -> dict[str, Any]:
        """For a person."""
        return {
            "paused": self._watching.paused(now),
            "trees": [
                {**shown, "maps": [path_text(os.fsencode(name)) for name in self._trees[directory].requests]}
                for directory, shown in self._watching.status(now).items()
            ],
        }

    def close(self) -> None:
        """Watch nothing any more."""
        self._watching.close()

    def _forget(self, directory: str) -> None:
        """It is not in use any more."""
        for name in self._trees.pop(directory).requests:
            self._unclaimed.waste((directory, name))

    # Computing.

    def _begin(self, written: Place, event: Event) -> None:
        """Have computed what will be asked for now that this file is there, if anything."""
        work = self._work(written, event)
        if work is None:
            return
        if work.place in self._jobs:
            self._again[work.place] = written
            return
        self._jobs[work.place] = work
        self._submit(lambda: self._compute(work, event))

    def _work(self, written: Place, event: Event) -> _Work | None:
        directory, name = written
        tree, kind = self._trees.get(directory), kind_of(name)
        if tree is None or (kind is not Kind.MAP and event is Event.CREATED):  # a linker has just begun
            return None
        if name in tree.requests:
            return _Work(written, written, tree.requests[name], None, time.monotonic())
        place = directory, map_of(name)
        request = tree.requests.get(place[1])
        if request is None or kind is Kind.MAP:
            return None
        dialect = exact(request.dialect)
        if kind is Kind.INPUT:
            return _Work(
                place, written, request, lambda _: map_of_inputs(directory, dialect), time.monotonic()
            )
        nm = tree.foretold.nm(place[1])
        if nm is None:
            return None
        return _Work(place, written, request, lambda fd: read_elf(fd, dialect, nm), time.monotonic())

    def _compute(self, work: _Work, event: Event) -> None:
        """A worker's job."""
        descriptor = _open("/".join(work.written), event)
        path = "/".join(work.place)
        self._serve(
            Ticket(work.request, descriptor, work.began, path=path, ahead=True, foretell=work.foretell)
        )

    def _compare(self, work: _Work, outcome: Outcome) -> None:
        """Work is done: a map was foretold, or it has come and shows whether it was foretold right."""
        directory, name = work.place
        tree = self._trees.get(directory)
        if tree is None:
            return
        if work.written == work.place:
            tree.foretold.compare(name, outcome)
        elif outcome.answer is not None and kind_of(work.written[1]) is Kind.LINKED:
            tree.foretold.made(name)


@lru_cache(maxsize=256)  # the same few for each request
def _to_watch(path: str, source: int) -> Place | None:
    """Where to watch for what a client asked about; None if that is not to be watched."""
    directory, name = os.path.split(path)
    wanted = Kind.LINKED if source == ELF else Kind.MAP
    if kind_of(name) is not wanted or ".." in directory.split("/"):
        return None
    return os.path.normpath(directory), name


def _split(path: str) -> Place:
    directory, _, name = path.rpartition("/")
    return directory, name


def _open(path: str, event: Event) -> int:
    """Descriptor of the map; -1 when it cannot be opened or is not complete."""
    descriptor = -1
    with contextlib.suppress(OSError):
        descriptor = open_regular(path, follow=True)
        if event is Event.CREATED and not _ends_with_line(descriptor):
            os.close(descriptor)
            descriptor = -1
    return descriptor


def _ends_with_line(descriptor: int) -> bool:
    """Whether the file ends as a map does. One that is just being written hardly ever ends there."""
    size = os.fstat(descriptor).st_size
    return size > 0 and os.pread(descriptor, 1, size - 1) == b"\n"
