# SPDX-License-Identifier: GPL-2.0-only
"""kallsymsctl clear: drops cached data of trees."""

import argparse
import os
from pathlib import Path

from kallsymsd.ctl import command
from kallsymsd.ctl.command import CommandError, Context, Parsers
from kallsymsd.ctl.query import DEADLINE, ask, is_running
from kallsymsd.ctl.show import counted_text
from kallsymsd.ctl.terminal import tell

_TEXT = """\
Drops the cached data of TREE, or of all trees, from the daemon's memory and
from the cache directory. The next build there is a cold run. This is never
needed for correct answers: each request checks that its answer is up to date.

Stored answers are found by the contents of their maps and belong to no tree.
With TREE they stay, until the cache is full.
"""
_EXAMPLES = """\
kallsymsctl clear ~/linux  # a tree that is no longer built
kallsymsctl clear          # all trees, and all answers
"""


def register(parsers: Parsers) -> None:
    """Add the subcommand."""
    parser = command.add(
        parsers,
        "clear",
        _run,
        summary="drop cached data of a tree, or of all trees",
        text=_TEXT,
        examples=_EXAMPLES,
    )
    parser.add_argument(
        "tree", nargs="?", type=Path, metavar="TREE", help="the object tree (default: all trees)"
    )


def _run(context: Context, options: argparse.Namespace) -> int:
    tree = os.fsencode(options.tree.resolve()) if options.tree else None
    if is_running(context.socket):
        count = ask(context.socket, "clear", more={"tree": tree} if tree is not None else None)["trees"]
        tell(f"cleared {options.tree or 'all trees'}: {counted_text(count, 'tree')} in memory, and on disk")
        return 0
    _clear_store(context, tree)
    tell(f"cleared {options.tree or 'all trees'} on disk; no daemon runs")
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
