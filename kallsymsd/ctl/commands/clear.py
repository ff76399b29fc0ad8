# SPDX-License-Identifier: GPL-2.0-only
"""kallsymsctl clear: forgets what is known of trees."""

import argparse
import os
from pathlib import Path

from kallsymsd.ctl import command
from kallsymsd.ctl.command import CommandError, Context, Parsers
from kallsymsd.ctl.query import DEADLINE, ask, is_running
from kallsymsd.ctl.terminal import tell

_TEXT = """\
Forgets what is known of TREE, or of all trees: in the daemon's memory, and in
the cache directory. The next build there is computed from nothing. Never
needed for right answers, since each request proves that what it is given is
fresh.

Answers are stored under the contents of their maps, so those of one tree
cannot be told from another's: with TREE they stay, and leave the cache when it
is full.
"""
_EXAMPLES = """\
kallsymsctl clear ~/linux  # a tree that is not built any more
kallsymsctl clear          # everything
"""


def register(parsers: Parsers) -> None:
    """Add the subcommand."""
    parser = command.add(
        parsers,
        "clear",
        _run,
        summary="forget what is known of a tree, or of all",
        text=_TEXT,
        examples=_EXAMPLES,
    )
    parser.add_argument("tree", nargs="?", type=Path, metavar="TREE", help="object tree of a kernel build")


def _run(context: Context, options: argparse.Namespace) -> int:
    tree = os.fsencode(options.tree.resolve()) if options.tree else None
    if is_running(context.socket):
        count = ask(context.socket, "clear", more={"tree": tree} if tree is not None else None)["trees"]
        tell(f"Forgotten: {count} in memory, and what is stored of {options.tree or 'all trees'}.")
        return 0
    _clear_store(context, tree)
    tell(f"Forgotten: what is stored of {options.tree or 'all trees'}.")
    return 0


def _clear_store(context: Context, tree: bytes | None) -> None:
    from kallsymsd.engine.clear import clear  # noqa: PLC0415  takes time to load
    from kallsymsd.engine.store import Store, StoreUnavailableError  # noqa: PLC0415  as above
    from kallsymsd.protocol.private import NotPrivateError  # noqa: PLC0415  as above

    if not context.cache.exists():
        return
    try:
        store = Store(context.cache, patience=DEADLINE)
    except (NotPrivateError, StoreUnavailableError) as error:
        raise CommandError(str(error)) from error
    try:
        clear(store, tree)
    finally:
        store.close()
    if store.problem:
        raise CommandError(store.problem)
