# SPDX-License-Identifier: GPL-2.0-only
"""Every command of every program in odd surroundings does its work, or says one line; never a traceback."""

import os
import pwd
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from kallsymsd.ctl import absence, main, unitfiles
from kallsymsd.ctl.command import subparsers
from kallsymsd.kbuild.hook.hookfiles import VARIABLE
from tests.interpreter import python
from tests.service.peer import Daemon

XDG = ("XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_RUNTIME_DIR")

#: What $HOME is; None for nothing. PLACE is replaced by the test's own directory.
HOMES: dict[str, str | None] = {
    "no HOME": None,
    "an empty HOME": "",
    "a relative HOME": "relative",
    "HOME is a file": "PLACE/file",
    "HOME is a device": "/dev/null",
    "HOME is not there": "PLACE/none",
    "HOME is not readable": "PLACE/closed",
}
#: What the XDG variables are; None for nothing.
VARIABLES: dict[str, str | None] = {"unset": None, "empty": "", "relative": "here"}

# How each command is tried. None of it is there, so that all go as far as they can.
ARGUMENTS: dict[str, list[str]] = {
    "run": ["--", "true"],
    "install": ["none"],
    "uninstall": ["none"],
    "list": [],
    "patch": ["--print"],
    "stats": [],
    "status": [],
    "top": [],
    "explain": [],
    "verify": ["none"],
    "clear": [],
    "config": [],
    "stop": [],
    "service": ["status"],
    "completion": ["bash"],
}
# Commands that need nothing of it.
ALWAYS = {"run", "stop", "completion"}


class ExecutedError(Exception):
    """In the place of a process that becomes another one."""


@pytest.fixture(params=[(home, variable) for home in HOMES for variable in VARIABLES], ids=" and ".join)
def surroundings(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Path]:
    """An environment that has little; $KALLSYMSD_SOCKET names where nobody serves."""
    home, variable = HOMES[request.param[0]], VARIABLES[request.param[1]]
    (tmp_path / "file").touch()
    (tmp_path / "closed").mkdir(mode=0)
    monkeypatch.chdir(tmp_path)
    for name, value in (("HOME", home), *((name, variable) for name in XDG)):
        if value is None:
            monkeypatch.delenv(name, raising=False)
        else:
            monkeypatch.setenv(name, value.replace("PLACE", str(tmp_path)))
    monkeypatch.setenv("KALLSYMSD_SOCKET", str(tmp_path / "s"))
    monkeypatch.setattr(pwd, "getpwuid", {}.__getitem__)  # no such user
    monkeypatch.setattr(unitfiles, "systemctl", lambda: None)
    yield tmp_path
    (tmp_path / "closed").chmod(0o700)


def test_every_command_is_tried_here() -> None:
    assert sorted(ARGUMENTS) == sorted(subparsers(main.parser()))


@pytest.mark.parametrize("arguments", [[name, *more] for name, more in ARGUMENTS.items()], ids=" ".join)
@pytest.mark.usefixtures("surroundings")
def test_kallsymsctl_works_or_says_one_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    def execute(*_: object) -> None:
        raise ExecutedError

    monkeypatch.setattr(os, "execvpe", execute)
    try:
        status = main.main(arguments)
    except ExecutedError:
        status = 0
    captured = capsys.readouterr()
    errors = captured.err.splitlines()
    assert all(line.startswith("kallsymsctl: ") for line in errors)
    assert status == 0 or (status == 1 and arguments[0] not in ALWAYS)
    assert len(errors) <= (2 if arguments[0] == "explain" else 1)
    assert captured.out or errors or arguments[0] in ("run", "list")


@pytest.mark.parametrize("action", ["install", "uninstall"])
def test_units_are_not_written_where_there_is_no_home(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, action: str
) -> None:
    monkeypatch.setenv("HOME", "relative")
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    monkeypatch.setattr(pwd, "getpwuid", {}.__getitem__)
    monkeypatch.chdir(tmp_path)
    assert main.main(["service", action]) == 1
    error = capsys.readouterr().err
    assert "there is no home directory" in error
    assert "set HOME or XDG_CONFIG_HOME" in error
    assert not (tmp_path / "relative").exists()


# In a process of its own, without a passwd database.
PROGRAM = """\
import pwd, sys
pwd.getpwuid = {{}}.__getitem__
from {module} import main
sys.argv = {arguments!r}
sys.exit(main())
"""


def started(module: str, *arguments: str) -> tuple[int, str, list[str]]:
    done = python(
        PROGRAM.format(module=module, arguments=["/" + module.partition(".")[0], *arguments]), check=False
    )
    return done.returncode, done.stdout, done.stderr.splitlines()


def test_the_client_makes_its_tables(surroundings: Path) -> None:
    (surroundings / "m.map").write_text("ffffffff81000000 T _text\nffffffff81000010 t foo\n")
    status, out, errors = started(
        "kallsyms_client.main", "--dialect=v6.11", "--all-symbols", "--format=asm", "m.map"
    )
    assert (status, errors) == (0, [])
    assert "kallsyms_num_syms" in out


@pytest.mark.usefixtures("surroundings")
def test_the_daemon_serves_or_says_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KALLSYMSD_IDLE_EXIT", "1")
    status, _, errors = started("kallsymsd.__main__")
    assert errors
    assert all(line.startswith("kallsymsd: ") for line in errors)
    if not os.environ.get("HOME", "").startswith("/"):
        assert (status, len(errors)) == (2, 1)
        assert "there is no home directory" in errors[0]
        assert "KALLSYMSD_CACHE_DIR" in errors[0]


# run


@pytest.mark.usefixtures("surroundings")
def test_without_a_hook_the_command_is_run_after_a_warning(tmp_path: Path) -> None:
    status, _, errors = started("kallsymsd.ctl.main", "run", "--", "touch", "ran")
    assert status == 0
    assert (tmp_path / "ran").exists()
    if not os.environ.get("HOME", "").startswith("/"):
        assert len(errors) == 1
        assert errors[0].startswith(
            "kallsymsctl: warning: building without kallsymsd: there is no home directory"
        )


@pytest.mark.parametrize("name", ["relative", "/" + "x" * 200])
def test_a_socket_that_cannot_be_hinders_no_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv("KALLSYMSD_SOCKET", name)
    assert started("kallsymsd.ctl.main", "run", "--", "touch", str(tmp_path / "ran"))[0] == 0
    assert (tmp_path / "ran").exists()


# A daemon that cannot start.


@pytest.fixture(params=["[[[", "cache-limit = " + "9" * 4400, "colour = 1", None])
def broken(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A configuration file with an error; its place and line."""
    path = tmp_path / "config.toml"
    monkeypatch.setenv("KALLSYMSD_CONFIG", str(path))
    if request.param is None:
        os.mkfifo(path)
        return f"{path}: not a regular file"
    path.write_text(request.param)
    return f"{path}:1: "


@pytest.mark.parametrize("command", ["status", "explain", "top"])
def test_why_there_is_no_daemon_and_where_its_log_is(
    broken: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    assert main.main([command]) == 1
    line = capsys.readouterr().err.splitlines()[0]
    assert line.startswith(
        f"kallsymsctl: no daemon serves {tmp_path}/run/kallsymsd/s; none can start: {broken}"
    )
    assert f"its log is {tmp_path}/cache/kallsymsd/log" in line


def test_run_says_so_too_and_runs(broken: str, tmp_path: Path) -> None:
    program = f"import os; print('kallsymsd' in os.environ['{VARIABLE}'])"
    status, out, errors = started("kallsymsd.ctl.main", "run", "--", sys.executable, "-c", program)
    assert (status, out, len(errors)) == (0, "True\n", 1)
    assert errors[0].startswith("kallsymsctl: warning: no daemon serves")
    assert f"none can start: {broken}" in errors[0]
    assert f"its log is {tmp_path}/cache/kallsymsd/log" in errors[0]


def test_run_does_not_say_it_where_no_daemon_is_wanted_or_one_runs(
    daemon: Daemon, broken: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert broken
    command = "kallsymsd.ctl.main", "run", "--", "true"
    assert daemon.thread.is_alive()
    assert started(*command)[2] == []
    daemon.stop()
    assert len(started(*command)[2]) == 1
    monkeypatch.setenv("KALLSYMSD", "off")
    assert started(*command)[2] == []


def test_a_log_that_is_there_is_named_whatever_the_configuration(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = tmp_path / "cache" / "kallsymsd" / absence.LOG
    for is_there in (False, True):
        if is_there:
            log.parent.mkdir(parents=True)
            log.touch()
        assert main.main(["status"]) == 1
        assert (f"its log is {log}" in capsys.readouterr().err) == is_there
