# SPDX-License-Identifier: GPL-2.0-only
"""kallsymsctl config, clear and top, and the end of any command."""

import json
import os
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from kallsymsd.counters.table import Unit
from kallsymsd.ctl import main, show
from kallsymsd.ctl.commands import status
from kallsymsd.engine.engine import Engine
from kallsymsd.engine.keys import tree_key
from kallsymsd.engine.store import Store
from kallsymsd.kbuild.hook.registry import Registry
from kallsymsd.protocol.lock import Lock
from kallsymsd.protocol.private import private_directory
from tests.interpreter import python
from tests.service.peer import PATIENCE, Daemon, FakeCore, request, serving
from tests.service.test_server import wait_for

MAP = b"ffffffff81000000 T a\nffffffff81000010 T b\n"


# config


def test_without_a_daemon_the_settings_are_those_one_would_have(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "config.toml").write_text("cache-limit = 100\nidle-exit = 60\n")
    monkeypatch.setenv("KALLSYMSD_CONFIG", str(tmp_path / "config.toml"))
    monkeypatch.setenv("KALLSYMSD_IDLE_EXIT", "70")
    assert main.main(["config"]) == 0
    lines = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert lines["cache-limit"] == f"100 MiB  ({tmp_path}/config.toml:1)"
    assert lines["idle-exit"] == "70 s  (KALLSYMSD_IDLE_EXIT)"
    assert lines["watch"] == "on  (default)"
    assert main.main(["config", "--json"]) == 0
    rows = {row["name"]: row["value"] for row in json.loads(capsys.readouterr().out)}
    assert (rows["cache-limit"], rows["idle-exit"], rows["watch"]) == (100, 70, True)


def test_a_running_daemon_is_asked_for_its_own(daemon: Daemon, capsys: pytest.CaptureFixture[str]) -> None:
    daemon.server._configuration = {"settings": [{"name": "idle-exit", "value": 9, "origin": "--idle-exit"}]}
    assert main.main(["config"]) == 0
    assert capsys.readouterr().out == "idle-exit 9 s  (--idle-exit)\n"


@pytest.mark.parametrize("command", ["config", "stats", "clear"])
def test_an_error_in_the_configuration_is_one_line(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "config.toml").write_text("colour = 1\n")
    monkeypatch.setenv("KALLSYMSD_CONFIG", str(tmp_path / "config.toml"))
    assert main.main([command]) == 1
    error = capsys.readouterr().err
    assert f"{tmp_path}/config.toml:1: no setting 'colour'" in error
    assert len(error.splitlines()) == 1


def test_an_error_in_the_configuration_hinders_no_stop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "config.toml").write_text("colour = 1\n")
    monkeypatch.setenv("KALLSYMSD_CONFIG", str(tmp_path / "config.toml"))
    assert main.main(["stop"]) == 0


# clear


@pytest.mark.parametrize("named", [True, False])
def test_a_daemon_forgets(
    tmp_path: Path, socket_path: Path, capsys: pytest.CaptureFixture[str], *, named: bool
) -> None:
    (tmp_path / "m").write_bytes(MAP)
    (tmp_path / "n").write_bytes(MAP + b"ffffffff81000020 T c\n")
    store = Store(tmp_path / "cache")
    with serving(socket_path, lambda: Engine(store)) as daemon:
        for name, tree in (("m", tmp_path), ("n", tmp_path / "other")):
            with daemon.peer() as peer:
                peer.build(tmp_path / name, tree=os.fsencode(tree), options=3)
                peer.reply()
        assert main.main(["clear", *([str(tmp_path)] if named else [])]) == 0
        assert f": {'1 tree' if named else '2 trees'} in memory" in capsys.readouterr().out
        engine = daemon.server.builds.engine
        assert engine is not None
        assert len(engine.summaries()) == named
        wait_for(
            lambda: store.get(tree_key(request(tmp_path, tree=os.fsencode(tmp_path), options=3))) is None
        )


@pytest.mark.parametrize("named", [True, False])
def test_without_a_daemon_the_store_is_cleared(tmp_path: Path, *, named: bool) -> None:
    cache = tmp_path / "cache" / "kallsymsd"
    keys = [tree_key(request(tmp_path, tree=os.fsencode(tree))) for tree in (tmp_path, tmp_path / "other")]
    store = Store(cache)
    for key in keys:
        store.put(key, b"state")
    store.close()
    assert main.main(["clear", *([str(tmp_path)] if named else [])]) == 0
    store = Store(cache)
    assert [store.get(key) is not None for key in keys] == [False, named]
    store.close()


def test_nothing_is_made_to_be_cleared(tmp_path: Path) -> None:
    assert main.main(["clear"]) == 0
    assert not (tmp_path / "cache").exists()


def test_a_cache_in_use_is_not_cleared(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cache = tmp_path / "cache" / "kallsymsd"
    private_directory(cache)
    lock = Lock(cache / "lock")
    assert lock.take()
    assert main.main(["clear"]) == 1
    assert "another kallsymsd uses it" in capsys.readouterr().err
    lock.close()


# top


def test_top_needs_a_daemon_and_a_terminal(socket_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main(["top"]) == 1
    assert "no daemon serves" in capsys.readouterr().err
    with serving(socket_path, lambda: Engine(None, FakeCore())):
        assert main.main(["top"]) == 1
    assert "top needs a terminal" in capsys.readouterr().err


def test_top_shows_the_daemon_until_it_ends(
    socket_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("COLUMNS", "80")
    with serving(socket_path, lambda: Engine(None, FakeCore())) as daemon:
        monkeypatch.setattr("kallsymsd.ctl.commands.top.time.sleep", lambda _: daemon.stop())
        assert main.main(["top"]) == 0
    captured = capsys.readouterr()
    assert "pid" in captured.out
    assert "Requests since" in captured.out
    assert "the daemon has ended" in captured.err


def test_top_ends_with_a_daemon_that_is_ending(
    socket_path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    (tmp_path / "m").write_bytes(b"wait")
    core = FakeCore()
    with serving(socket_path, lambda: Engine(None, core)) as daemon, daemon.peer() as peer:
        peer.build(tmp_path / "m")
        assert core.started.acquire(timeout=PATIENCE)

        def begin_to_end(_: float) -> None:
            daemon.server.request_stop()
            wait_for(lambda: not socket_path.exists())
            threading.Timer(0.2, core.release.set).start()

        with monkeypatch.context() as patched:
            patched.setattr(
                "kallsymsd.ctl.commands.top.time", SimpleNamespace(sleep=begin_to_end, time=time.time)
            )
            assert main.main(["top"]) == 0
    assert "the daemon has ended" in capsys.readouterr().err


@pytest.mark.parametrize("interval", ["0", "-1", "x", "nan", "1e9"])
def test_top_looks_neither_without_pause_nor_never(interval: str) -> None:
    with pytest.raises(SystemExit) as ended:
        main.main(["top", f"--interval={interval}"])
    assert ended.value.code == 2


# status


def test_status_names_the_trees_with_the_hook(
    daemon: Daemon, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert status.hooked() == []
    Registry(tmp_path / "data/kallsymsd").add(tmp_path / "gone")
    assert main.main(["status"]) == 0
    assert (
        f"no hook {tmp_path}/gone: the tree is missing: No such file or directory\n"
        in capsys.readouterr().out
    )
    assert status.hooked() == [
        (
            "Trees with the hook (kallsymsctl list)",
            [("no hook", f"{tmp_path}/gone: the tree is missing: No such file or directory", "")],
        )
    ]
    assert daemon.path.exists()


def test_status_tells_all_that_a_daemon_says() -> None:
    answer = {
        "state": "serving",
        "version": "1",
        "pid": 7,
        "uptime": 9000.0,
        "socket": "/s",
        "clients": 2,
        "busy": [{"what": "/m", "seconds": 1.5, "ahead": True}],
        "problem": "no disk",
        "stuck": 1,
        "trees": [{"tree": "/linux", "dialect": "v6.11", "symbols": 1234, "bytes": 1 << 20}],
        "watch": {
            "paused": 2.0,
            "trees": [
                {"directory": "/linux", "watched": True, "problem": "", "maps": ["m"], "unused": 3.0},
                {"directory": "/nfs", "watched": False, "problem": "lies on nfs", "maps": [], "unused": 3.0},
            ],
        },
        "settings": [{"name": "watch", "value": False, "origin": "--no-watch"}],
    }
    text = "\n".join(f"{key} {value}" for _, rows in status.sections(answer) for key, value, _ in rows)
    for part in (
        "uptime 2 h",
        "precomputing /m, for 1.5 s",
        "problem no disk",
        "stuck 1",
        "1.0 MiB /linux",
        "watched /linux",
        "not watched /nfs: lies on nfs",
        "paused for 2.0 s",
        "watch off  (--no-watch)",
    ):
        assert part in text


# The end of any command.


def test_nobody_reading_is_no_traceback() -> None:
    done = python(
        "import os, sys\n"
        "from kallsymsd.ctl.main import main\n"
        "reader, writer = os.pipe()\n"
        "os.close(reader)\n"
        "os.dup2(writer, 1)\n"
        "sys.exit(main(['completion', 'bash']))\n",
        check=False,
    )
    assert (done.returncode, done.stderr) == (141, "")


def test_an_interrupt_is_no_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(show, "show_tables", interrupted)
    monkeypatch.setattr("kallsymsd.ctl.commands.config.show_tables", interrupted)
    assert main.main(["config"]) == 130


def test_numbers_have_their_thousands_told_apart() -> None:
    assert show.number_text(163205, Unit.COUNT) == "163,205"
