# SPDX-License-Identifier: GPL-2.0-only
"""Names from maps and directories reach no terminal with what it would obey, whichever command shows them."""

import ast
import contextlib
import io
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest

from kallsymsd.ctl import main, show, terminal
from kallsymsd.engine.engine import Engine
from kallsymsd.kbuild.hook.registry import Registry
from kallsymsd.kbuild.outcome import Outcome as Link
from tests.service.peer import Daemon, serving

ESCAPES = "\x1b]0;title\x07\x1b[2J\x9b31m\N{RIGHT-TO-LEFT OVERRIDE}\x7f"
# A line of its own, if line ends in names were line ends.
EVIL = ESCAPES + "\nkallsymsctl: all is well"
CONTROLS = [chr(number) for number in (*range(10), *range(11, 32), *range(0x7F, 0xA0), 0x202E)]


def assert_harmless(text: str) -> None:
    assert not [each for each in CONTROLS if each in text]
    assert not [line for line in text.splitlines() if line.startswith("kallsymsctl: all is well")]


@pytest.fixture
def evil(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory with a name to be afraid of, where we are."""
    path = tmp_path / ("t" + EVIL)
    path.mkdir()
    monkeypatch.chdir(path)
    return path


@pytest.fixture
def real(socket_path: Path, evil: Path) -> Iterator[Daemon]:
    """A daemon that knows of a tree there, and of symbols with such names."""
    with serving(socket_path, lambda: Engine(None)) as daemon:
        symbols = [f"ffffffff81{16 * number:06x} t function_{number}\n" for number in range(300)]
        for more in ("", f"ffffffff82000000 t evil{ESCAPES}\n"):
            (evil / "System.map").write_text("".join([*symbols, more]))
            with daemon.peer() as peer:
                peer.build(evil / "System.map", tree=os.fsencode(evil))
                peer.reply()
        daemon.server._configuration = {
            "socket": str(socket_path),
            "settings": [{"name": "cache-dir", "value": str(evil), "origin": EVIL}],
        }
        yield daemon


@pytest.mark.parametrize("terminal_there", [False, True])
@pytest.mark.parametrize(
    "arguments",
    [
        ["explain"],
        ["explain", "."],
        ["status"],
        ["config"],
        ["clear", "."],
        ["list"],
        ["explain", "--maps", "System.map", "other.map"],
        ["explain", "--maps", "none", "other.map"],
        ["status", "x" + EVIL],
        ["verify", "none" + EVIL],
        ["run", "none" + EVIL],
        ["patch", "--print"],
        ["install", "none" + EVIL],
        ["--cache-dir", "x" + EVIL, "stats"],
        ["stats", "--since", EVIL],
    ],
    ids=lambda arguments: arguments[0] if arguments[0] != "--cache-dir" else "stats",
)
def test_no_command_shows_an_escape_sequence(
    real: Daemon,
    evil: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    *,
    terminal_there: bool,
) -> None:
    assert real.thread.is_alive()
    (evil / "other.map").write_text(f"1 T b{ESCAPES}\n")
    Link(reason=f"something{EVIL}").save()
    Registry(evil.parent / "data" / "kallsymsd").add(evil)
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.setenv("NO_COLOR", "1")
    if terminal_there:
        monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    with contextlib.suppress(SystemExit):  # wrong arguments
        main.main(arguments)
    captured = capsys.readouterr()
    assert_harmless(captured.out)
    assert_harmless(captured.err)
    assert captured.out + captured.err


def test_the_names_are_there_all_the_same(real: Daemon, capsys: pytest.CaptureFixture[str]) -> None:
    assert real.thread.is_alive()
    assert main.main(["explain"]) == 0
    out = capsys.readouterr().out
    assert r"evil\x1b]0;title\x07\x1b[2J\x9b31m\u202e\x7f" in out


@pytest.mark.parametrize("command", ["status", "list"])
def test_json_stays_json(real: Daemon, evil: Path, capsys: pytest.CaptureFixture[str], command: str) -> None:
    assert real.thread.is_alive()
    Registry(evil.parent / "data" / "kallsymsd").add(evil)
    main.main([command, "--json"])
    out = capsys.readouterr().out
    assert_harmless(out)
    values = json.loads(out)
    trees = values["trees"] if command == "status" else values
    assert [each["tree"] for each in trees] == [str(evil)]


def test_what_the_encoding_lacks_is_an_escape_too() -> None:
    stream = io.TextIOWrapper(io.BytesIO(), "latin-1")
    terminal._Guard(stream).write("caf\N{LATIN SMALL LETTER E WITH ACUTE} \N{SNOWMAN} \udcff\n")
    stream.seek(0)
    assert stream.read() == "caf\N{LATIN SMALL LETTER E WITH ACUTE} \\u2603 \\xff\n"


def test_closed_descriptors_are_no_trouble(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    monkeypatch.setattr(sys, "stderr", None)
    assert main.main(["completion", "bash"]) == 0
    assert main.main(["status"]) == 1
    assert cast("object", sys.stdout) is None


@pytest.mark.parametrize("terminal_there", [False, True])
def test_what_a_program_reads_is_passed_on_as_it_is(
    monkeypatch: pytest.MonkeyPatch, *, terminal_there: bool
) -> None:
    buffer = io.BytesIO()
    stream = io.TextIOWrapper(buffer, "utf-8")
    monkeypatch.setattr(stream, "isatty", lambda: terminal_there, raising=False)
    monkeypatch.setattr(sys, "stdout", stream)
    with terminal.guarded():
        terminal.pass_on(b"\x1b\xff\t\n")
    stream.flush()
    assert buffer.getvalue() == (b"\\x1b\\xff\t\n" if terminal_there else b"\x1b\xff\t\n")


def test_there_is_one_way_to_a_terminal() -> None:
    """Whoever prints does it by what guarded() has put in place; rich gets its console from there."""
    for path in Path(terminal.__file__).parent.glob("*.py"):
        if path.name in ("terminal.py", "man.py"):  # the latter is for those who make packages
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            name = ast.unparse(node.func) if isinstance(node, ast.Call) else ""
            assert name not in ("Console", "os.write", "sys.stdout.buffer.write", "sys.__stdout__.write")
            assert "json.dump" not in name
    assert vars(show)["console"] is terminal.console
