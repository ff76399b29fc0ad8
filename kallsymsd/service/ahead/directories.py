# SPDX-License-Identifier: GPL-2.0-only
"""Which directories are watched, for how long, and what happens when watching fails."""

from __future__ import annotations

import logging
import math
import os
from collections import OrderedDict, deque
from typing import TYPE_CHECKING, Any

from kallsymsd.protocol.paths import path_text

if TYPE_CHECKING:
    from collections.abc import Callable

    from kallsymsd.service.ahead.watcher import Watcher
    from kallsymsd.service.tally import Tally
    from kallsymsd.service.workers import Job

_log = logging.getLogger("kallsymsd")

#: Most directories watched at a time; each takes threads of watchdog's, and descriptors.
MOST_TREES = 64
#: Seconds after its last request until a directory is no longer watched.
UNUSED = 24 * 3600.0
#: Seconds without watching after events were lost; doubled each time, unless the last was CALM seconds ago.
FIRST_PAUSE = 10.0
LONGEST_PAUSE = 640.0
CALM = 3600.0
#: Seconds until a watched directory is checked again: a build has three passes in two seconds. inotify tells
#: when it is deleted; if it is renamed and another takes its place, the check finds that.
CERTAIN = 1.0


class _Tree:
    """A directory in which clients had maps.

    used      when the last request came
    checked   when a request last had a worker check that the directory is watched
    checking  a worker is checking that the directory is watched
    watched   it is watched, as of the last check
    problem   why it is not watched
    """

    __slots__ = ("checked", "checking", "problem", "used", "watched")

    def __init__(self) -> None:
        self.used = 0.0
        self.checked = 0.0
        self.checking = False
        self.watched = False
        self.problem = ""


class Directories:
    """Has workers watch the directories in use. Belongs to the loop's thread, except overflow()."""

    def __init__(
        self,
        watcher: Watcher,
        *,
        submit: Callable[[Job], None],
        released: Callable[[str], None],
        tally: Tally,
        wake: Callable[[], None],
        most: int = MOST_TREES,
    ) -> None:
        """``watcher`` watches; workers call it.

        submit    has a worker do something that no client waits for
        released  is called with a directory that is no longer in use
        tally     counts
        wake      makes the loop call turn(), from any thread
        most      directories to watch at a time
        """
        self._watcher = watcher
        self._most = most
        self._submit = submit
        self._released = released
        self._tally = tally
        self._wake = wake
        self._trees: OrderedDict[str, _Tree] = OrderedDict()
        self._checked: deque[tuple[str, str]] = deque()
        self._lost = False
        self._last_overflow = 0.0
        self._pause = 0.0
        self._paused_until = 0.0  # 0 while not paused

    def overflow(self) -> None:
        """Events were lost. From any thread."""
        self._lost = True
        self._wake()

    def use(self, directory: str, now: float) -> None:
        """A client asked about a file in ``directory``: watch it."""
        tree = self._trees.get(directory)
        if tree is None:
            tree = self._trees[directory] = _Tree()
            tree.problem = self._watcher.refusal
        self._trees.move_to_end(directory)
        tree.used = now
        is_certain = tree.watched and now < tree.checked + CERTAIN
        if not (self._watcher.refusal or self._paused_until or is_certain):
            tree.checked = now
            self._check(directory, tree)
        if len(self._trees) > self._most:
            self.release(next(iter(self._trees)))

    def deleted(self, directory: str) -> None:
        """The directory was deleted. By now there may be another."""
        tree = self._trees.get(directory)
        if tree is not None and not self._paused_until:
            self._check(directory, tree)

    def release(self, directory: str) -> None:
        """It is no longer in use."""
        del self._trees[directory]
        self._released(directory)
        self._submit(lambda: self._watcher.release(directory))

    def turn(self, now: float) -> None:
        """Handle what workers and watcher reported, and what is due."""
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
        while self._trees:
            directory, tree = next(iter(self._trees.items()))
            if now < tree.used + UNUSED:
                break
            self.release(directory)

    def due(self) -> float:
        """When turn() must be called even without an event; inf for never."""
        oldest = next(iter(self._trees.values()), None)
        unused = oldest.used + UNUSED if oldest is not None else math.inf
        return min(unused, self._paused_until) if self._paused_until else unused

    def paused(self, now: float) -> float:
        """Seconds until watching goes on; 0 unless it is paused."""
        return max(0.0, self._paused_until - now) if self._paused_until else 0.0

    def status(self, now: float) -> dict[str, dict[str, Any]]:
        """What to show to the user, by directory."""
        return {
            directory: {
                "directory": path_text(os.fsencode(directory)),
                "watched": tree.watched,
                "problem": tree.problem,
                "unused": now - tree.used,
            }
            for directory, tree in self._trees.items()
        }

    def close(self) -> None:
        """Stop watching."""
        self._watcher.close()

    def _check(self, directory: str, tree: _Tree) -> None:
        if not tree.checking:
            tree.checking = True
            known = tree.watched
            self._submit(lambda: self._watch(directory, known=known))

    def _watch(self, directory: str, *, known: bool) -> None:
        """A worker's job; ``known`` if the directory was watched before."""
        try:
            problem = self._watcher.watch(directory)
        except Exception as error:  # noqa: BLE001  watching is never worth a failure
            _log.exception("%s cannot be watched", directory)
            problem = f"{type(error).__name__}: {error}"
        self._checked.append((directory, problem))
        if problem or not known:  # else there is no news, and the next turn is soon enough
            self._wake()

    def _note_check(self, directory: str, problem: str) -> None:
        tree = self._trees.get(directory)
        if tree is None:  # released in the meantime
            self._submit(lambda: self._watcher.release(directory))
            return
        if problem and problem != tree.problem:
            _log.info("%s is not watched: %s", directory, problem)
        tree.checking = False
        tree.watched = not problem
        tree.problem = problem

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
