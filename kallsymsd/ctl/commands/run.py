# SPDX-License-Identifier: GPL-2.0-only
"""kallsymsctl run: a command, in which the kernels that make builds use the client."""

import argparse
import os
import sys

from kallsymsd.ctl import absence, command
from kallsymsd.ctl.command import CommandError, Context, Parsers
from kallsymsd.ctl.query import is_running
from kallsymsd.ctl.terminal import complain
from kallsymsd.protocol.paths import BadPathError

# Exit statuses of a command that was not found, and that could not be run (POSIX, 2.8.2).
_NOT_FOUND = 127
_NOT_RUN = 126

_TEXT = """\
Runs COMMAND, mostly make. Every kernel that is built in it is linked with
kallsyms of kallsymsd in place of the tree's scripts/kallsyms; vmlinux and
System.map are the same. No tree is changed: make gets the hook through
the variable GPATH, which only a kernel's makefiles notice. Where a tree is
not one that kallsymsd knows, it is linked as ever, and one line says so.
"""
_EXAMPLES = """\
kallsymsctl run make -j8
kallsymsctl run -- make O=../build bzImage modules
kallsymsctl run --one-link -- make -j8
kallsymsctl run -- sh -c 'make olddefconfig && make -j8'
KALLSYMSD=verify kallsymsctl run make    # each table compared with the tool's
"""
_STATUS = """\
that of COMMAND; 127 where it is not found, 126 where it cannot be run
"""


def register(parsers: Parsers) -> None:
    """Add the subcommand."""
    parser = command.add(
        parsers,
        "run",
        _run,
        summary="run make, and let the kernels it builds use kallsyms",
        text=_TEXT,
        examples=_EXAMPLES,
        status=_STATUS,
    )
    parser.add_argument(
        "--one-link",
        action="store_true",
        help="link vmlinux once instead of three times where that gives the same (docs/one-link.md)",
    )
    parser.add_argument(
        "command", nargs=argparse.REMAINDER, metavar="COMMAND", help="the command and its arguments"
    )


def _run(context: Context, options: argparse.Namespace) -> int:
    words = options.command[1:] if options.command[:1] == ["--"] else options.command
    if not words:
        raise CommandError("run: no command; try: kallsymsctl run make")
    environment = dict(os.environ)
    if _add_hook(environment):
        _warn(context)
    if options.one_link:
        environment["KALLSYMSD_ONE_LINK"] = "1"
    sys.stdout.flush()
    try:
        os.execvpe(words[0], words, environment)  # noqa: S606  what the user asked for
    except OSError as error:
        complain(f"{words[0]}: {error.strerror}")
        return _NOT_FOUND if isinstance(error, FileNotFoundError) else _NOT_RUN


def _add_hook(environment: dict[str, str]) -> bool:
    """Hand the hook to make; False after a warning where there can be none: the build goes on without it."""
    from kallsymsd.kbuild.hook.hookfiles import VARIABLE, HookError, prepare, value  # noqa: PLC0415  takes time to load

    try:
        hook = value(prepare(environment))
    except (BadPathError, HookError) as error:
        complain(f"warning: built without kallsymsd: {error}")
        return False
    environment[VARIABLE] = hook + environment.get(VARIABLE, "").replace(hook, "")
    return True


def _warn(context: Context) -> None:
    """Say why no daemon can be had, where something hinders it that a person must mend."""
    if os.environ.get("KALLSYMSD") == "off":
        return
    try:
        problem = absence.problem()
        if problem and not is_running(context.socket):
            complain(f"warning: {absence.told(context)}")
    except (BadPathError, CommandError, OSError) as error:
        complain(f"warning: no daemon is asked: {error}")
