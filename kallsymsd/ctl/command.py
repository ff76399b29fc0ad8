# SPDX-License-Identifier: GPL-2.0-only
"""What every subcommand of kallsymsctl has in common."""

import argparse
import os
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

from kallsymsd.protocol.paths import check_socket_path, socket_path
from kallsymsd.protocol.users import own_uid
from kallsymsd.service.config import CACHE_DIR, ConfigurationError, load

#: What add_subparsers() returns; it has no public name.
Parsers: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"  # noqa: SLF001  argparse has no public way


class CommandError(Exception):
    """What was asked for is not to be had; the text is one line that says what to do."""


class Context:
    """Where a subcommand works. What it does not ask for here cannot hinder it."""

    def __init__(self, socket: Path | None, cache: Path | None) -> None:
        """``socket`` is the daemon's, None for that of the XDG rules.

        ``cache`` is the cache directory, None for the configured one.
        """
        self._socket = socket
        self._cache = cache

    @property
    def socket(self) -> Path:
        """The daemon's socket. BadPathError if it has a name that none can have."""
        if self._socket is None:
            self._socket = socket_path(os.environ, own_uid())
        check_socket_path(self._socket)
        return self._socket

    @property
    def cache(self) -> Path:
        """The cache directory, where counters are kept. CommandError if the configuration has an error."""
        if self._cache is None:
            try:
                self._cache = load({}, os.environ)[CACHE_DIR]
            except ConfigurationError as error:
                raise CommandError(str(error)) from error
        return self._cache


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


def actions(parser: argparse.ArgumentParser) -> list[argparse.Action]:
    """The arguments of a parser that are shown in its help, but for subcommands."""
    shown = [each for each in parser._actions if each.help != argparse.SUPPRESS]  # noqa: SLF001  argparse has no public way
    return [each for each in shown if not isinstance(each, argparse._SubParsersAction)]  # noqa: SLF001  argparse has no public way


def subparsers(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    """The parsers of subcommands by their names, in order."""
    for each in parser._actions:  # noqa: SLF001  argparse has no public way
        if isinstance(each, argparse._SubParsersAction):  # noqa: SLF001  argparse has no public way
            return dict(each.choices)
    return {}


def summaries(parser: argparse.ArgumentParser) -> dict[str, str]:
    """The one line about each subcommand, by its name, in order."""
    for each in parser._actions:  # noqa: SLF001  argparse has no public way
        if isinstance(each, argparse._SubParsersAction):  # noqa: SLF001  as above
            return {choice.dest: choice.help or "" for choice in each._choices_actions}  # noqa: SLF001  as above
    return {}
