# SPDX-License-Identifier: GPL-2.0-only
"""The last requests, and why each was answered as it was."""

from __future__ import annotations

import threading
import time
import weakref
from collections import OrderedDict, deque
from typing import TYPE_CHECKING, Any

from kallsymsd.protocol.notes import Fallback
from kallsymsd.protocol.paths import path_text
from kallsymsd.protocol.wire import ADDRESSES, HIT, INCREMENTAL, MADE, BuildRequest
from kallsymsd.service import mapdiff

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from kallsymsd.engine.recentmaps import MapText
    from kallsymsd.service.ticket import Outcome, Ticket

#: Requests remembered.
MOST = 200

#: Requests remembered that clients met without the daemon.
MOST_NOTED = 100

#: Requests in one answer. Comparing the maps of each takes milliseconds, while no client is answered.
TOLD = 20

# Trees whose last map is known, as long as it is in the engine.
_MOST_TREES = 256
# Characters shown of a line.
_SHOWN = 200


class _Entry:
    """A request, and the maps that show why it was answered as it was.

    Comparing the maps costs as much as answering a request, so that is left until a user asks. The engine
    keeps two or three maps; if it has dropped one of these, the difference can no longer be found.
    """

    __slots__ = (
        "_contents",
        "_difference",
        "_first",
        "_how",
        "_last",
        "_made",
        "_precomputed",
        "_shared",
        "_time",
        "_why",
        "request",
    )

    def __init__(
        self,
        request: BuildRequest,
        outcome: Outcome,
        now: float,
        last: MapText | None,
        contents: MapText | None,
    ) -> None:
        self.request = request
        self._time = now
        # Not the outcome itself, which would keep the answer in memory.
        self._how = outcome.how
        self._precomputed = outcome.precomputed
        self._shared = outcome.shared
        self._made = _made(outcome)
        self._why = _why(outcome, is_first=last is None)
        self._first = _first(outcome)
        self._last = weakref.ref(last) if last is not None else None
        self._contents = weakref.ref(contents) if contents is not None else None
        self._difference: list[Any] | None = None

    def message(self) -> dict[str, Any]:
        """What to show to the user; made only now, since most are never asked about."""
        request, how = self.request, self._how
        return {
            "time": self._time,
            "tree": path_text(request.tree),
            "map": path_text(request.map_path),
            "dialect": request.dialect,
            "options": request.options,
            "made": self._made,
            "ready": self._precomputed,
            "shared": self._shared,
            "symbols": how.symbols,
            "changed": how.changed,
            "kept": how.kept,
            "steps": how.steps,
            "stages": list(how.stages),
            "why": self._why,
            "first": self._first,
            "difference": self._found(),
        }

    def _found(self) -> list[Any]:
        """Number and texts of the first line that differs from the last map's; empty if not known."""
        if self._difference is None:
            last = self._last() if self._last is not None else None
            contents = self._contents() if self._contents is not None else None
            self._difference = _difference(last, contents)
        return self._difference


class History:
    """A bounded list of requests. Workers add to it, the loop reads it."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        """``clock`` tells the time of day."""
        self._clock = clock
        self._entries: deque[_Entry] = deque(maxlen=MOST)
        self._noted: deque[Fallback] = deque(maxlen=MOST_NOTED)
        # Weak references: an explanation must not keep what the engine has dropped.
        self._maps: OrderedDict[tuple[bytes, str, int], weakref.ref[MapText]] = OrderedDict()
        self._lock = threading.Lock()

    def last_map(self, request: BuildRequest, contents: MapText) -> MapText | None:
        """The map before ``contents`` in the request's tree, if it is in memory; None before an empty map."""
        key = request.tree, request.dialect, request.options
        with self._lock:
            known = self._maps.pop(key, None)
            # Links since v6.11 begin with an empty map, which says nothing about the tree.
            newest = weakref.ref(contents) if contents.text else known
            if newest is not None:
                self._maps[key] = newest
            if len(self._maps) > _MOST_TREES:
                self._maps.popitem(last=False)
        return known() if known is not None and contents.text else None

    def add(
        self,
        ticket: Ticket,
        outcome: Outcome,
        contents: MapText | None = None,
        last: MapText | None = None,
    ) -> None:
        """A request about ``contents`` was answered; ``last`` is what last_map() returned."""
        entry = _Entry(ticket.request, outcome, self._clock(), last, contents)
        with self._lock:
            self._entries.append(entry)

    def fall_back(self, noted: Iterable[object]) -> None:
        """Add what clients recorded about requests that they met without the daemon; ignore other records."""
        with self._lock:
            self._noted.extend(each for each in noted if isinstance(each, Fallback))

    def fallbacks(self) -> list[dict[str, Any]]:
        """The requests met without the daemon, oldest first: reason, time, device and inode of the tree."""
        with self._lock:
            return [{"reason": each.reason, "time": each.time, "tree": each.tree} for each in self._noted]

    def entries(self, tree: str = "") -> list[dict[str, Any]]:
        """The last requests from ``tree`` (default: all trees), at most TOLD, oldest first."""
        with self._lock:
            found = [each for each in self._entries if not tree or tree == path_text(each.request.tree)]
        return [each.message() for each in found[-TOLD:]]


def _made(outcome: Outcome) -> str:
    """The outcome of the request, in a word."""
    if outcome.answer is None:
        return "failure"
    return MADE[outcome.how.made] if outcome.answer.ok else "bad input"


def _why(outcome: Outcome, *, is_first: bool) -> str:
    """Why the answer was not a hit, in one line; "" for a hit."""
    how = outcome.how
    if outcome.answer is None:
        return outcome.failure
    if not outcome.answer.ok:
        return outcome.answer.reply.message.decode("utf-8", "replace").partition("\n")[0]
    if how.made == HIT:
        return ""
    if outcome.is_empty:
        return "the map is empty: a link begins with that, before there are symbols"
    if how.made == ADDRESSES:
        return "the map differs from the last one in addresses only"
    if how.made == INCREMENTAL and not how.changed:
        return "no symbol was added, removed or renamed since the last map, but their order differs"
    if how.made == INCREMENTAL:
        were = "symbol was" if how.changed == 1 else "symbols were"
        return f"{how.changed} {were} added, removed or renamed since the last map"
    if is_first:
        return "nothing was known of this tree with these options"
    return "so much differs from the last map that computing all of it costs less"


def _first(outcome: Outcome) -> list[str]:
    """The first symbol removed and the first one added, "" for none; empty unless known."""
    if outcome.answer is None or outcome.how.made != INCREMENTAL:
        return []
    return [
        (each[:1] + b" " + each[1:]).decode("utf-8", "replace")[:_SHOWN] if each else ""
        for each in outcome.answer.changed
    ]


def _difference(last: MapText | None, contents: MapText | None) -> list[Any]:
    """Number and texts of the first line that differs from the last map's; empty if there is none."""
    if last is None or contents is None or last is contents:
        return []
    found = mapdiff.first(last.text, contents.text)
    if found is None:
        return []
    return [found.number, *(line.decode("utf-8", "replace")[:_SHOWN] for line in (found.old, found.new))]
