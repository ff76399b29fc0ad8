# SPDX-License-Identifier: GPL-2.0-only
"""kallsymsctl completion: scripts that complete command lines in a shell."""

import argparse
from pathlib import Path

from kallsymsd.ctl import command
from kallsymsd.ctl.command import Context, Parsers

SHELLS = ("bash", "zsh", "fish")

_TEXT = """\
Prints a script with which SHELL completes the command lines of kallsymsctl,
or of the daemon. It is made from the same table as the help texts, and needs
nothing at run time.
"""
_EXAMPLES = """\
kallsymsctl completion bash > ~/.local/share/bash-completion/completions/kallsymsctl
kallsymsctl completion zsh > ~/.zfunc/_kallsymsctl     # a directory in $fpath
kallsymsctl completion fish > ~/.config/fish/completions/kallsymsctl.fish
"""


def register(parsers: Parsers) -> None:
    """Add the subcommand."""
    parser = command.add(
        parsers,
        "completion",
        _run,
        summary="completion of command lines, for a shell",
        text=_TEXT,
        examples=_EXAMPLES,
    )
    parser.add_argument("shell", choices=SHELLS, metavar="SHELL", help="bash, zsh or fish")
    parser.add_argument(
        "--program",
        choices=("kallsymsctl", "kallsymsd"),
        default="kallsymsctl",
        metavar="NAME",
        help="kallsymsctl (default) or kallsymsd",
    )


def _run(_: Context, options: argparse.Namespace) -> int:
    print(script(options.program, options.shell))
    return 0


def script(program: str, shell: str) -> str:
    """The script for one program and shell."""
    import shtab  # noqa: PLC0415  takes time to load

    parser = _parser(program)
    for each in [parser, *command.subparsers(parser).values()]:
        for action in command.actions(each):
            if action.type is Path:
                action.complete = shtab.FILE  # type: ignore[attr-defined]  # shtab looks for it
    made: str = shtab.complete(parser, shell)
    return made


def _parser(program: str) -> argparse.ArgumentParser:
    # Not above: both know this module.
    if program == "kallsymsd":
        from kallsymsd.__main__ import parser  # noqa: PLC0415  takes time to load

        return parser()
    from kallsymsd.ctl.main import parser  # noqa: PLC0415  it imports this module

    return parser()
