# SPDX-License-Identifier: GPL-2.0-only
"""kallsymsctl run: runs a command, such as make, with the hook."""

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
Runs COMMAND, usually make. Every kernel that it builds uses kallsyms in place
of the tree's scripts/kallsyms. vmlinux and System.map are identical.

No tree is changed: make gets the hook in the variable GPATH, which affects only
a kernel's makefiles. If kallsymsd does not recognize a tree, the link falls
back to the kernel's own tool, and one line says so.
"""
_EXAMPLES = """\
kallsymsctl run make -j8
kallsymsctl run -- make O=../build bzImage modules
kallsymsctl run --one-link -- make -j8    # link vmlinux once
kallsymsctl run -- sh -c 'make olddefconfig && make -j8'
KALLSYMSD=verify kallsymsctl run make     # compare with the kernel's own tool
"""
_STATUS = """\
that of COMMAND; 127 if it is not found, 126 if it cannot be run
"""


def register(parsers: Parsers) -> None:
    """Add the subcommand."""
    parser = command.add(
        parsers,
        "run",
        _run,
        summary="run make and let the kernels it builds use kallsyms",
        text=_TEXT,
        examples=_EXAMPLES,
        status=_STATUS,
    )
    parser.add_argument(
        "--one-link",
        action="store_true",
        help="link vmlinux once instead of three times where the result is the same (docs/one-link.md)",
    )
    parser.add_argument(
        "command", nargs=argparse.REMAINDER, metavar="COMMAND", help="the command and its arguments"
    )


def _run(context: Context, options: argparse.Namespace) -> int:
    words = options.command[1:] if options.command[:1] == ["--"] else options.command
    if not words:
        raise CommandError("run: no command given; try: kallsymsctl run make")
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
    """Pass the hook to make. If it cannot be created, print a warning and return False."""
    from kallsymsd.kbuild.hook.hookfiles import VARIABLE, HookError, prepare, value  # noqa: PLC0415  takes time to load

    try:
        hook = value(prepare(environment))
    except (BadPathError, HookError) as error:
        complain(f"warning: building without kallsymsd: {error}")
        return False
    environment[VARIABLE] = hook + environment.get(VARIABLE, "").replace(hook, "")
    return True


def _warn(context: Context) -> None:
    """Print a warning if no daemon can start because of a problem that the user must fix."""
    if os.environ.get("KALLSYMSD") == "off":
        return
    try:
        problem = absence.problem()
        if problem and not is_running(context.socket):
            complain(f"warning: {absence.describe(context)}")
    except (BadPathError, CommandError, OSError) as error:
        complain(f"warning: building without a daemon: {error}")
