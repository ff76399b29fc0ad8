# SPDX-License-Identifier: GPL-2.0-only
"""Entry point of kallsymsctl: parses the command line and runs one subcommand."""

import argparse
import os
import sys
from pathlib import Path
from typing import NoReturn

from kallsymsd import __version__
from kallsymsd.ctl import terminal
from kallsymsd.ctl.command import CommandError, Context
from kallsymsd.ctl.commands import (
    clear,
    completion,
    config,
    explain,
    install,
    patch,
    run,
    service,
    stats,
    status,
    stop,
    top,
    verify,
)
from kallsymsd.ctl.commands import list as list_command
from kallsymsd.protocol.messages import printable
from kallsymsd.protocol.paths import BadPathError

# In the order of the help.
_COMMANDS = (
    run,
    install,
    list_command,
    patch,
    stats,
    status,
    top,
    explain,
    verify,
    clear,
    config,
    stop,
    service,
    completion,
)

_DESCRIPTION = """\
Controls kallsymsd, the daemon that computes the kallsyms tables of kernel
builds: makes builds use it, shows what it does, and verifies its results.
"""
_EPILOG = """\
"kallsymsctl COMMAND --help" describes a command and gives examples. A query
never starts a daemon.

environment:
  KALLSYMSD_SOCKET  the daemon's socket, unless --socket is given

exit status:
  0  success
  1  failure, or the daemon does not answer; one line says why and what to do
  2  wrong arguments
"""

#: Exit status of a program that SIGINT or SIGPIPE ended.
_INTERRUPTED = 130
_NO_READER = 141


def main(arguments: list[str] | None = None) -> int:
    """Run one subcommand; returns the exit status."""
    with terminal.guarded():
        return _main(arguments)


def _main(arguments: list[str] | None) -> int:
    options = parser().parse_args(arguments)
    try:
        result: int = options.run(Context(options.socket, options.cache_dir), options)
        sys.stdout.flush()
    except (BadPathError, CommandError) as error:
        terminal.complain(str(error))
        return 1
    except KeyboardInterrupt:
        return _INTERRUPTED
    except BrokenPipeError:
        # Python flushes standard output again when it exits, and would print an error.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _NO_READER
    except OSError as error:
        where = f"{os.fsdecode(error.filename)}: " if isinstance(error.filename, str | bytes) else ""
        terminal.complain(f"{where}{error.strerror or error}")
        return 1
    return result


class _Parser(argparse.ArgumentParser):
    """Reports errors in one printable line, whatever the arguments contain. Subcommands use it, too."""

    def error(self, message: str) -> NoReturn:
        super().error(printable(message, keep=""))


def parser() -> argparse.ArgumentParser:
    """The argument parser; manual pages and completions are generated from it, too."""
    made = _Parser(
        prog="kallsymsctl",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument(
        "--socket", type=Path, metavar="PATH", help="the daemon's socket (default: by XDG rules)"
    )
    made.add_argument(
        "--cache-dir", type=Path, metavar="DIR", help="the daemon's cache directory (default: as configured)"
    )
    made.add_argument("--version", action="version", version=f"kallsymsctl {__version__}")
    commands = made.add_subparsers(required=True, metavar="COMMAND", title="commands")
    for each in _COMMANDS:
        each.register(commands)
    made.set_defaults(parser=made)  # for completion
    return made


if __name__ == "__main__":
    sys.exit(main())
