# SPDX-License-Identifier: GPL-2.0-only
"""Help texts and manual pages: made of the parsers, and in step with them."""

import argparse
import shutil
import subprocess
from collections.abc import Callable
from typing import NoReturn

import pytest

from kallsymsd.ctl import main, man
from kallsymsd.ctl.command import actions, subparsers
from tests.oracles import ROOT
from tests.service.peer import PATIENCE

COMMANDS = subparsers(main.parser())


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_with_examples_on_80_columns(
    name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit) as ended:
        main.main([name, "--help"])
    assert ended.value.code == 0
    text = capsys.readouterr().out
    examples = text.partition("\nexamples:\n")[2]
    assert f"kallsymsctl {name}" in examples or f"kallsymsctl --socket /tmp/s {name}" in examples
    # A path may be long; nothing else is.
    assert max(len(line) for line in text.splitlines() if "completion" not in line) <= 80


@pytest.mark.parametrize("name", COMMANDS)
def test_every_argument_is_explained(name: str) -> None:
    assert all(action.help for action in actions(COMMANDS[name]))


def examples() -> list[list[str]]:
    """Arguments of the examples that are one call of kallsymsctl."""
    lines = [
        line.strip()
        for parser in COMMANDS.values()
        for line in (parser.epilog or "").partition("examples:\n")[2].partition("\n\n")[0].splitlines()
    ]
    words = [line.partition("  #")[0].split() for line in lines]
    return [
        each[1:]
        for each in words
        if each and each[0] == "kallsymsctl" and not {"|", "&&", ";", ">"} & set(each)
    ]


@pytest.mark.parametrize("arguments", examples(), ids=" ".join)
def test_the_examples_are_right(arguments: list[str]) -> None:
    assert isinstance(main.parser().parse_args(arguments), argparse.Namespace)


def test_there_are_examples_to_check() -> None:
    assert len(examples()) > len(COMMANDS)


@pytest.mark.parametrize("name", man.pages())
def test_manual_pages_are_in_step(name: str) -> None:
    folder = ROOT / "man"
    assert (folder / name).read_text() == man.pages()[name], "run: python -m kallsymsd.ctl.man man"


@pytest.mark.parametrize("name", man.pages())
def test_manual_pages_are_clean(name: str, unavailable: Callable[[str], NoReturn]) -> None:
    if not shutil.which("groff"):
        unavailable("no groff to format with (Debian: apt install groff-base)")
    done = subprocess.run(
        ["groff", "-man", "-ww", "-Tascii", "-z"],
        input=man.pages()[name].encode(),
        capture_output=True,
        check=True,
        timeout=PATIENCE,
    )
    assert done.stderr == b""


def test_what_troff_would_take_for_its_own_is_escaped() -> None:
    lines = list(man._text(".tmp_vmlinux\n'a' -b\\c\n  .x"))
    assert lines == ["\\&.tmp_vmlinux", "\\(aqa\\(aq \\-b\\ec", ".PP", ".nf", "  .x", ".fi", ".PP"]
