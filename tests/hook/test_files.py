# SPDX-License-Identifier: GPL-2.0-only
"""Where the hook's files are put, and what they say."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from kallsymsd.hook import files
from kallsymsd.hook.files import HookError, prepare, program_of


def places(monkeypatch: pytest.MonkeyPatch, *directories: Path) -> None:
    monkeypatch.setattr(files, "_places", lambda _: iter(directories))


def test_made_once_and_never_again(tmp_path: Path) -> None:
    environment = {"XDG_DATA_HOME": str(tmp_path)}
    fragment = prepare(environment)
    assert fragment.is_relative_to(tmp_path / "kallsymsd")
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in fragment.parent.iterdir()}
    assert {path.name for path in before} == {"hook.mk", "sh", "kallsyms"}
    assert prepare(environment) == fragment
    assert {
        path: (path.read_bytes(), path.stat().st_mtime_ns) for path in fragment.parent.iterdir()
    } == before


def test_a_damaged_one_is_made_whole(tmp_path: Path) -> None:
    environment = {"XDG_DATA_HOME": str(tmp_path)}
    fragment = prepare(environment)
    text = fragment.read_text()
    fragment.write_text("")
    (fragment.parent / "sh").chmod(0o600)
    assert prepare(environment) == fragment
    assert fragment.read_text() == text
    assert os.access(fragment.parent / "sh", os.X_OK)


def test_another_installation_has_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    environment = {"XDG_DATA_HOME": str(tmp_path)}
    fragment = prepare(environment)
    assert program_of(fragment) == (Path(sys.executable), files_module())
    monkeypatch.setattr(sys, "executable", "/it's a/python")
    other = prepare(environment)
    assert other.parent != fragment.parent
    assert program_of(other) == (Path("/it's a/python"), files_module())
    assert subprocess.run([other.parent / "sh", "-n"], check=False, timeout=60).returncode == 0


def files_module() -> Path:
    return Path(__file__).parents[2] / "client/kallsyms_client/kbuild/__main__.py"


@pytest.mark.parametrize("name", ["a home", "a$b", "a:b", "a#b", "a%b", "a=b", "a\tb", "a'b"])
def test_names_that_make_cannot_take(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    second = tmp_path / "second"
    places(monkeypatch, tmp_path / name, second)
    assert prepare({}).is_relative_to(second)
    places(monkeypatch, tmp_path / name)
    with pytest.raises(HookError, match=r"make cannot use .* set XDG_DATA_HOME"):
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
    with pytest.raises(HookError, match="/proc/nothing: cannot be made"):
        prepare({})


def test_a_place_where_nothing_runs_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "_SHELL", files._SHELL.replace("#!/bin/sh", "#!/no/such/shell"))
    places(monkeypatch, tmp_path / "first")
    with pytest.raises(HookError):
        prepare({})
    monkeypatch.setattr(files, "_SHELL", "#!/bin/sh\nexit 1\n")
    with pytest.raises(HookError, match=r"sh: does not run \(exit status 1\)"):
        prepare({})


def test_every_make_reads_the_fragment_alike(tmp_path: Path) -> None:
    """Only the two targets get the shell; their prerequisites do not."""
    fragment = prepare({"XDG_DATA_HOME": str(tmp_path)})
    (tmp_path / "Makefile").write_text(
        "all: vmlinux vmlinux.unstripped vmlinux.o\n\t@echo $@ $(SHELL)\n"
        "vmlinux vmlinux.unstripped: before\n\t@echo $@ $(SHELL)\n"
        "vmlinux.o before:\n\t@echo $@ $(SHELL)\n"
    )
    done = subprocess.run(
        ["make", "-s"],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "MAKEFILES": str(fragment)},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    ours = f"{fragment.parent}/sh"
    assert dict(line.split() for line in done.stdout.splitlines()) == {
        "all": "/bin/sh",
        "before": "/bin/sh",
        "vmlinux": ours,
        "vmlinux.unstripped": ours,
        "vmlinux.o": "/bin/sh",
    }


def test_a_shell_that_hangs_is_told_of_in_a_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "_SHELL", "#!/bin/sh\nexec sleep 60\n")
    monkeypatch.setattr(files, "_PATIENCE", 0.5)
    places(monkeypatch, tmp_path / "hooks")
    with pytest.raises(HookError, match=r"sh: does not run \(not ended after 0.5 s\); set XDG_DATA_HOME"):
        prepare({})
