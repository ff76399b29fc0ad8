# SPDX-License-Identifier: GPL-2.0-only
"""kallsymsctl verify: proves our tables against the kernel's own tool."""

import argparse
import tempfile
from pathlib import Path

from kallsymsd.core.dialects import OPTION_BITS
from kallsymsd.counters import costs
from kallsymsd.counters.costs import Stock
from kallsymsd.ctl import command
from kallsymsd.ctl.command import CommandError, Context, Parsers
from kallsymsd.ctl.query import ask, is_running
from kallsymsd.ctl.show import show_tables
from kallsymsd.ctl.terminal import complain
from kallsymsd.protocol.private import NotPrivateError, private_directory

_TEXT = """\
Makes the tables of one map three times: by the kernel's own tool, in this
process from nothing, and, where a daemon runs, by asking it. Compares the
assembly text with the tool's byte by byte, the daemon's answer with ours, and
what a linker sees after both forms are assembled: the bytes of sections,
symbols and relocations. Tells the first difference.

In a kernel's object TREE all that is needed is there: System.map, the tool
(scripts/kallsyms.orig, where one was put aside, else scripts/kallsyms), and the
configuration. For a MAP alone, name the tool.

The costs measured on the way are kept for "kallsymsctl stats", which estimates
the time saved with them.
"""
_EXAMPLES = """\
kallsymsctl verify ~/linux        # the last build there
kallsymsctl verify System.map --tool ~/linux-6.1/scripts/kallsyms
kallsymsctl verify --cc s390x-linux-gnu-gcc --big-endian ~/s390x
"""
_STATUS = """\
0  everything is equal
1  something differs, or could not be made
"""


def register(parsers: Parsers) -> None:
    """Add the subcommand."""
    parser = command.add(
        parsers,
        "verify",
        _run,
        summary="prove our tables against the kernel's own tool",
        text=_TEXT,
        examples=_EXAMPLES,
        status=_STATUS,
    )
    parser.add_argument(
        "subject", type=Path, metavar="MAP|TREE", help="a map, or the object tree of a kernel build"
    )
    parser.add_argument("--tool", type=Path, metavar="PATH", help="the kernel's own scripts/kallsyms")
    parser.add_argument(
        "--dialect", metavar="NAME", help="of the tool, as v6.12 (default: as its source or its usage says)"
    )
    parser.add_argument(
        "--option",
        action="append",
        choices=sorted(OPTION_BITS),
        metavar="NAME",
        help="of the tool, as all-symbols; may be repeated (default: by the tree's configuration)",
    )
    parser.add_argument("--big-endian", action="store_true", help="the target is big-endian")
    parser.add_argument("--cc", metavar="COMMAND", help="compiler for the target (default: $CC, or gcc)")


def _run(context: Context, options: argparse.Namespace) -> int:
    # Here and not above: what computes and what reads objects takes time to load.
    from kallsymsd.ctl.verification.progress import Progress  # noqa: PLC0415  see above
    from kallsymsd.ctl.verification.steps import Verification  # noqa: PLC0415  see above
    from kallsymsd.ctl.verification.subject import subject  # noqa: PLC0415  see above

    what = subject(options)
    with Progress() as progress, tempfile.TemporaryDirectory(prefix="kallsymsctl-") as directory:
        verification = Verification(what, context, progress, Path(directory))
        verification.run()
    show_tables([(f"{what.map} by {what.tool}", verification.rows)])
    if verification.difference:
        raise CommandError(f"differs: {verification.difference}")
    print("Everything is equal.")
    _keep(context, verification.stock)
    return 0


def _keep(context: Context, stock: Stock) -> None:
    try:
        private_directory(context.cache)
        costs.save(context.cache, stock)
        if is_running(context.socket):
            ask(context.socket, "stock", more=stock._asdict())
    except (CommandError, NotPrivateError, OSError) as error:
        complain(f"the costs measured are not kept: {error}")
