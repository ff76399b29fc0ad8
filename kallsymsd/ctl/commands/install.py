# SPDX-License-Identifier: GPL-2.0-only
"""kallsymsctl install and uninstall: the hook in a kernel's object tree, for every make from now on."""

import argparse
import os
from pathlib import Path

from kallsymsd.ctl import command
from kallsymsd.ctl.command import CommandError, Context, Parsers
from kallsymsd.ctl.terminal import tell

_TEXT = """\
From now on every make in OBJTREE links its kernel with kallsyms of kallsymsd
in place of the tree's scripts/kallsyms; vmlinux and System.map are the same.
Nothing is rebuilt. OBJTREE gets two small files, GNUmakefile and
.kallsymsd.mk, and the source tree a GNUmakefile, for "make O=OBJTREE" that
is started there. kbuild and "make mrproper" leave them alone. Installing again
changes how vmlinux is linked: once, or as often as ever.
"""
_EXAMPLES = """\
kallsymsctl install                # the working directory is the object tree
kallsymsctl install ../build
kallsymsctl install --one-link     # ... and link vmlinux once
kallsymsctl install                # ... as often as the kernel's script does
make -f Makefile                   # this once without it
"""
_UNINSTALL_TEXT = """\
Removes from OBJTREE what "kallsymsctl install" wrote there, and from the
source tree if no other object tree of it has the hook. Nothing is rebuilt.
"""
_UNINSTALL_EXAMPLES = """\
kallsymsctl uninstall              # the working directory is the object tree
kallsymsctl uninstall ../build
"""


def register(parsers: Parsers) -> None:
    """Add both subcommands."""
    install = command.add(
        parsers,
        "install",
        _install,
        summary="let every make in a kernel's object tree use kallsyms",
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
        help="link vmlinux once instead of three times where that gives the same (docs/one-link.md)",
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
