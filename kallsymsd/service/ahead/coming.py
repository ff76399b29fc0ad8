# SPDX-License-Identifier: GPL-2.0-only
"""Maps that are foretold: of a linked kernel, before nm and mksysmap make them, or of what will be linked."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from kallsymsd.protocol.wire import HIT
from kallsymsd.service.reading import UnreadableError

if TYPE_CHECKING:
    from kallsymsd.core.dialects import Dialect
    from kallsymsd.service.builds import Outcome

# Wrong ones of one map in a row after which there are no more: two with each nm.
_MOST_WRONG = 4


def map_of_inputs(directory: str, dialect: Dialect) -> bytes:
    """The map that the next link in ``directory`` is expected to give; a worker's job.

    Clients ask about it in trees with one link (docs/one-link.md). Raises UnreadableError for all others, and
    whenever there is no telling; InputError for a file that makes no sense: it may be half-written.
    """
    from kallsymsd.onelink import lastlink  # noqa: PLC0415  as above
    from kallsymsd.onelink.prediction import UnpredictableError  # noqa: PLC0415  the daemon listens before that is loaded

    try:
        return lastlink.predicted_map(Path(directory), dialect)
    except (OSError, UnpredictableError) as error:
        raise UnreadableError(str(error)) from error


class Foretelling:
    """What was foretold of one tree's linked kernels, and whether that is of use; maps go by their names.

    A map that differs from what was foretold costs the work and nothing else: its own contents decide.
    """

    def __init__(self) -> None:
        self._open: set[str] = set()
        self._wrong: dict[str, int] = {}

    def nm(self, name: str) -> int | None:
        """Whose nm the map is to be foretold with (kallsymsd.elf.nm); None if there is no use in it.

        Now the one, now the other, as long as it is wrong.
        """
        wrong = self._wrong.get(name, 0)
        return wrong % 2 if wrong < _MOST_WRONG else None

    def made(self, name: str) -> None:
        """The map was foretold and its tables are made."""
        self._open.add(name)

    def compare(self, name: str, outcome: Outcome) -> None:
        """The map itself has come, and ``outcome`` is what became of it: a hit if it is as was foretold."""
        if name in self._open and outcome.answer is not None:
            self._open.discard(name)
            right = outcome.how.made == HIT or outcome.how.ready
            self._wrong[name] = 0 if right else self._wrong.get(name, 0) + 1

    def forget(self, name: str) -> None:
        """The map is not asked about any more."""
        self._open.discard(name)
        self._wrong.pop(name, None)
