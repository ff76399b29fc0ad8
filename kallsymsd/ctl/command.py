# SPDX-License-Identifier: GPL-2.0-only
"""What every subcommand of kallsymsctl has in common."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, TypeAlias

#: What add_subparsers() returns; it has no public name.
Parsers: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"  # noqa: SLF001


class CommandError(Exception):
    """What was asked for is not to be had; the text is one line that says what to do."""


class Context(NamedTuple):
    """Where a subcommand works.

    socket  the daemon's socket
    cache   the cache directory, where counters are kept
    """

    socket: Path
    cache: Path


Run = Callable[[Context, argparse.Namespace], int]


def add(
    parsers: Parsers, name: str, run: Run, *, summary: str, text: str, examples: str, status: str = ""
) -> argparse.ArgumentParser:
    """Add a subcommand; its arguments are the caller's to add.

    summary   one line for the list of commands
    text      what it does, paragraphs
    examples  command lines, each with what it does after "  #"
    status    exit statuses, where they are not those of all commands
    """
    epilog = "examples:\n" + "".join(f"  {line}\n" for line in examples.strip().splitlines())
    if status:
        epilog += "\nexit status:\n" + "".join(f"  {line}\n" for line in status.strip().splitlines())
    parser: argparse.ArgumentParser = parsers.add_parser(
        name,
        help=summary,
        description=text.strip(),
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=run)
    return parser
