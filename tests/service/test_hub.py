# SPDX-License-Identifier: GPL-2.0-only
"""Waking the loop: never lost, whenever it comes."""

import math
import socket
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path

import pytest

from kallsymsd.service.hub import Hub
from tests.service.peer import PATIENCE


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    """A hub that nobody connects to."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(str(tmp_path / "s"))
        listener.listen()
        listener.settimeout(0)
        hub = Hub(listener, lambda _connection, _frame: None, lambda _connection: None)
        yield hub
        hub.close()


@pytest.fixture
def busy_threads() -> Iterator[None]:
    """Threads change as often as they can."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)


def test_a_turn_that_was_woken_before_does_not_wait(hub: Hub) -> None:
    hub.wake()
    hub.wake()
    began = time.monotonic()
    hub.turn(math.inf)
    assert time.monotonic() - began < PATIENCE
    began = time.monotonic()
    hub.turn(began + 0.05)  # once
    assert time.monotonic() >= began + 0.05


def test_a_turn_that_waits_is_woken(hub: Hub) -> None:
    timer = threading.Timer(0.05, hub.wake)
    timer.start()
    hub.turn(math.inf)
    timer.join()


@pytest.mark.usefixtures("busy_threads")
def test_no_wake_is_lost_whenever_it_comes(hub: Hub) -> None:
    """Threads each say something and wait to be heard before they say the next: one lost wake would hang."""
    said: deque[threading.Event] = deque()
    times = 2000

    def say() -> None:
        for _ in range(times):
            heard = threading.Event()
            said.append(heard)
            hub.wake()
            assert heard.wait(PATIENCE)

    threads = [threading.Thread(target=say) for _ in range(3)]
    for thread in threads:
        thread.start()
    count = 0
    while count < times * len(threads):
        hub.turn(math.inf)
        while said:
            said.popleft().set()
            count += 1
    for thread in threads:
        thread.join(PATIENCE)
        assert not thread.is_alive()
