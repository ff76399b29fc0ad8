# SPDX-License-Identifier: GPL-2.0-only
"""kallsymsctl verify: compares our tables with those of the kernel's own tool."""

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
Makes the tables of one map with the kernel's own tool, with a cold run in this
process, and with the daemon if one runs. Compares the assembly text with that
of the tool, byte by byte; the daemon's answer with the cold run; and, after
assembly of both forms, all sections, symbols and relocations. Reports the first
difference.

A kernel's object TREE has everything needed: System.map, the tool
(scripts/kallsyms.orig if it exists, else scripts/kallsyms) and the
configuration. For a single MAP, name the tool.

The measured costs are saved. "kallsymsctl stats" estimates the time saved from
them.
"""
_EXAMPLES = """\
kallsymsctl verify ~/linux        # the last build in this tree
kallsymsctl verify System.map --tool ~/linux-6.1/scripts/kallsyms
kallsymsctl verify --cc s390x-linux-gnu-gcc --big-endian ~/s390x
"""
_STATUS = """\
0  everything is equal
1  something differs, or the comparison failed
"""


def register(parsers: Parsers) -> None:
    """Add the subcommand."""
    parser = command.add(
        parsers,
        "verify",
        _run,
        summary="compare tables with those of the kernel's own tool",
        text=_TEXT,
        examples=_EXAMPLES,
        status=_STATUS,
    )
    parser.add_argument(
        "subject", type=Path, metavar="MAP|TREE", help="a map, or the object tree of a kernel build"
    )
    parser.add_argument("--tool", type=Path, metavar="PATH", help="the kernel's own scripts/kallsyms")
    parser.add_argument(
        "--dialect",
        metavar="NAME",
        help="the tool's dialect, such as v6.12 (default: detected)",
    )
    parser.add_argument(
        "--option",
        action="append",
        choices=sorted(OPTION_BITS),
        metavar="NAME",
        help="option for the tool, such as all-symbols; may be repeated (default: from the configuration)",
    )
    parser.add_argument("--big-endian", action="store_true", help="the target is big-endian")
    parser.add_argument("--cc", metavar="COMMAND", help="compiler for the target (default: $CC, or gcc)")


def _run(context: Context, options: argparse.Namespace) -> int:
    # Imported late: these modules are slow to load.
    from kallsymsd.ctl.verification.progress import Progress  # noqa: PLC0415  see above
    from kallsymsd.ctl.verification.steps import Verification  # noqa: PLC0415  see above
    from kallsymsd.ctl.verification.subject import subject  # noqa: PLC0415  see above

    what = subject(options)
    with Progress() as progress, tempfile.TemporaryDirectory(prefix="kallsymsctl-") as directory:
        verification = Verification(what, context, progress, Path(directory))
        verification.run()
    show_tables([(f"{what.map}, compared with {what.tool}", verification.rows)])
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
        complain(f"cannot save the measured costs: {error}")
