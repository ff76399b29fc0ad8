# SPDX-License-Identifier: GPL-2.0-only
"""kallsymsctl install and uninstall: put the hook into a kernel's object tree and remove it."""

import argparse
import os
from pathlib import Path

from kallsymsd.ctl import command
from kallsymsd.ctl.command import CommandError, Context, Parsers
from kallsymsd.ctl.terminal import tell

_TEXT = """\
Makes every build in OBJTREE use kallsyms in place of the tree's
scripts/kallsyms. vmlinux and System.map are identical, and nothing is rebuilt.

OBJTREE gets two small files, GNUmakefile and .kallsymsd.mk. The source tree
gets a GNUmakefile for "make O=OBJTREE". kbuild leaves them alone, even in
"make mrproper". Install again to switch --one-link on or off.
"""
_EXAMPLES = """\
kallsymsctl install                # the object tree is the working directory
kallsymsctl install ../build
kallsymsctl install --one-link     # also link vmlinux once
kallsymsctl install                # back to the kernel's own links
make -f Makefile                   # build once without the hook
"""
_UNINSTALL_TEXT = """\
Removes the files of "kallsymsctl install" from OBJTREE, and from the source
tree unless another object tree needs them. Nothing is rebuilt.
"""
_UNINSTALL_EXAMPLES = """\
kallsymsctl uninstall              # the object tree is the working directory
kallsymsctl uninstall ../build
"""


def register(parsers: Parsers) -> None:
    """Add both subcommands."""
    install = command.add(
        parsers,
        "install",
        _install,
        summary="make every build in an object tree use kallsyms",
        text=_TEXT,
        examples=_EXAMPLES,
    )
    uninstall = command.add(
        parsers,
        "uninstall",
        _uninstall,
        summary="undo install",
        text=_UNINSTALL_TEXT,
        examples=_UNINSTALL_EXAMPLES,
    )
    install.add_argument(
        "--one-link",
        action="store_true",
        help="link vmlinux once instead of three times where the result is the same (docs/one-link.md)",
    )
    for parser in (install, uninstall):
        parser.add_argument(
            "objtree",
            nargs="?",
            type=Path,
            default=Path(),
            metavar="OBJTREE",
            help="the object tree (default: the working directory)",
        )


def _install(_: Context, options: argparse.Namespace) -> int:
    from kallsymsd.kbuild.hook.installation import HookError, TreeError, install  # noqa: PLC0415  takes time to load

    try:
        note = install(options.objtree, os.environ, one_link=options.one_link)
    except (TreeError, HookError) as error:
        raise CommandError(str(error)) from error
    if note:
        tell(f"note: {note}")
    return 0


def _uninstall(_: Context, options: argparse.Namespace) -> int:
    from kallsymsd.kbuild.hook.installation import TreeError, uninstall  # noqa: PLC0415  as above

    try:
        uninstall(options.objtree, os.environ)
    except TreeError as error:
        raise CommandError(str(error)) from error
    return 0
