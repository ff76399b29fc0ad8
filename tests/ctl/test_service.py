# SPDX-License-Identifier: GPL-2.0-only
"""kallsymsctl service puts units in place that start this daemon, with or without a user manager."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import pytest

from kallsymsd.ctl import main, unitfiles
from kallsymsd.ctl.command import CommandError
from kallsymsd.ctl.commands import service
from tests.service.peer import PATIENCE, Daemon

# Stands in for systemctl: notes how it was called, and fails where the test says.
SYSTEMCTL = """#!{python}
import json, sys, pathlib
here = pathlib.Path(__file__).parent
with (here / "calls").open("a") as file:
    file.write(json.dumps(sys.argv[1:]) + "\\n")
if sys.argv[3] == "is-active":
    print("active")
fails = (here / "fails").read_text().split() if (here / "fails").exists() else []
if sys.argv[3] in fails:
    print("no such luck", file=sys.stderr)
    sys.exit(1)
"""


class Manager:
    """The stand-in, and where units go."""

    def __init__(self, tmp_path: Path) -> None:
        self.bin = tmp_path / "bin"
        self.bin.mkdir()
        self.units = tmp_path / "config" / "systemd" / "user"
        script = self.bin / "systemctl"
        script.write_text(SYSTEMCTL.format(python=sys.executable))
        script.chmod(0o755)

    def fail(self, *commands: str) -> None:
        (self.bin / "fails").write_text(" ".join(commands))

    def calls(self) -> list[str]:
        if not (self.bin / "calls").exists():
            return []
        lines = (self.bin / "calls").read_text().splitlines()
        calls = [json.loads(line) for line in lines]
        assert all(call[:2] == ["--user", "--no-pager"] for call in calls)
        return [" ".join(call[2:]) for call in calls if call[2] != "show-environment"]

    def files(self) -> list[str]:
        return sorted(str(path.relative_to(self.units)) for path in self.units.rglob("*") if path.is_file())


@pytest.fixture
def manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Manager:
    manager = Manager(tmp_path)
    monkeypatch.setenv("PATH", str(manager.bin))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return manager


def test_install_enables_the_socket_and_uninstall_undoes_it(
    manager: Manager, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main.main(["service", "install"]) == 0
    assert manager.files() == ["kallsymsd.service", "kallsymsd.socket"]
    assert manager.calls() == [
        "daemon-reload",
        "stop kallsymsd.socket kallsymsd.service",
        "enable --now kallsymsd.socket",
    ]
    assert main.main(["service", "status"]) == 0
    out = capsys.readouterr().out
    assert str(manager.units / "kallsymsd.service") in out
    assert "active" in out
    assert "this installation" not in out
    assert main.main(["service", "uninstall"]) == 0
    assert manager.files() == []
    assert manager.calls()[-3:] == [
        "disable --now kallsymsd.socket",
        "stop kallsymsd.service",
        "daemon-reload",
    ]
    assert main.main(["service", "status"]) == 1


def test_the_drop_in_comes_and_goes(manager: Manager) -> None:
    main.main(["service", "install", "--hardened"])
    assert "kallsymsd.service.d/hardening.conf" in manager.files()
    main.main(["service", "install"])
    assert manager.files() == ["kallsymsd.service", "kallsymsd.socket"]
    main.main(["service", "install", "--hardened"])
    main.main(["service", "uninstall"])
    assert list(manager.units.iterdir()) == []


@pytest.mark.parametrize("action", ["uninstall", "status"])
def test_the_drop_in_is_for_install(
    manager: Manager, capsys: pytest.CaptureFixture[str], action: str
) -> None:
    assert main.main(["service", "install"]) == 0
    assert main.main(["service", action, "--hardened"]) == 1
    assert capsys.readouterr().err == f"kallsymsctl: --hardened: works with install, not with {action}\n"
    assert manager.files() == ["kallsymsd.service", "kallsymsd.socket"]


def test_a_systemctl_that_cannot_run_is_one_line(
    manager: Manager, capsys: pytest.CaptureFixture[str]
) -> None:
    program = manager.bin / "systemctl"
    program.write_text("#!/nonexistent/interpreter\n")
    assert main.main(["service", "status"]) == 1
    assert capsys.readouterr().err == f"kallsymsctl: {program}: No such file or directory\n"


def test_what_else_is_there_stays(manager: Manager) -> None:
    main.main(["service", "install", "--hardened"])
    own = manager.units / "kallsymsd.service.d" / "own.conf"
    own.write_text("[Service]\n")
    (manager.units / "other.service").touch()
    main.main(["service", "uninstall"])
    assert manager.files() == ["kallsymsd.service.d/own.conf", "other.service"]


def test_without_a_manager_it_says_what_to_do(manager: Manager, capsys: pytest.CaptureFixture[str]) -> None:
    manager.fail("show-environment")
    assert main.main(["service", "install"]) == 0
    assert manager.files() == ["kallsymsd.service", "kallsymsd.socket"]
    assert manager.calls() == []
    assert "systemctl --user enable --now kallsymsd.socket" in capsys.readouterr().out
    assert main.main(["service", "status"]) == 0
    assert "no systemd user manager is running" in capsys.readouterr().out
    wants = manager.units / "sockets.target.wants" / "kallsymsd.socket"
    wants.parent.mkdir()
    wants.symlink_to(manager.units / "kallsymsd.socket")
    assert main.main(["service", "uninstall"]) == 0
    assert not wants.is_symlink()
    (manager.bin / "systemctl").unlink()
    assert main.main(["service", "install"]) == 0


def test_a_daemon_started_by_hand_is_stopped_first(
    manager: Manager, daemon: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    served = []
    real = service._systemctl

    def watched(*arguments: str) -> "subprocess.CompletedProcess[str]":
        served.append((arguments[0], daemon.path.exists()))
        return real(*arguments)

    monkeypatch.setattr(service, "_systemctl", watched)
    assert main.main(["service", "install"]) == 0
    assert served[-1] == ("enable", False)
    assert served[-2] == ("stop", True)
    assert manager.files() != []


def test_a_command_of_the_manager_that_fails_is_an_error(
    manager: Manager, capsys: pytest.CaptureFixture[str]
) -> None:
    manager.fail("enable")
    assert main.main(["service", "install"]) == 1
    error = capsys.readouterr().err
    assert error == "kallsymsctl: systemctl --user enable --now kallsymsd.socket: no such luck\n"


def test_a_place_that_cannot_be_written_is_an_error(
    manager: Manager, capsys: pytest.CaptureFixture[str]
) -> None:
    manager.units.parent.mkdir(parents=True)
    manager.units.touch()
    assert main.main(["service", "install"]) == 1
    assert str(manager.units) in capsys.readouterr().err


@pytest.mark.parametrize("name", ["plain", "with space", "per%cent", "dol$HOME", ";", "=", "-"])
def test_any_path_is_quoted_so_that_systemd_finds_it(
    tmp_path: Path, name: str, unavailable: Callable[[str], NoReturn]
) -> None:
    analyze = shutil.which("systemd-analyze") or unavailable("systemd-analyze is not here")
    program = tmp_path / name / "kallsymsd"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    units = tmp_path / "units"
    command = [str(program), "-m", name]
    unitfiles.write(units, unitfiles.texts(command, hardened=True))
    done = subprocess.run(
        [analyze, "--user", "verify", str(units / "kallsymsd.socket"), str(units / "kallsymsd.service")],
        env={"XDG_RUNTIME_DIR": str(tmp_path), "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
    program.unlink()
    done = subprocess.run(
        [analyze, "--user", "verify", str(units / "kallsymsd.service")],
        env={"XDG_RUNTIME_DIR": str(tmp_path), "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )
    assert done.returncode != 0  # so it has looked at this very path


def test_the_words_after_the_program_are_taken_as_they_are() -> None:
    assert unitfiles.exec_start(["/a$b", "c$d", "%i", '\\"']) == r'"/a$b" "c$$d" "%%i" "\\\""'


@pytest.mark.parametrize("path", ["/new\nline", '/quote"d', "/quote'd", "/back\\slash"])
def test_a_path_that_systemd_refuses_is_refused_here(path: str) -> None:
    with pytest.raises(CommandError, match="install kallsymsd elsewhere"):
        unitfiles.exec_start([path])


def test_the_program_is_the_one_beside_this_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", [str(tmp_path / "kallsymsctl")])
    assert unitfiles.program() == [sys.executable, "-m", "kallsymsd"]
    (tmp_path / "kallsymsd").touch(mode=0o755)
    assert unitfiles.program() == [str(tmp_path / "kallsymsd")]
