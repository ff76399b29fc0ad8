# SPDX-License-Identifier: GPL-2.0-only
"""Completion: a person at each shell, pressing the tab key."""

import os
import pty
import re
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import pytest

from kallsymsd.ctl import main
from kallsymsd.ctl.command import subparsers, summaries
from kallsymsd.ctl.commands import completion

#: Seconds for a shell.
PATIENCE = 30.0

Unavailable = Callable[[str], NoReturn]

# What is typed, and the command line that it becomes.
TYPED = [
    ("kallsymsctl compl\tzs\t", "kallsymsctl completion zsh"),
    ("kallsymsctl service unin\t", "kallsymsctl service uninstall"),
    ("kallsymsctl stats --form\t prom\t", "kallsymsctl stats --format prometheus"),
    ("kallsymsctl clear tre\t", "kallsymsctl clear tree/"),
    ("kallsymsd --idle\t 5 --sock\t", "kallsymsd --idle-exit 5 --socket"),
    ("kallsyms --abs\t --dia\t v6.1\t5 System\t", "kallsyms --absolute-percpu --dialect v6.15 System.map"),
    ("kallsyms --form\t inc\t --fr\t", "kallsyms --format incbin --from-elf"),
]

# How the scripts are put to use, one in each file named after its program; then the programs are made to say
# what they are called with.
SETUP = {
    "bash": "for n in kallsyms kallsymsd kallsymsctl; do . ./completion/_$n; done; ",
    "zsh": "fpath=($PWD/completion $fpath); autoload -Uz compinit; compinit -u -D; ",
}
TELL = """\
told() { echo "<$*>"; }; for n in kallsyms kallsymsd kallsymsctl; do eval "$n() { told $n \\"\\$@\\"; }"; done
"""


class Terminal:
    """A shell at a terminal."""

    def __init__(self, command: list[str], here: Path) -> None:
        environment = {
            "PATH": os.defpath,
            "HOME": str(here),
            "TERM": "dumb",
            "PS1": "> ",
            "INPUTRC": "/dev/null",
        }
        self._terminal, theirs = pty.openpty()
        self._shell = subprocess.Popen(
            command,
            cwd=here,
            env=environment,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
        )
        os.close(theirs)

    def type(self, keys: str, until: bytes) -> bytes:
        """What is shown after these keys, up to ``until``."""
        os.write(self._terminal, keys.encode())
        shown = b""
        end = time.monotonic() + PATIENCE
        while until not in shown and time.monotonic() < end:
            if select.select([self._terminal], [], [], 0.1)[0]:
                shown += os.read(self._terminal, 1 << 16)
        assert until in shown, shown
        return shown

    def close(self) -> None:
        self._shell.kill()
        self._shell.wait()
        os.close(self._terminal)


@pytest.fixture
def here(tmp_path: Path) -> Path:
    (tmp_path / "home" / "tree").mkdir(parents=True)
    (tmp_path / "home" / "System.map").touch()
    return tmp_path / "home"


def script_of(program: str, shell: str) -> str:
    """What ``kallsymsctl completion`` prints."""
    command = [sys.executable, "-m", "kallsymsd.ctl.main", "completion", shell, f"--program={program}"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def put_scripts(here: Path, shell: str) -> None:
    (here / "completion").mkdir()
    for program in completion.PROGRAMS:
        (here / "completion" / f"_{program}").write_text(script_of(program, shell))


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_the_tab_key(here: Path, shell: str, unavailable: Unavailable) -> None:
    if not shutil.which(shell):
        unavailable(f"no {shell} to try its completion")
    put_scripts(here, shell)
    terminal = Terminal([shell, "--norc" if shell == "bash" else "-f", "-i"], here)
    try:
        terminal.type(f"{SETUP[shell]}{TELL}echo rea''dy\n", b"ready")
        for keys, line in TYPED:
            shown = terminal.type(f"{keys}\n", b">\r\n")
            told = shown.rpartition(b"<")[2].partition(b">")[0].decode()
            # zsh takes the slash of a directory away again.
            assert told.rstrip("/").split() == line.rstrip("/").split(), (keys, shown)
    finally:
        terminal.close()


def test_fish(here: Path, unavailable: Unavailable) -> None:
    if not shutil.which("fish"):
        unavailable("no fish to try its completion")
    put_scripts(here, "fish")
    # Fish shows what a line may become; the last word of it, up to its description.
    asked = [
        (keys.partition("\t")[0], line.split()[keys.partition("\t")[0].count(" ")]) for keys, line in TYPED
    ]
    asked.append(("kallsyms --dialect v6.15 Sys", "System.map"))
    program = "for n in kallsyms kallsymsd kallsymsctl; source completion/_$n; end\n" + "".join(
        f"complete -C '{line}'; echo .\n" for line, _ in asked
    )
    done = subprocess.run(
        ["fish", "-N", "-c", program],
        cwd=here,
        env={"PATH": os.defpath, "HOME": str(here), "TERM": "dumb"},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=True,
    )
    assert done.stderr == ""
    answers = done.stdout.removesuffix(".\n").split("\n.\n")
    offered = [[line.partition("\t")[0] for line in answer.splitlines()] for answer in answers]
    assert offered == [[word] for _, word in asked]


@pytest.mark.parametrize("shell", completion.SHELLS)
def test_subcommands_are_described_in_whole_lines(shell: str) -> None:
    script = script_of("kallsymsctl", shell)
    parser = main.parser()
    assert set(summaries(parser)) == set(subparsers(parser))
    for name, summary in summaries(parser).items():
        assert name in script
        if shell != "bash":  # which shows none
            assert summary.partition("'")[0] in script  # which each shell quotes its own way


def test_every_option_of_the_client_is_completed() -> None:
    lines = [line for line in script_of("kallsyms", "fish").splitlines() if line.startswith("complete -c")]
    offered = {option for line in lines for option in re.findall(r" -[ls] ([\w-]+)", line)}
    ours = {
        "dialect",
        "format",
        "from-elf",
        "patch",
        "sysmap",
        "64bit",
        "big-endian",
        "debug",
        "help",
        "version",
    }
    kernels = {"all-symbols", "absolute-percpu", "base-relative", "lto-clang", "pc-relative"}
    assert offered == {"v"} | ours | kernels


def test_completion_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main(["completion", "bash"]) == 0
    assert "complete " in capsys.readouterr().out
