# SPDX-License-Identifier: GPL-2.0-only
"""kallsymsctl list: lists the object trees with the hook, and whether it works there."""

import argparse
import os
from typing import TYPE_CHECKING

from kallsymsd.ctl import command
from kallsymsd.ctl.command import Context, Parsers
from kallsymsd.ctl.terminal import as_json, tell
from kallsymsd.protocol.paths import path_text

if TYPE_CHECKING:
    from pathlib import Path

    from kallsymsd.kbuild.hook.hookedtrees import State

_TEXT = """\
Lists the object trees in which you ran "kallsymsctl install". Each has "ok",
and "one link" if requested, or says why its builds fall back to
scripts/kallsyms: a file is missing or was replaced, or the installation was
removed. Anything that a trial rejected in the tree is listed, too.
"""
_EXAMPLES = """\
kallsymsctl list
kallsymsctl list --json | jq -r '.[] | select(.works | not) | .tree'
"""
_STATUS = """\
0  all trees use kallsyms, or there is none
1  one does not
"""


def register(parsers: Parsers) -> None:
    """Add the subcommand."""
    parser = command.add(
        parsers,
        "list",
        _run,
        summary="list object trees with the hook, and whether it works",
        text=_TEXT,
        examples=_EXAMPLES,
        status=_STATUS,
    )
    parser.add_argument("--json", action="store_true", help="print one JSON list")


def installed() -> "list[tuple[Path, State]]":
    """The object trees in which the hook was installed, and its state there.

    BadPathError if there is no home directory, and so no list of them.
    """
    from kallsymsd.kbuild.hook.hookedtrees import state  # noqa: PLC0415  as above
    from kallsymsd.kbuild.hook.hookfiles import program_of  # noqa: PLC0415  takes time to load
    from kallsymsd.kbuild.hook.registry import Registry, data_directory  # noqa: PLC0415  as above

    return [(objects, state(objects, program_of)) for objects in Registry(data_directory(os.environ)).trees()]


def _run(_: Context, options: argparse.Namespace) -> int:
    found = [
        (
            path_text(os.fsencode(objects)),
            state.works,
            state.one_link,
            path_text(os.fsencode("; ".join(filter(None, (state.remark, *_rejected(objects)))))),
        )
        for objects, state in installed()
    ]
    if options.json:
        keys = "tree", "works", "one_link", "remark"
        print(as_json([dict(zip(keys, each, strict=True)) for each in found]))
    else:
        for tree, works, one_link, remark in found:
            words = ("ok" if works else "", "one link" if one_link else "", remark)
            tell(f"{tree}: {', '.join(filter(None, words))}")
    return 0 if all(works for _, works, _, _ in found) else 1


def _rejected(objects: "Path") -> list[str]:
    """What trials rejected in an object tree."""
    from kallsymsd.ctl import trials  # noqa: PLC0415  as above

    return trials.rejected(trials.read(objects))
