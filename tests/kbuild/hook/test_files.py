# SPDX-License-Identifier: GPL-2.0-only
"""Where the hook's files are put, and what they say."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from kallsymsd.kbuild.hook import hookfiles
from kallsymsd.kbuild.hook.hookfiles import HookError, prepare, program_of


def places(monkeypatch: pytest.MonkeyPatch, *directories: Path) -> None:
    monkeypatch.setattr(hookfiles, "_places", lambda _: iter(directories))


def test_made_once_and_never_again(tmp_path: Path) -> None:
    environment = {"XDG_DATA_HOME": str(tmp_path)}
    shell = prepare(environment)
    assert shell.is_relative_to(tmp_path / "kallsymsd")
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in shell.parent.iterdir()}
    assert {path.name for path in before} == {"sh", "kallsyms"}
    assert prepare(environment) == shell
    assert {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in shell.parent.iterdir()} == before


def test_a_damaged_one_is_made_whole(tmp_path: Path) -> None:
    environment = {"XDG_DATA_HOME": str(tmp_path)}
    shell = prepare(environment)
    tool = shell.parent / "kallsyms"
    text = shell.read_text()
    shell.write_text("")
    tool.chmod(0o600)
    assert prepare(environment) == shell
    assert shell.read_text() == text
    assert os.access(tool, os.X_OK)


def test_another_installation_has_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    environment = {"XDG_DATA_HOME": str(tmp_path)}
    shell = prepare(environment)
    assert program_of(shell) == (Path(sys.executable), files_module())
    monkeypatch.setattr(sys, "executable", "/it's a/python")
    other = prepare(environment)
    assert other.parent != shell.parent
    assert program_of(other) == (Path("/it's a/python"), files_module())
    for name in ("sh", "kallsyms"):
        assert subprocess.run(["sh", "-n", other.parent / name], check=False, timeout=60).returncode == 0


def files_module() -> Path:
    return Path(__file__).parents[3] / "kallsymsd/kbuild/__main__.py"


@pytest.mark.parametrize("name", ["a home", "a$b", "a:b", "a#b", "a%b", "a=b", "a\tb", "a'b", "a,b", "a)b"])
def test_names_that_make_cannot_take(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    second = tmp_path / "second"
    places(monkeypatch, tmp_path / name, second)
    assert prepare({}).is_relative_to(second)
    places(monkeypatch, tmp_path / name)
    with pytest.raises(HookError, match=r"make cannot handle .* set XDG_DATA_HOME"):
        prepare({})
    assert not (tmp_path / name).exists()


def test_a_place_that_others_could_write_to_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    first.chmod(0o777)
    places(monkeypatch, first, second)
    assert prepare({}).is_relative_to(second)
    assert list(first.iterdir()) == []


def test_a_place_where_nothing_can_be_written_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    places(monkeypatch, Path("/proc/nothing"), tmp_path / "second")
    assert prepare({}).is_relative_to(tmp_path)
    places(monkeypatch, Path("/proc/nothing"))
    with pytest.raises(HookError, match="/proc/nothing: cannot create"):
        prepare({})


def test_a_place_where_nothing_runs_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hookfiles, "_SHELL", hookfiles._SHELL.replace("#!/bin/sh", "#!/no/such/shell"))
    places(monkeypatch, tmp_path / "first")
    with pytest.raises(HookError):
        prepare({})
    monkeypatch.setattr(hookfiles, "_SHELL", "#!/bin/sh\nexit 1\n")
    with pytest.raises(HookError, match=r"sh: does not run \(exit status 1\)"):
        prepare({})


@pytest.mark.parametrize("shell", ["sh", "bash", "dash", "bash -eu", "bash -x", "sh -eu"])
def test_a_recipe_is_run_with_its_shell_and_its_flags(tmp_path: Path, shell: str) -> None:
    """Arguments stay what they are, variables too, and the shell is the process that make started."""
    file = prepare({"XDG_DATA_HOME": str(tmp_path)})
    recipe = "printf '%s|' \"$0\" $# $- \"$PPID\" 'a  b' \"$(env | grep -v '^_=')\"; exit 3\n# 'x"
    outputs = [
        subprocess.run(
            [*words, "-e", "-c", recipe],
            env={"PATH": os.environ["PATH"], "kallsymsd": "x", "python": "theirs", "recipe": "r"},
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            check=False,
            timeout=60,
        )
        for words in (shell.split(), [*shell.split(), str(file), *shell.split()])
    ]
    assert outputs[0].returncode == outputs[1].returncode == 3
    assert outputs[0].stdout == outputs[1].stdout
    assert b"python=theirs" in outputs[0].stdout


def test_what_is_not_whole_says_not_that_it_is_ready(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def asked(file: Path) -> str:
        return subprocess.run(["sh", file], capture_output=True, text=True, check=False, timeout=60).stdout

    file = prepare({"XDG_DATA_HOME": str(tmp_path)})
    assert asked(file) == "ready\n"
    text = file.read_text()
    for end in range(0, text.index("echo ready"), 40):
        file.write_text(text[:end])
        assert asked(file) == ""
    monkeypatch.setattr(sys, "executable", "/no/python")
    assert asked(prepare({"XDG_DATA_HOME": str(tmp_path)})) == ""


def test_a_shell_that_hangs_is_told_of_in_a_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hookfiles, "_SHELL", "#!/bin/sh\nexec sleep 60\n")
    monkeypatch.setattr(hookfiles, "_PATIENCE", 0.5)
    places(monkeypatch, tmp_path / "hooks")
    with pytest.raises(HookError, match=r"sh: does not run \(no exit within 0.5 s\); set XDG_DATA_HOME"):
        prepare({})
