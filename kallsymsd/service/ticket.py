# SPDX-License-Identifier: GPL-2.0-only
"""A request on its way through the daemon, and what became of it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from kallsymsd.protocol.paths import path_text

if TYPE_CHECKING:
    from collections.abc import Callable

    from kallsymsd.engine.answer import Answer
    from kallsymsd.protocol.wire import BuildRequest, How

#: A file: its directory and its name in it.
Place = tuple[str, str]


class Ticket:
    """A client's request, or precomputation for a request that may come.

    request    what the client asks for
    descriptor the map, closed by close(); -1 for none
    began      when it came, in seconds of the loop's clock
    path       the map's path, once it is known to name the open file; "" until then
    ahead      no client has asked yet
    predict    makes the map's text before there is a map; the descriptor is then another file's, or -1
    cancelled  the client is gone; set by the loop, read by workers
    read       microseconds spent reading the map
    """

    __slots__ = ("ahead", "began", "cancelled", "descriptor", "path", "predict", "read", "request")

    def __init__(
        self,
        request: BuildRequest,
        descriptor: int,
        began: float,
        *,
        path: str = "",
        ahead: bool = False,
        predict: Callable[[int], bytes] | None = None,
    ) -> None:
        self.request = request
        self.descriptor = descriptor
        self.began = began
        self.path = path
        self.ahead = ahead
        self.predict = predict
        self.cancelled = False
        self.read = 0

    @property
    def label(self) -> str:
        """The map, for a person."""
        return path_text(os.fsencode(self.path)) or "a map"

    @property
    def place(self) -> Place:
        """Directory and name of the map; empty until the path is known."""
        directory, _, name = self.path.rpartition("/")
        return directory, name

    def close(self) -> None:
        """Close the map."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1


class Outcome(NamedTuple):
    """What became of a ticket: an answer, or one line that says why there is none.

    how          how this client's answer was made
    precomputed  the work was done, or begun, before this client asked
    shared       the computation belongs to another ticket
    is_empty     the tables have no symbol at all: the first pass of a link since v6.11
    """

    answer: Answer | None
    how: How
    failure: str = ""
    precomputed: bool = False
    shared: bool = False
    is_empty: bool = False
