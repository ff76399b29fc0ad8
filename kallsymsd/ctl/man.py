# SPDX-License-Identifier: GPL-2.0-only
"""Generates the manual pages from the parsers: python -m kallsymsd.ctl.man DIRECTORY.

We need our own generator: the client has no argparse parser, and other generators copy argparse's usage
lines, whose layout changes with the version of Python.
"""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

from kallsymsd import __version__
from kallsymsd.__main__ import parser as daemon_parser
from kallsymsd.ctl.clienthelp import help_text
from kallsymsd.ctl.command import actions, subparsers
from kallsymsd.ctl.main import parser as control_parser

_LICENSE = (
    '.\\" SPDX-License-Identifier: GPL-2.0-only\n.\\" Made by python -m kallsymsd.ctl.man; do not edit.\n'
)


def main() -> int:
    """Write the pages into the given directory."""
    if len(sys.argv) != 2:
        print("usage: python -m kallsymsd.ctl.man DIRECTORY", file=sys.stderr)
        return 2
    for name, text in pages().items():
        Path(sys.argv[1], name).write_text(text, encoding="ascii")
    return 0


def pages() -> dict[str, str]:
    """The text of each page by file name."""
    return {
        "kallsyms.1": _client(),
        "kallsymsd.8": _page(
            daemon_parser(),
            8,
            "daemon for kallsyms tables of kernel builds",
            "kallsyms(1), kallsymsctl(1)",
        ),
        "kallsymsctl.1": _page(control_parser(), 1, "control kallsymsd", "kallsyms(1), kallsymsd(8)"),
    }


def _client() -> str:
    """The page of kallsyms, made from its help text."""
    usage, _, rest = help_text().partition("\n\n")
    lines = [
        _head("kallsyms", 1, "make the kallsyms tables of a Linux kernel"),
        ".SH SYNOPSIS",
        *_verbatim([line.removeprefix("Usage:").strip() for line in usage.splitlines()]),
        ".SH DESCRIPTION",
        *_text(rest),
        ".SH SEE ALSO",
        "kallsymsctl(1), kallsymsd(8)",
    ]
    return "\n".join(lines) + "\n"


def _page(parser: argparse.ArgumentParser, section: int, summary: str, see_also: str) -> str:
    """The page of a program, made from its parser."""
    lines = [_head(parser.prog, section, summary), ".SH SYNOPSIS", _synopsis(parser)]
    lines += [".SH DESCRIPTION", *_text(parser.description or ""), ".SH OPTIONS", *_arguments(parser)]
    if subparsers(parser):
        lines.append(".SH COMMANDS")
        for each in subparsers(parser).values():
            lines += [f".SS {_escape(each.prog)}", _synopsis(each), ".PP", *_text(each.description or "")]
            lines += [*_arguments(each), ".PP", *_text(each.epilog or "")]
    lines += [".PP", *_text(parser.epilog or "", headings=True), ".SH SEE ALSO", see_also]
    return "\n".join(lines) + "\n"


def _head(name: str, section: int, summary: str) -> str:
    title = f'.TH {name.upper()} {section} "" "kallsymsd {__version__}" "kallsymsd"'
    return f"{_LICENSE}{title}\n.SH NAME\n{name} \\- {summary}"


def _synopsis(parser: argparse.ArgumentParser) -> str:
    words = [f"\\fB{_escape(parser.prog)}\\fR"]
    for action in actions(parser):
        word = _named(action, action.option_strings[-1]) if action.option_strings else _named(action, "")
        words.append(f"[{word}]" if not action.required else word)
    if subparsers(parser):
        words.append("\\fICOMMAND\\fR ...")
    return " ".join(words)


def _arguments(parser: argparse.ArgumentParser) -> Iterator[str]:
    for action in actions(parser):
        yield ".TP"
        yield ", ".join(_named(action, option) for option in action.option_strings or [""])
        yield _escape(action.help or "")


def _named(action: argparse.Action, option: str) -> str:
    """An option with its value, or a positional argument, in troff."""
    value = action.metavar or ("|".join(map(str, action.choices)) if action.choices else "")
    values = " ".join(value) if isinstance(value, tuple) else value
    parts = [f"\\fB{_escape(option)}\\fR"] if option else []
    takes_value = action.nargs != 0 or not action.option_strings
    if takes_value and values:
        parts.append(f"\\fI{_escape(values)}\\fR")
    return " ".join(parts)


def _text(text: str, *, headings: bool = False) -> Iterator[str]:
    """Paragraphs in troff; indented lines stay verbatim. With ``headings``, a line such as "word:" is one."""
    block: list[str] = []
    for line in text.strip("\n").splitlines():
        if line.startswith("  "):
            block.append(line)
            continue
        yield from _verbatim(block)
        block = []
        if headings and line.endswith(":") and line == line.lower():
            yield f".SH {_escape(line[:-1].upper())}"
        else:
            yield _escape(line) if line else ".PP"
    yield from _verbatim(block)


def _verbatim(lines: list[str]) -> Iterator[str]:
    if lines:
        yield ".PP"
        yield ".nf"
        yield from map(_escape, lines)
        yield ".fi"
        yield ".PP"


def _escape(text: str) -> str:
    """Escape text for troff."""
    escaped = text.replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq").replace("`", "\\(ga")
    return "\\&" + escaped if escaped.startswith(".") else escaped


if __name__ == "__main__":
    sys.exit(main())
