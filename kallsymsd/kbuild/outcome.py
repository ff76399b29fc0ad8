# SPDX-License-Identifier: GPL-2.0-only
"""How the last link of an object tree went; ``kallsymsctl explain`` tells it."""

from __future__ import annotations

import contextlib
import json
import posix
import time

from kallsymsd.protocol import notes, places
from kallsymsd.protocol.regular import read_regular, write_regular

#: In the object tree; "make clean" removes it.
NAME = ".tmp_vmlinux.link"
# Characters that it may have, and the largest number in it.
_MOST = 1 << 16
_LARGEST = 1 << 40


class Outcome:
    """One run of scripts/link-vmlinux.sh.

    links           links done; 0 when the script did its own
    predicted       sizes of the tables were foretold
    removed, added  symbols that the prediction took from the last map and put into it
    reason          why it was not one link, "" if it was
    begun           when the link that is to be patched was begun, in seconds of CLOCK_MONOTONIC; 0 for none
    seconds         what that link took, with the assembling of its tables
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
        begun: float = 0.0,
        seconds: float = 0.0,
        when: float | None = None,
    ) -> None:
        self.links = links
        self.predicted = predicted
        self.removed = removed
        self.added = added
        self.reason = reason
        self.begun = begun
        self.seconds = seconds
        self.when = time.time() if when is None else when

    def describe(self) -> str:
        """It in words, without a full stop; "" if there was none."""
        if self.begun:
            return "as often as the kernel's script does: it was cut short"
        if self.links == 1:
            return f"one link, foretold with {self.removed} symbols gone and {self.added} new"
        if self.links:
            foretold = "foretold wrong" if self.predicted else "not foretold"
            return f"{self.links} links, {foretold}: {self.reason}"
        return f"as often as the kernel's script does: {self.reason}" if self.reason else ""

    def begin(self) -> None:
        """The link begins now."""
        self.begun = time.monotonic()
        self.save()

    def end(self, links: int) -> None:
        """It has ended, the ``links``-th of this run."""
        self.links = links
        if self.begun:
            self.seconds = max(0.0, time.monotonic() - self.begun)
            self.begun = 0.0

    def finish(self, *, failed: bool = False) -> None:
        """It is as it will stay: write it down, and count it. ``failed``: the reason is an error."""
        self.save()
        saved = max(0, notes.SCRIPT_LINKS - self.links) * self.seconds if self.links else 0.0
        notes.count_link(
            places.made_cache_directory(posix.environ), self._how(failed=failed), self.links, saved
        )

    def _how(self, *, failed: bool) -> str:
        """A key of notes.LINKED."""
        if not self.links:
            return "failed" if failed else "stock"
        if not self.predicted:
            return "unknown"
        return "right" if self.links == 1 else "wrong"

    def save(self) -> None:
        """Write it down; it is worth no failure."""
        with contextlib.suppress(OSError):
            write_regular(NAME, (json.dumps(vars(self)) + "\n").encode(), mode=0o666)

    @classmethod
    def load(cls, tree: str = ".") -> Outcome:
        """The last one of ``tree``; an empty one if there is none. What makes no sense is left out."""
        outcome = cls()
        try:
            values = json.loads(read_regular(f"{tree}/{NAME}", _MOST, follow=False)).items()
        except (OSError, ValueError, AttributeError, RecursionError):
            return outcome
        for name, value in values:
            is_possible = type(value) is type(vars(outcome).get(name)) and value is not None
            if is_possible and (isinstance(value, str) or 0 <= value < _LARGEST):
                setattr(outcome, name, value)
        return outcome
