# SPDX-License-Identifier: GPL-2.0-only
"""kallsymsctl completion: prints scripts that complete command lines in a shell."""

import argparse
import re
from pathlib import Path

from kallsymsd.core.dialects import DIALECTS
from kallsymsd.ctl import command
from kallsymsd.ctl.clienthelp import help_text
from kallsymsd.ctl.command import Context, Parsers

SHELLS = ("bash", "zsh", "fish")
PROGRAMS = ("kallsymsctl", "kallsymsd", "kallsyms")

# A line about an option in the client's help: name, value if it takes one, description.
_OPTION = re.compile(r"^  (-[-\w]+)(?:=(\S+))? {2,}(\S.*)$", re.MULTILINE)

_TEXT = """\
Prints a script that lets SHELL complete the command lines of kallsymsctl, or
of kallsymsd or kallsyms. The script is self-contained.
"""
_EXAMPLES = """\
kallsymsctl completion bash > ~/.local/share/bash-completion/completions/kallsymsctl
kallsymsctl completion zsh > ~/.zfunc/_kallsymsctl     # a directory in $fpath
kallsymsctl completion fish > ~/.config/fish/completions/kallsymsctl.fish
kallsymsctl completion fish --program kallsyms > ~/.config/fish/completions/kallsyms.fish
"""


def register(parsers: Parsers) -> None:
    """Add the subcommand."""
    parser = command.add(
        parsers,
        "completion",
        _run,
        summary="print a completion script for a shell",
        text=_TEXT,
        examples=_EXAMPLES,
    )
    parser.add_argument("shell", choices=SHELLS, metavar="SHELL", help="bash, zsh or fish")
    parser.add_argument(
        "--program",
        choices=PROGRAMS,
        default="kallsymsctl",
        metavar="NAME",
        help="kallsymsctl, kallsymsd or kallsyms (default: kallsymsctl)",
    )


def _run(_: Context, options: argparse.Namespace) -> int:
    parser: argparse.ArgumentParser = options.parser
    if options.program == "kallsyms":
        parser = _client()
    elif options.program == "kallsymsd":
        from kallsymsd.__main__ import parser as daemon_parser  # noqa: PLC0415  slow to load

        parser = daemon_parser()
    print(_script(parser, options.shell))
    return 0


def _script(parser: argparse.ArgumentParser, shell: str) -> str:
    """The script with which ``shell`` completes what ``parser`` reads."""
    import shtab  # noqa: PLC0415  takes time to load

    for each in (parser, *command.subparsers(parser).values()):
        for action in command.actions(each):
            if action.type is Path:
                action.complete = shtab.FILE  # type: ignore[attr-defined]  # shtab looks for it
    # Shells show the first line of a subcommand's description.
    for name, summary in command.summaries(parser).items():
        command.subparsers(parser)[name].description = summary
    made: str = shtab.complete(parser, shell)
    return made


def _client() -> argparse.ArgumentParser:
    """A parser with the options in the help text of kallsyms, which has no parser of its own."""
    parser = argparse.ArgumentParser(prog="kallsyms", add_help=False)
    values: dict[str, list[str]] = {"--dialect": [dialect.name for dialect in DIALECTS]}
    seen: dict[str, tuple[str, str]] = {}
    for option, value, text in _OPTION.findall(help_text()):
        if value and value == value.lower():  # one of the allowed values
            values.setdefault(option, []).append(value)
        seen.setdefault(option, (value, text))
    for option, (value, text) in seen.items():
        if not value:
            parser.add_argument(option, action="store_true", help=text)
        elif option in values:
            parser.add_argument(option, choices=values[option], metavar="NAME", help=text)
        else:
            parser.add_argument(option, type=Path, metavar=value, help=text)
    for option in ("--help", "--version"):
        parser.add_argument(option, action="store_true", help=f"print the {option[2:]} and exit")
    parser.add_argument("files", nargs="*", type=Path, metavar="FILE", help="map, linked kernel, outputs")
    return parser
