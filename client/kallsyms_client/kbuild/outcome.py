# SPDX-License-Identifier: GPL-2.0-only
"""How the last link of an object tree went; ``kallsymsctl explain`` tells it."""

from __future__ import annotations

import contextlib
import json
import time
from pathlib import Path

#: In the object tree; "make clean" removes it.
NAME = ".tmp_vmlinux.link"
# Characters that it may have.
_MOST = 1 << 16


class Outcome:
    """One run of scripts/link-vmlinux.sh.

    links           links done; 0 when the script did its own
    predicted       sizes of the tables were foretold
    removed, added  symbols that the prediction took from the last map and put into it
    reason          why it was not one link, "" if it was
    when            in seconds since 1970
    """

    def __init__(
        self,
        *,
        links: int = 0,
        predicted: bool = False,
        removed: int = 0,
        added: int = 0,
        reason: str = "",
        when: float | None = None,
    ) -> None:
        self.links = links
        self.predicted = predicted
        self.removed = removed
        self.added = added
        self.reason = reason
        self.when = time.time() if when is None else when

    def describe(self) -> str:
        """It in words, without a full stop; "" if there was none."""
        if self.links == 1:
            return f"one link, foretold with {self.removed} symbols gone and {self.added} new"
        if self.links:
            foretold = "foretold wrong" if self.predicted else "not foretold"
            return f"{self.links} links, {foretold}: {self.reason}"
        return f"as often as the kernel's script does: {self.reason}" if self.reason else ""

    def save(self) -> None:
        """Write it down; it is worth no failure."""
        with contextlib.suppress(OSError):
            Path(NAME).write_text(json.dumps(vars(self)) + "\n")

    @classmethod
    def load(cls, tree: str = ".") -> Outcome:
        """The last one of ``tree``; an empty one if there is none."""
        try:
            with Path(tree, NAME).open() as file:
                return cls(**json.loads(file.read(_MOST)))
        except (OSError, ValueError, TypeError):
            return cls()
