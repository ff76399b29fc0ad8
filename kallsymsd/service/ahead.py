# SPDX-License-Identifier: GPL-2.0-only
"""Computes answers before they are asked for.

When a map is written that was asked about before; or before that, when the linker is done: what nm and
mksysmap will make of a linked kernel can be foretold.
"""

from __future__ import annotations

import contextlib
import logging
import os
import time
import weakref
from collections import OrderedDict, deque
from typing import TYPE_CHECKING, Any

from kallsyms_client.wire import ELF, HIT
from kallsymsd.service.builds import Outcome, Ticket
from kallsymsd.service.foretelling import Foretelling
from kallsymsd.service.paths import path_text
from kallsymsd.service.watched import Event, Kind, kind_of, map_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from kallsyms_client.wire import BuildRequest
    from kallsymsd.engine.answer import Answer
    from kallsymsd.service.tally import Tally
    from kallsymsd.service.watch import Watcher
    from kallsymsd.service.workers import Job

_log = logging.getLogger("kallsymsd")

#: Trees watched at the same time; each takes a thread of watchdog's.
MOST_TREES = 64
#: Names of maps remembered of each tree. A link has two or three.
MOST_NAMES = 16
#: Seconds after its last request that a tree is watched no more.
UNUSED = 24 * 3600.0
#: Seconds without watching after events were lost; doubled each time, unless that was CALM seconds ago.
FIRST_PAUSE = 10.0
LONGEST_PAUSE = 640.0
CALM = 3600.0
# Events that may wait for the loop; those that do not fit are lost, which does no harm.
_MOST_EVENTS = 1024

#: A file: its directory and its name there.
Place = tuple[str, str]


class _Tree:
    """A directory in which clients had maps.

    requests  the last request about each map, or linked kernel, by name
    foretold  maps that were computed from the linked kernel
    used      when the last one came
    checking  a worker is seeing to it that the directory is watched
    watched   it is, as far as we know
    problem   why it is not
    """

    __slots__ = ("checking", "foretold", "problem", "requests", "used", "watched")

    def __init__(self) -> None:
        self.requests: OrderedDict[str, BuildRequest] = OrderedDict()
        self.foretold = Foretelling()
        self.used = 0.0
        self.checking = False
        self.watched = False
        self.problem = ""


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
    ) -> None:
        """``watcher`` makes what watches, and is to tell it to hear() and overflow().

        submit  has a worker do something that nobody waits for
        serve   answers a ticket, within a worker; the loop then calls finished()
        tally   counts
        wake    makes the loop call turn(), from any thread
        """
        self._watcher = watcher(self)
        self._submit = submit
        self._serve = serve
        self._tally = tally
        self._wake = wake
        self._trees: OrderedDict[str, _Tree] = OrderedDict()
        self._events: deque[tuple[str, str, Event]] = deque(maxlen=_MOST_EVENTS)
        self._checked: deque[tuple[str, str]] = deque()
        self._lost = False
        self._last_overflow = 0.0
        self._pause = 0.0
        self._paused_until = 0.0  # 0 while not paused
        # By map: work under way and when it was begun, and what was written meanwhile.
        self._jobs: dict[Place, float] = {}
        self._again: dict[Place, Place] = {}
        self._unclaimed: dict[Place, weakref.ref[Answer]] = {}

    # Called from other threads.

    def hear(self, directory: str, name: str, event: Event) -> None:
        """Something happened to a file."""
        self._events.append((directory, name, event))
        self._wake()

    def overflow(self) -> None:
        """Events were lost."""
        self._lost = True
        self._wake()

    # Called by the loop.

    def answered(self, ticket: Ticket, outcome: Outcome, now: float) -> None:
        """A client got its answer: its map is one to watch."""
        if outcome.how.ready and outcome.answer is not None:
            self._claim(outcome.answer, _split(ticket.path))
        directory, name = os.path.split(ticket.path)
        wanted = Kind.LINKED if ticket.request.source == ELF else Kind.MAP
        if kind_of(name) is not wanted or ".." in directory.split("/"):
            return
        directory = os.path.normpath(directory)
        tree = self._trees.setdefault(directory, _Tree())
        self._trees.move_to_end(directory)
        tree.used = now
        tree.foretold.compare(name, outcome)
        tree.requests[name] = ticket.request
        tree.requests.move_to_end(name)
        if len(tree.requests) > MOST_NAMES:
            dropped, _ = tree.requests.popitem(last=False)
            tree.foretold.forget(dropped)
        if not self._paused_until:
            self._check(directory, tree)
        if len(self._trees) > MOST_TREES:
            self._release(next(iter(self._trees)))

    def finished(self, ticket: Ticket, outcome: Outcome) -> None:
        """Work ahead is done."""
        place = _split(ticket.path)
        self._jobs.pop(place, None)
        self._compare(place, ticket, outcome)
        answer = outcome.answer
        if answer is not None and outcome.how.made != HIT and not outcome.shared:
            self._tally.ahead()
            self._waste(place)
            if not answer.ok:
                self._tally.ahead_wasted()
            elif not outcome.how.ready:  # else a client has joined, and has it
                self._unclaimed[place] = weakref.ref(answer)
        if place in self._again:
            self._begin(self._again.pop(place), Event.COMPLETE)

    def turn(self, now: float) -> None:
        """Deal with what was heard."""
        if self._lost:
            self._lost = False
            self._pause_watching(now)
        while self._checked:
            directory, problem = self._checked.popleft()
            self._note_check(directory, problem)
        if self._paused_until and now >= self._paused_until:
            self._paused_until = 0.0
            for directory, tree in self._trees.items():
                self._check(directory, tree)
        while self._events:
            directory, name, event = self._events.popleft()
            if not name:
                self._deleted(directory)
            elif event is Event.GONE:
                self._waste((directory, name))
            else:
                self._begin((directory, name), event)
        while self._trees:
            directory, tree = next(iter(self._trees.items()))
            if now < tree.used + UNUSED:
                break
            self._release(directory)

    def due(self) -> float | None:
        """When turn() is to be called even if nothing is heard."""
        oldest = next(iter(self._trees.values()), None)
        due = [self._paused_until] if self._paused_until else []
        if oldest is not None:
            due.append(oldest.used + UNUSED)
        return min(due, default=None)

    def busy(self) -> dict[str, float]:
        """The maps that are being computed, and since when."""
        return {path_text(os.fsencode("/".join(place))): began for place, began in self._jobs.items()}

    def status(self, now: float) -> dict[str, Any]:
        """For a person."""
        return {
            "paused": max(0.0, self._paused_until - now) if self._paused_until else 0.0,
            "trees": [
                {
                    "directory": path_text(os.fsencode(directory)),
                    "watched": tree.watched,
                    "problem": tree.problem,
                    "maps": [path_text(os.fsencode(name)) for name in tree.requests],
                    "unused": now - tree.used,
                }
                for directory, tree in self._trees.items()
            ],
        }

    def close(self) -> None:
        """Watch nothing any more."""
        self._watcher.close()

    # Watching.

    def _check(self, directory: str, tree: _Tree) -> None:
        if not tree.checking:
            tree.checking = True
            self._submit(lambda: self._watch(directory))

    def _watch(self, directory: str) -> None:
        """A worker's job."""
        try:
            problem = self._watcher.watch(directory)
        except Exception as error:  # noqa: BLE001  watching is never worth a failure
            _log.exception("%s cannot be watched", directory)
            problem = f"{type(error).__name__}: {error}"
        self._checked.append((directory, problem))
        self._wake()

    def _note_check(self, directory: str, problem: str) -> None:
        tree = self._trees.get(directory)
        if tree is None:  # released meanwhile
            self._submit(lambda: self._watcher.release(directory))
            return
        if problem and problem != tree.problem:
            _log.info("%s is not watched: %s", directory, problem)
        tree.checking = False
        tree.watched = not problem
        tree.problem = problem

    def _deleted(self, directory: str) -> None:
        """The directory is gone, or was: by now there may be another."""
        tree = self._trees.get(directory)
        if tree is not None and not self._paused_until:
            self._check(directory, tree)

    def _release(self, directory: str) -> None:
        for name in self._trees.pop(directory).requests:
            self._waste((directory, name))
        self._submit(lambda: self._watcher.release(directory))

    def _pause_watching(self, now: float) -> None:
        self._tally.overflow()
        calm = not self._pause or now > self._last_overflow + CALM
        self._pause = FIRST_PAUSE if calm else min(2 * self._pause, LONGEST_PAUSE)
        self._last_overflow = now
        self._paused_until = now + self._pause
        _log.warning("events were lost; nothing is watched for %.0f s", self._pause)
        for tree in self._trees.values():
            tree.watched = False
            tree.problem = "events were lost; waiting for the storm to pass"
        self._submit(self._watcher.close)

    # Computing.

    def _begin(self, written: Place, event: Event) -> None:
        """Have the map there computed, or that of the linked kernel, if it is one that was asked about."""
        directory, name = written
        tree = self._trees.get(directory)
        if tree is None:
            return
        request, place, nm = tree.requests.get(name), written, 0
        if kind_of(name) is Kind.LINKED and event is Event.CREATED:
            return  # a linker has just begun
        if kind_of(name) is Kind.LINKED and request is None:
            place = directory, map_of(name)
            last = tree.requests.get(place[1])
            request, nm = tree.foretold.request(place[1], last) if last is not None else (None, 0)
        if request is None:
            return
        if place in self._jobs:
            self._again[place] = written
            return
        began = self._jobs[place] = time.monotonic()
        self._submit(lambda: self._compute(place, written, request, nm, began, event))

    def _compute(
        self, place: Place, written: Place, request: BuildRequest, nm: int, began: float, event: Event
    ) -> None:
        """A worker's job."""
        descriptor = _open("/".join(written), event)
        ticket = Ticket(request, descriptor, began, path="/".join(place), ahead=True, nm=nm)
        self._serve(ticket)

    def _compare(self, place: Place, ticket: Ticket, outcome: Outcome) -> None:
        """Work ahead is done: a map was foretold, or it has come and shows whether it was foretold right."""
        directory, name = place
        tree = self._trees.get(directory)
        last = tree.requests.get(name) if tree is not None else None
        if tree is None or last is None:
            return
        if ticket.request.source == last.source:
            tree.foretold.compare(name, outcome)
        elif outcome.answer is not None:
            tree.foretold.made(name)

    def _claim(self, answer: Answer, asked: Place) -> None:
        for place, known in list(self._unclaimed.items()):
            # None: it had left memory, and was read back from disk.
            if known() is answer or (place == asked and known() is None):
                del self._unclaimed[place]

    def _waste(self, place: Place) -> None:
        """What was made ahead there is of no use any more."""
        if self._unclaimed.pop(place, None) is not None:
            self._tally.ahead_wasted()


def _split(path: str) -> Place:
    directory, _, name = path.rpartition("/")
    return directory, name


def _open(path: str, event: Event) -> int:
    """Descriptor of the map; -1 when it cannot be opened or is not complete."""
    descriptor = -1
    with contextlib.suppress(OSError):
        # Whatever has the name of a map: opening it must not wait, nor make it our terminal.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
        if event is Event.CREATED and not _ends_with_line(descriptor):
            os.close(descriptor)
            descriptor = -1
    return descriptor


def _ends_with_line(descriptor: int) -> bool:
    """Whether the file ends as a map does. One that is just being written hardly ever ends there."""
    size = os.fstat(descriptor).st_size
    return size > 0 and os.pread(descriptor, 1, size - 1) == b"\n"
