# SPDX-License-Identifier: GPL-2.0-only
"""Maps that are foretold from the linked kernel, before nm and mksysmap have made them."""

from kallsyms_client.wire import ELF, HIT, BuildRequest
from kallsymsd.service.builds import Outcome

# Wrong ones of one map in a row after which there are no more: two with each nm.
_MOST_WRONG = 4


class Foretelling:
    """What was foretold in one tree, and whether that is of any use; maps go by their names.

    A map that differs from what was foretold costs the work and nothing else: its own contents decide.
    """

    def __init__(self) -> None:
        self._open: set[str] = set()
        self._wrong: dict[str, int] = {}

    def request(self, name: str, last: BuildRequest) -> tuple[BuildRequest | None, int]:
        """The ``last`` request about a map as one about its linked kernel; None if there is no use in that.

        And whose nm it is to be (kallsymsd.core.nm): now the one, now the other, as long as it is wrong.
        """
        wrong = self._wrong.get(name, 0)
        if wrong >= _MOST_WRONG:
            return None, 0
        fields = {field: getattr(last, field) for field in BuildRequest.__slots__}
        return BuildRequest(**{**fields, "source": ELF}), wrong % 2

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
