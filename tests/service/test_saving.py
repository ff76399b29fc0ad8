# SPDX-License-Identifier: GPL-2.0-only
"""What is written now and then, and what clients have noted in the meantime."""

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from kallsymsd.protocol.notes import Fallback
from kallsymsd.service import lifetime, server, tally
from tests.service.peer import PATIENCE, Daemon
from tests.service.test_server import build, wait_for

MakeMap = Callable[[bytes], Path]


def test_what_clients_noted_is_counted_and_told_at_each_save(
    monkeypatch: pytest.MonkeyPatch, daemon: Daemon, a_map: MakeMap
) -> None:
    monkeypatch.setattr(tally, "SAVE_INTERVAL", 0.05)
    for number in (1, 2):
        daemon.noted.append(Fallback("silent", 0.25, 1000 + number, (7, number)))
        build(daemon, a_map(b"ffff T a"))  # without a change nothing is saved
        wait_for(lambda expected=number: daemon.stats()["fallback_silent"] == expected)  # type: ignore[misc]  # no types
        wait_for(lambda expected=number: daemon.saved[-1]["fallbacks"] == expected)  # type: ignore[misc]  # no types
    with daemon.peer() as peer:
        peer.control({"command": "explain"})
        told = peer.answer()["fallbacks"]
    assert told == [
        {"reason": "silent", "time": 1001, "tree": [7, 1]},
        {"reason": "silent", "time": 1002, "tree": [7, 2]},
    ]


def test_a_disk_that_is_dead_in_the_end_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch, daemon: Daemon, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(lifetime, "DRAIN_LIMIT", 0.3)
    monkeypatch.setattr(server, "_LEAST", 0.1)
    answers = threading.Event()
    monkeypatch.setattr(daemon.server._saving, "finish", answers.wait)
    try:
        with daemon.peer() as peer:
            peer.control({"command": "stop"})
            peer.answer()
        daemon.thread.join(PATIENCE)
        assert not daemon.thread.is_alive()
    finally:
        answers.set()
    assert "the cache directory does not answer" in caplog.text


def test_notes_that_cannot_be_taken_do_not_keep_counters_from_being_saved(
    monkeypatch: pytest.MonkeyPatch, daemon: Daemon, a_map: MakeMap
) -> None:
    def fail() -> list[Fallback]:
        raise OSError("a test's")

    monkeypatch.setattr(tally, "SAVE_INTERVAL", 0.05)
    wait_for(lambda: not daemon.server._saving._is_taking)
    monkeypatch.setattr(daemon.server._saving, "_take_noted", fail)
    build(daemon, a_map(b"ffff T a"))
    wait_for(lambda: bool(daemon.saved) and daemon.saved[-1]["requests"] == 1)
