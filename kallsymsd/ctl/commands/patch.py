# SPDX-License-Identifier: GPL-2.0-only
"""kallsymsctl patch: prints a patch for link-vmlinux.sh, as an alternative to the hook."""

import argparse
import os
from pathlib import Path

from kallsymsd.ctl import command
from kallsymsd.ctl.command import CommandError, Context, Parsers
from kallsymsd.ctl.terminal import pass_on

_TEXT = """\
Prints a small patch for the source tree's own scripts/link-vmlinux.sh that
runs "kallsyms" from PATH, with all files named. A patched tree does not link
without kallsyms; "kallsymsctl run" and "kallsymsctl install" need no patch.
"""
_EXAMPLES = """\
kallsymsctl patch --print | git apply         # in the source tree
kallsymsctl patch --print --srctree ../linux  # of another source tree
"""


def register(parsers: Parsers) -> None:
    """Add the subcommand."""
    parser = command.add(
        parsers,
        "patch",
        _run,
        summary="print a patch for link-vmlinux.sh, to use kallsyms without the hook",
        text=_TEXT,
        examples=_EXAMPLES,
    )
    parser.add_argument("--print", action="store_true", required=True, help="print the patch (required)")
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
