# SPDX-License-Identifier: GPL-2.0-only
"""kallsymsctl asks and stops the daemon, and starts none."""

import json
import os
import re
import socket
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import msgpack
import pytest

from kallsymsd import __version__
from kallsymsd.counters.kept import read, save
from kallsymsd.ctl import main, query
from kallsymsd.ctl.show import bytes_text
from kallsymsd.protocol import wire
from kallsymsd.protocol.lock import Lock
from kallsymsd.protocol.paths import lock_path
from tests.service.peer import PATIENCE, Daemon

FIXED = {"requests", "hits", "misses", "bytes", "seconds", "cache_entries", "cache_bytes", "cache_limit"}


def build(daemon: Daemon, tmp_path: Path) -> None:
    (tmp_path / "m").write_bytes(b"ffff T a")
    with daemon.peer() as peer:
        peer.build(tmp_path / "m")
        peer.reply()


def test_stats_has_the_fixed_keys(daemon: Daemon, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    build(daemon, tmp_path)
    build(daemon, tmp_path)
    assert main.main(["stats", "--json"]) == 0
    values = json.loads(capsys.readouterr().out)
    assert set(values) >= FIXED
    assert (values["requests"], values["hits"], values["misses"], values["running"]) == (2, 1, 1, True)


def test_stats_for_a_pipe_are_plain_lines(
    daemon: Daemon, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    build(daemon, tmp_path)
    assert main.main(["stats"]) == 0
    lines = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert (lines["requests"], lines["bytes"]) == ("1", "8 B")
    assert set(lines) >= FIXED


@pytest.mark.parametrize("command", ["stats", "status"])
def test_a_terminal_of_80_columns_holds_all_lines(
    daemon: Daemon,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    command: str,
) -> None:
    build(daemon, tmp_path)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERM", "dumb")
    assert main.main([command]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    if command == "stats":
        assert any(re.fullmatch(r"  cold +1 +100.0 %  computed from scratch +", line) for line in lines)


def test_status_says_what_the_daemon_is(
    daemon: Daemon, socket_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert daemon.thread.is_alive()
    assert main.main(["status"]) == 0
    lines = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert (lines["version"], lines["pid"], lines["socket"]) == (
        __version__,
        str(os.getpid()),
        str(socket_path),
    )
    assert lines["busy"] == "no"


def test_stop_ends_the_daemon_before_it_returns(daemon: Daemon, socket_path: Path) -> None:
    assert main.main(["stop"]) == 0
    assert not socket_path.exists()
    assert not query.is_running(socket_path)
    daemon.thread.join(PATIENCE)
    assert not daemon.thread.is_alive()


# Without a daemon.


def test_without_a_daemon_stats_are_those_it_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "cache" / "kallsymsd").mkdir(mode=0o700, parents=True)
    save(tmp_path / "cache" / "kallsymsd", read({"requests": 41}))
    assert main.main(["stats", "--json"]) == 0
    values = json.loads(capsys.readouterr().out)
    assert (values["requests"], values["running"]) == (41, False)
    assert set(values) >= FIXED
    assert main.main(["stats"]) == 0
    captured = capsys.readouterr()
    assert "no daemon serves" in captured.err
    assert "requests" in captured.out


@pytest.mark.parametrize("arguments", [["stats"], ["stats", "--json"], ["status"]])
def test_without_a_daemon_and_counters_a_query_fails_and_starts_none(
    arguments: list[str], tmp_path: Path, socket_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main.main(arguments) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith(f"kallsymsctl: no daemon serves {socket_path}")
    assert len(captured.err.splitlines()) == 1
    assert list((tmp_path / "run").iterdir()) == []
    assert not (tmp_path / "cache").exists()


def test_stopping_what_does_not_run_is_no_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main(["stop"]) == 0
    assert "no daemon serves" in capsys.readouterr().err


def test_a_socket_that_the_service_manager_holds_is_not_touched(
    socket_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    socket_path.parent.mkdir(mode=0o700)
    with socket.socket(socket.AF_UNIX) as held:
        held.bind(str(socket_path))
        held.listen()
        held.settimeout(0)
        assert main.main(["status"]) == 1
        with pytest.raises(BlockingIOError):
            held.accept()
    assert "no daemon serves" in capsys.readouterr().err


# A daemon that misbehaves.


@pytest.fixture
def impostor(socket_path: Path) -> Iterator[socket.socket]:
    """Holds the lock and listens, and does what the test makes it do."""
    socket_path.parent.mkdir(mode=0o700)
    lock = Lock(lock_path(socket_path))
    assert lock.take()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(socket_path))
        listener.listen()
        yield listener
    lock.close()


def test_a_daemon_that_says_nothing_is_given_up(
    impostor: socket.socket, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert impostor.fileno() >= 0
    monkeypatch.setattr(query.ask, "__defaults__", (0.2,))
    assert main.main(["status"]) == 1
    assert "does not answer" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("said", "text"),
    [
        (b"", "closed the connection"),
        (b"KSY", "closed the connection"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "does not speak"),
        (b"KSYM\x09\x00\x00\x00", "protocol 9"),
        (wire.preamble() + wire.frame(wire.ANSWER, b"\xc1"), "not msgpack"),
        (wire.preamble() + wire.frame(wire.REPLY, b""), "kind 2"),
        (wire.preamble() + wire.frame(wire.FAILURE, b"too busy"), "too busy"),
        (wire.preamble() + wire.frame(wire.ANSWER, msgpack.packb({"error": "what?"})), "what?"),
        (wire.preamble() + b"\x05\x00\x00\x00\xff\xff\xff\xff", "at most"),
    ],
)
def test_whatever_a_daemon_says_is_an_answer_or_one_line(
    impostor: socket.socket, capsys: pytest.CaptureFixture[str], said: bytes, text: str
) -> None:
    def talk() -> None:
        connection, _ = impostor.accept()
        with connection:
            connection.sendall(said)
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(1000):
                pass

    thread = threading.Thread(target=talk)
    thread.start()
    assert main.main(["stats"]) == 1
    thread.join(PATIENCE)
    error = capsys.readouterr().err
    assert text in error
    assert len(error.splitlines()) == 1


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("status", {"version": "0.0.9", "pid": 7}),
        ("status", {"version": "0.0.9", "watch": 1}),
        ("config", {"version": "0.0.9"}),
        ("explain", {"version": "0.0.9", "requests": [{"map": "/m"}]}),
        ("explain", {"version": "0.0.9"}),
    ],
)
def test_a_daemon_of_an_older_version_is_told_of_in_one_line(
    impostor: socket.socket, capsys: pytest.CaptureFixture[str], command: str, said: dict[str, object]
) -> None:
    def talk() -> None:
        connection, _ = impostor.accept()
        with connection:
            connection.sendall(wire.preamble() + wire.frame(wire.ANSWER, msgpack.packb(said)))
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(1000):
                pass

    thread = threading.Thread(target=talk)
    thread.start()
    assert main.main([command]) == 1
    thread.join(PATIENCE)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert len(captured.err.splitlines()) == 1
    assert "(0.0.9)" in captured.err
    assert "kallsymsctl stop" in captured.err


def test_a_daemon_of_another_user_is_not_asked(
    daemon: Daemon, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert daemon.thread.is_alive()
    monkeypatch.setattr(query, "is_our_peer", lambda _: False)
    assert main.main(["status"]) == 1
    assert "another user" in capsys.readouterr().err


# Form.


def test_a_socket_name_that_is_too_long_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main(["--socket", "/" + "x" * 200, "status"]) == 1
    assert "201 bytes" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [[], ["nonsense"], ["stats", "--nonsense"]])
def test_wrong_arguments_are_status_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main.main(arguments)
    assert ended.value.code == 2
    assert "usage: kallsymsctl" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (3_385_349, "3.2 MiB"),
        (5 << 30, "5.0 GiB"),
        (1 << 50, "1024.0 TiB"),
    ],
)
def test_bytes_are_shown_with_their_unit(count: int, text: str) -> None:
    assert bytes_text(count) == text
