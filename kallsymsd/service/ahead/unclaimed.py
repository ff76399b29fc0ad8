# SPDX-License-Identifier: GPL-2.0-only
"""Answers that were made ahead and that no client has had: used in the end, or wasted."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from kallsymsd.engine.answer import Answer
    from kallsymsd.protocol.wire import BuildRequest
    from kallsymsd.service.tally import Tally

#: A file: its directory and its name there.
Place = tuple[str, str]


class _Made(NamedTuple):
    answer: weakref.ref[Answer]
    request: BuildRequest


class Unclaimed:
    """At most one answer for each map. Belongs to the loop's thread."""

    def __init__(self, tally: Tally) -> None:
        self._tally = tally
        self._made: dict[Place, _Made] = {}

    def add(self, place: Place, request: BuildRequest, answer: Answer) -> None:
        """``answer`` was made ahead of the ``request`` that is expected for the map there."""
        self._made[place] = _Made(weakref.ref(answer), request)

    def asked(self, place: Place, request: BuildRequest, answer: Answer, *, ready: bool) -> None:
        """A client asked about the map there, and got ``answer``; ``ready`` if that had been made ahead."""
        if ready:
            for each, made in list(self._made.items()):
                known = made.answer()
                # None: it had left memory, and was read back from disk.
                if known is answer or (each == place and known is None):
                    del self._made[each]
        elif place in self._made and _is_same(self._made[place].request, request):
            self.waste(place)  # the very question came, and it is not the answer

    def waste(self, place: Place) -> None:
        """What was made ahead there, if anything was, is of no use any more."""
        if self._made.pop(place, None) is not None:
            self._tally.ahead_wasted()


def _is_same(one: BuildRequest, other: BuildRequest) -> bool:
    return all(getattr(one, field) == getattr(other, field) for field in one.__slots__)
