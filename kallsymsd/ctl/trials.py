# SPDX-License-Identifier: GPL-2.0-only
"""What trials have found (kallsymsd.kbuild.trial.verdicts), as kallsymsctl tells it."""

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from kallsymsd import __version__
from kallsymsd.ctl.show import Rows, counted_text
from kallsymsd.kbuild.trial import verdicts
from kallsymsd.kbuild.trial.verdicts import BEGUN, LINK, MAP, SAME, TOOL, Verdict
from kallsymsd.protocol.paths import notes_directory

#: What is tried, and what is done where ours gives something else.
_KINDS = {
    TOOL: ("scripts/kallsyms", "it makes the tables itself"),
    MAP: ("nm and mksysmap", "they make the map"),
    LINK: ("one link", "vmlinux is linked by the kernel's script"),
}


def read(tree: Path | None = None) -> list[Verdict]:
    """The verdicts of this version, oldest first; with ``tree`` those that came about in this object tree."""
    directory = notes_directory(os.environ)
    if directory is None:
        return []
    found = verdicts.everything(os.fsencode(directory) + verdicts.DIRECTORY)
    wanted = os.path.realpath(tree) if tree else None
    return [verdict for verdict in found if verdict.version == __version__ and wanted in (None, verdict.tree)]


def described(verdict: Verdict) -> str:
    """A verdict in words, without a full stop."""
    what, instead = _KINDS[verdict.kind]
    subject = f"{what} ({verdict.subject})" if verdict.subject else what
    if verdict.result == SAME:
        of_dialect = f" as dialect {verdict.dialect}" if verdict.dialect else ""
        return f"{subject}: tried, the same{of_dialect}"
    if verdict.result == BEGUN:
        return f"{subject}: being tried"
    return f"{subject}: tried, {verdict.reason}; {instead}"


def refused(found: Sequence[Verdict]) -> list[str]:
    """What is left to the kernel's own flow, and why, in words."""
    return [described(verdict) for verdict in found if verdict.result == verdicts.DIFFERENT]


def rows(found: Sequence[Verdict]) -> Rows:
    """How many of each kind were tried, and what is refused, as rows of a table."""
    made = []
    for kind, (what, _) in _KINDS.items():
        results = Counter(verdict.result for verdict in found if verdict.kind == kind)
        if results:
            counts = [f"{results[SAME]:,} the same", f"{results[verdicts.DIFFERENT]:,} refused"]
            if results[BEGUN]:
                counts.append(f"{results[BEGUN]:,} being tried")
            made.append((what, ", ".join(counts), counted_text(results.total(), "trial")))
    return [*made, *(("refused", text, "") for text in refused(found))]
