# SPDX-License-Identifier: GPL-2.0-only
"""Predicted maps: of a linked kernel before nm and mksysmap make its map, or of the next link's inputs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from kallsymsd.protocol.wire import HIT
from kallsymsd.service.reading import UnreadableError

if TYPE_CHECKING:
    from kallsymsd.core.dialects import Dialect
    from kallsymsd.service.ticket import Outcome

# Wrong predictions of one map in a row after which there are no more: two with each nm.
_MOST_WRONG = 4


def map_of_inputs(directory: str, dialect: Dialect) -> bytes:
    """The map that the next link in ``directory`` is predicted to give; a worker's job.

    Clients ask about it in trees with one link (docs/one-link.md). Raises UnreadableError for all other
    trees and whenever the map cannot be predicted; InputError for a file that makes no sense, such as one
    that is half-written.
    """
    from kallsymsd.onelink import lastlink  # noqa: PLC0415  the daemon listens before this is loaded
    from kallsymsd.onelink.prediction import UnpredictableError  # noqa: PLC0415  likewise

    try:
        return lastlink.predicted_map(Path(directory), dialect)
    except (OSError, UnpredictableError) as error:
        raise UnreadableError(str(error)) from error


class PredictedMaps:
    """Which maps of a tree were predicted from linked kernels, and whether that is of use. Maps go by name.

    A wrong prediction costs its computation and nothing else: requests are answered by the map's contents.
    """

    def __init__(self) -> None:
        self._open: set[str] = set()
        self._wrong: dict[str, int] = {}

    def nm(self, name: str) -> int | None:
        """The nm to predict the map with (kallsymsd.elf.nm); None if predicting it is of no use.

        After each wrong prediction it is the other nm's turn.
        """
        wrong = self._wrong.get(name, 0)
        return wrong % 2 if wrong < _MOST_WRONG else None

    def predicted(self, name: str) -> None:
        """The map was predicted, and its tables are computed."""
        self._open.add(name)

    def compare(self, name: str, outcome: Outcome) -> None:
        """The map itself was met with ``outcome``: a hit, or precomputed, if the prediction was right."""
        if name in self._open and outcome.answer is not None:
            self._open.discard(name)
            right = outcome.how.made == HIT or outcome.precomputed
            self._wrong[name] = 0 if right else self._wrong.get(name, 0) + 1

    def forget(self, name: str) -> None:
        """The map is not asked about any more."""
        self._open.discard(name)
        self._wrong.pop(name, None)
