# SPDX-License-Identifier: GPL-2.0-only
"""Precomputes answers: has workers compute them before a client asks.

A map that a client asked about is computed again when it is written. Before that, when the linker is done,
the map that nm and mksysmap will make of the linked kernel can be predicted. Where kernels are linked once
(docs/one-link.md), the map is predicted even before the linker begins, when its inputs are written.
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
from kallsymsd.protocol.wire import ELF
from kallsymsd.service.ahead.buildfiles import PREDICTED, Event, Kind, kind_of, map_of
from kallsymsd.service.ahead.directories import MOST_TREES, Directories
from kallsymsd.service.ahead.predictedmaps import PredictedMaps, map_of_inputs
from kallsymsd.service.reading import read_elf
from kallsymsd.service.ticket import Outcome, Place, Ticket

if TYPE_CHECKING:
    from collections.abc import Callable

    from kallsymsd.protocol.wire import BuildRequest
    from kallsymsd.service.ahead.unused import Unused
    from kallsymsd.service.ahead.watcher import Watcher
    from kallsymsd.service.tally import Tally
    from kallsymsd.service.workers import Job

#: Names of maps remembered of each tree. A link has two or three.
MOST_NAMES = 16
# Events that may wait for the loop; those that do not fit are lost, which does no harm.
_MOST_EVENTS = 1024


class _Tree:
    """A directory in which clients had maps.

    requests   the last request about each map, or linked kernel, by name
    predicted  maps that were predicted from the linked kernel
    """

    __slots__ = ("predicted", "requests")

    def __init__(self) -> None:
        self.requests: OrderedDict[str, BuildRequest] = OrderedDict()
        self.predicted = PredictedMaps()


class _Work(NamedTuple):
    """An answer that is being precomputed.

    place    the map it is for
    written  the file that is there already: the map, or what it can be predicted from
    request  the request that is predicted
    predict  makes the map of an open ``written``; None if that is the map, or what is asked about
    began    when the work began, in seconds of the loop's clock
    """

    place: Place
    written: Place
    request: BuildRequest
    predict: Callable[[int], bytes] | None
    began: float


class Precomputer:
    """Says what to watch, and what to compute after an event.

    Belongs to the loop's thread, except hear() and overflow().

    A map is computed for the last request about it. Events are never taken as proof that an answer is up to
    date: a request finds what was precomputed only by comparing contents.
    """

    def __init__(
        self,
        watcher: Callable[[Precomputer], Watcher],
        unused: Unused,
        *,
        submit: Callable[[Job], None],
        serve: Callable[[Ticket], None],
        tally: Tally,
        wake: Callable[[], None],
        most: int = MOST_TREES,
    ) -> None:
        """``watcher`` makes what watches, which is to call hear() and overflow().

        unused  knows the precomputed answers
        submit  has a worker do something that nobody waits for
        serve   answers a ticket, within a worker; the loop then calls finished()
        tally   counts
        wake    makes the loop call turn(), from any thread
        most    directories to watch at a time
        """
        self._directories = Directories(
            watcher(self), submit=submit, released=self._forget, tally=tally, wake=wake, most=most
        )
        self._unused = unused
        self._submit = submit
        self._serve = serve
        self._tally = tally
        self._wake = wake
        self._trees: dict[str, _Tree] = {}
        self._events: deque[tuple[str, str, Event]] = deque(maxlen=_MOST_EVENTS)
        # By map: work under way, and what was written meanwhile.
        self._jobs: dict[Place, _Work] = {}
        self._again: dict[Place, Place] = {}

    # Called from other threads.

    def hear(self, directory: str, name: str, event: Event) -> None:
        """Something happened to a file."""
        self._events.append((directory, name, event))
        self._wake()

    def overflow(self) -> None:
        """Events were lost."""
        self._directories.overflow()

    # Called by the loop.

    def answered(self, ticket: Ticket, outcome: Outcome, now: float) -> None:
        """A client got its answer: its map is one to watch."""
        self._count()
        place = _to_watch(ticket.path, ticket.request.source)
        if place is None:
            return
        directory, name = place
        tree = self._trees.get(directory)
        if tree is None:
            tree = self._trees[directory] = _Tree()
        tree.predicted.compare(name, outcome)
        tree.requests[name] = ticket.request
        tree.requests.move_to_end(name)
        # A kernel that is linked once has no other map that is asked about.
        keep = 1 if name == PREDICTED else MOST_NAMES
        while len(tree.requests) > keep:
            dropped, _ = tree.requests.popitem(last=False)
            tree.predicted.forget(dropped)
            self._unused.drop((directory, dropped))
        self._directories.use(directory, now)

    def finished(self, ticket: Ticket, outcome: Outcome) -> None:
        """A precomputation is done."""
        place = ticket.place
        self._compare(self._jobs.pop(place), outcome)
        self._count()
        if place in self._again:
            self._begin(self._again.pop(place), Event.COMPLETE)

    def turn(self, now: float) -> None:
        """Deal with what was heard."""
        self._directories.turn(now)
        while self._events:
            directory, name, event = self._events.popleft()
            if not name:
                self._directories.deleted(directory)
            elif event is Event.GONE:
                self._unused.drop((directory, name))
            else:
                self._begin((directory, name), event)
        self._count()

    def due(self) -> float:
        """When turn() is to be called even if nothing is heard; inf for never."""
        return self._directories.due()

    def busy(self) -> dict[str, float]:
        """The maps that are being computed, and since when."""
        return {path_text(os.fsencode("/".join(place))): work.began for place, work in self._jobs.items()}

    def status(self, now: float) -> dict[str, Any]:
        """For a person."""
        return {
            "paused": self._directories.paused(now),
            "trees": [
                {**shown, "maps": [path_text(os.fsencode(name)) for name in self._trees[directory].requests]}
                for directory, shown in self._directories.status(now).items()
            ],
        }

    def close(self) -> None:
        """Watch nothing any more."""
        self._directories.close()

    def _forget(self, directory: str) -> None:
        """The directory is not in use any more."""
        for name in self._trees.pop(directory).requests:
            self._unused.drop((directory, name))

    def _count(self) -> None:
        self._tally.precomputed(*self._unused.take_counts())

    # Computing.

    def _begin(self, written: Place, event: Event) -> None:
        """Have the answer computed that a client will ask for now that this file is there, if any."""
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
        nm = tree.predicted.nm(place[1])
        if nm is None:
            return None
        return _Work(place, written, request, lambda fd: read_elf(fd, dialect, nm), time.monotonic())

    def _compute(self, work: _Work, event: Event) -> None:
        """A worker's job."""
        descriptor = _open("/".join(work.written), event)
        path = "/".join(work.place)
        self._serve(Ticket(work.request, descriptor, work.began, path=path, ahead=True, predict=work.predict))

    def _compare(self, work: _Work, outcome: Outcome) -> None:
        """Work is done: a map was predicted, or it is there and shows whether its prediction was right."""
        directory, name = work.place
        tree = self._trees.get(directory)
        if tree is None:
            return
        if work.written == work.place:
            tree.predicted.compare(name, outcome)
        elif outcome.answer is not None and kind_of(work.written[1]) is Kind.LINKED:
            tree.predicted.predicted(name)


@lru_cache(maxsize=256)  # the same few for each request
def _to_watch(path: str, source: int) -> Place | None:
    """Where to watch for what a client asked about; None if that is not to be watched."""
    directory, name = os.path.split(path)
    wanted = Kind.LINKED if source == ELF else Kind.MAP
    if kind_of(name) is not wanted or ".." in directory.split("/"):
        return None
    return os.path.normpath(directory), name


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
    """Whether the file ends as a map does. A file that is still being written hardly ever does."""
    size = os.fstat(descriptor).st_size
    return size > 0 and os.pread(descriptor, 1, size - 1) == b"\n"
