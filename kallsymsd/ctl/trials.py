# SPDX-License-Identifier: GPL-2.0-only
"""Describes the verdicts of trials (kallsymsd.kbuild.trial.verdicts) for people."""

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from kallsymsd import __version__
from kallsymsd.ctl.show import Rows, counted_text
from kallsymsd.kbuild.trial import verdicts
from kallsymsd.kbuild.trial.verdicts import BEGUN, LINK, MAP, SAME, TOOL, Verdict
from kallsymsd.protocol.paths import notes_directory

#: Subject of each kind of trial, and what a build uses if it is rejected.
_KINDS = {
    TOOL: ("scripts/kallsyms", "builds use the kernel's own tool"),
    MAP: ("nm and mksysmap", "builds use nm and mksysmap"),
    LINK: ("one link", "builds use the kernel's own links"),
}


def read(tree: Path | None = None) -> list[Verdict]:
    """The verdicts of this version, oldest first; with ``tree``, only those from this object tree."""
    directory = notes_directory(os.environ)
    if directory is None:
        return []
    found = verdicts.everything(os.fsencode(directory) + verdicts.DIRECTORY)
    wanted = os.path.realpath(tree) if tree else None
    return [verdict for verdict in found if verdict.version == __version__ and wanted in (None, verdict.tree)]


def described(verdict: Verdict) -> str:
    """A verdict in words."""
    what, instead = _KINDS[verdict.kind]
    subject = f"{what} ({verdict.subject})" if verdict.subject else what
    if verdict.result == SAME:
        of_dialect = f" as dialect {verdict.dialect}" if verdict.dialect else ""
        return f"{subject}: trusted{of_dialect}, a trial gave the same result"
    if verdict.result == BEGUN:
        return f"{subject}: on trial"
    return f"{subject}: rejected by a trial, {verdict.reason}; {instead}"


def rejected(found: Sequence[Verdict]) -> list[str]:
    """What trials rejected, and why, in words."""
    return [described(verdict) for verdict in found if verdict.result == verdicts.DIFFERENT]


def rows(found: Sequence[Verdict]) -> Rows:
    """The number of verdicts of each kind, and what was rejected, as rows of a table."""
    made = []
    for kind, (what, _) in _KINDS.items():
        results = Counter(verdict.result for verdict in found if verdict.kind == kind)
        if results:
            counts = [f"{results[SAME]:,} trusted", f"{results[verdicts.DIFFERENT]:,} rejected"]
            if results[BEGUN]:
                counts.append(f"{results[BEGUN]:,} on trial")
            made.append((what, ", ".join(counts), counted_text(results.total(), "trial")))
    return [*made, *(("rejected", text, "") for text in rejected(found))]
