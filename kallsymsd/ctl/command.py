# SPDX-License-Identifier: GPL-2.0-only
"""What all subcommands of kallsymsctl share: their context, errors and parsers."""

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
    """A command failed. The text is one line: what failed and what to do."""


class Context:
    """Paths of the daemon. They are determined on demand, so only a command that uses one sees its errors."""

    def __init__(self, socket: Path | None, cache: Path | None) -> None:
        """``socket`` is the daemon's socket, None for the default.

        ``cache`` is the cache directory, None for the configured one.
        """
        self._socket = socket
        self._cache = cache

    @property
    def socket(self) -> Path:
        """The daemon's socket. BadPathError if its path cannot be used."""
        if self._socket is None:
            self._socket = socket_path(os.environ, own_uid())
        check_socket_path(self._socket)
        return self._socket

    @property
    def cache(self) -> Path:
        """The cache directory, where counters are saved. CommandError if the configuration has an error."""
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
    """Add a subcommand; the caller adds its arguments.

    summary   one line for the list of commands
    text      description, in paragraphs
    examples  command lines, each with a comment after "  #"
    status    exit statuses, if they differ from those of all commands
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
    """The arguments in a parser's help, without subcommands."""
    shown = [each for each in parser._actions if each.help != argparse.SUPPRESS]  # noqa: SLF001  argparse has no public way
    return [each for each in shown if not isinstance(each, argparse._SubParsersAction)]  # noqa: SLF001  argparse has no public way


def subparsers(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    """The parsers of subcommands by name, in order."""
    for each in parser._actions:  # noqa: SLF001  argparse has no public way
        if isinstance(each, argparse._SubParsersAction):  # noqa: SLF001  argparse has no public way
            return dict(each.choices)
    return {}


def summaries(parser: argparse.ArgumentParser) -> dict[str, str]:
    """The summary of each subcommand by name, in order."""
    for each in parser._actions:  # noqa: SLF001  argparse has no public way
        if isinstance(each, argparse._SubParsersAction):  # noqa: SLF001  as above
            return {choice.dest: choice.help or "" for choice in each._choices_actions}  # noqa: SLF001  as above
    return {}
