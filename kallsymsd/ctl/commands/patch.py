# SPDX-License-Identifier: GPL-2.0-only
"""kallsymsctl patch: for those who would rather change link-vmlinux.sh than have it hooked."""

import argparse
import os
from pathlib import Path

from kallsymsd.ctl import command
from kallsymsd.ctl.command import CommandError, Context, Parsers
from kallsymsd.ctl.terminal import pass_on

_TEXT = """\
Prints a patch of a few lines for the source tree's scripts/link-vmlinux.sh,
with which it runs "kallsyms", found in PATH, with all files named. It is made
from that tree's own script. Without the package such a tree does not link:
"kallsymsctl run" and "kallsymsctl install" need no patch.
"""
_EXAMPLES = """\
kallsymsctl patch --print | git apply
kallsymsctl patch --print --srctree ../linux
"""


def register(parsers: Parsers) -> None:
    """Add the subcommand."""
    parser = command.add(
        parsers,
        "patch",
        _run,
        summary="a patch for link-vmlinux.sh, to use kallsyms without the hook",
        text=_TEXT,
        examples=_EXAMPLES,
    )
    parser.add_argument("--print", action="store_true", required=True, help="print it; nothing else is done")
    parser.add_argument(
        "--srctree",
        type=Path,
        default=Path(),
        metavar="DIR",
        help="the source tree (default: the working directory)",
    )


def _run(_: Context, options: argparse.Namespace) -> int:
    from kallsymsd.kbuild.hook.scriptpatch import PatchError, make  # noqa: PLC0415  takes time to load

    try:
        text = make(options.srctree)
    except PatchError as error:
        raise CommandError(str(error)) from error
    pass_on(os.fsencode(text))
    return 0
