# SPDX-License-Identifier: GPL-2.0-only
"""Records how the last link of an object tree went, for ``kallsymsctl explain``."""

from __future__ import annotations

import contextlib
import json
import posix
import time

from kallsymsd.protocol import notes, places
from kallsymsd.protocol.regular import read_regular, write_regular

#: A file in the object tree; "make clean" removes it.
NAME = ".tmp_vmlinux.link"
# Size limit of the file in bytes, and the largest number in it.
_MOST = 1 << 16
_LARGEST = 1 << 40


class Outcome:
    """One run of scripts/link-vmlinux.sh.

    links           number of links; 0 if the kernel's own links were done
    predicted       whether the table sizes were predicted
    removed, added  symbols that the prediction removed from the last map and added to it
    reason          why it was not one link, "" if it was
    begun           start of the link under way, in seconds of CLOCK_MONOTONIC; 0 for none
    seconds         duration of the last link, with the assembly of its tables
    when            seconds since the epoch
    """

    def __init__(self, reason: str = "") -> None:
        self.links = 0
        self.predicted = False
        self.removed = 0
        self.added = 0
        self.reason = reason
        self.begun = 0.0
        self.seconds = 0.0
        self.when = time.time()

    def describe(self) -> str:
        """The outcome in words; "" if there was no link."""
        if self.begun:
            return "fell back to the kernel's own links: interrupted"
        if self.links == 1:
            return f"one link, predicted with {self.removed} symbols removed and {self.added} added"
        if self.links:
            prediction = "wrong prediction" if self.predicted else "no prediction"
            return f"{self.links} links, {prediction}: {self.reason}"
        return f"fell back to the kernel's own links: {self.reason}" if self.reason else ""

    def begin(self) -> None:
        """Record that a link starts now."""
        self.begun = time.monotonic()
        self.save()

    def end(self, links: int) -> None:
        """Record that it has ended, as number ``links`` of this run."""
        self.links = links
        if self.begun:
            self.seconds = max(0.0, time.monotonic() - self.begun)
            self.begun = 0.0

    def finish(self, *, failed: bool = False) -> None:
        """Save and count the final outcome. ``failed``: the reason is an error."""
        self.save()
        saved = max(0, notes.SCRIPT_LINKS - self.links) * self.seconds if self.links else 0.0
        notes.count_link(
            places.made_cache_directory(posix.environ), self._how(failed=failed), self.links, saved
        )

    def _how(self, *, failed: bool) -> str:
        """The key in notes.LINKED."""
        if not self.links:
            return "failed" if failed else "stock"
        if not self.predicted:
            return "unknown"
        return "right" if self.links == 1 else "wrong"

    def save(self) -> None:
        """Write the file; errors are ignored."""
        with contextlib.suppress(OSError):
            write_regular(NAME, (json.dumps(vars(self)) + "\n").encode(), mode=0o666)

    @classmethod
    def load(cls, tree: str = ".") -> Outcome:
        """The last outcome in ``tree``, an empty one if there is none. Invalid fields are ignored."""
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
