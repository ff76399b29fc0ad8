# SPDX-License-Identifier: GPL-2.0-only
"""The threads: clients' jobs first, none lost for good, all ended in time."""

import threading
from collections.abc import Callable, Iterator

import pytest

from kallsymsd.service import workers
from kallsymsd.service.workers import Workers
from tests.service.peer import PATIENCE
from tests.service.test_server import wait_for


@pytest.fixture
def release() -> Iterator[threading.Event]:
    """Lets the jobs of ``waits`` end."""
    event = threading.Event()
    yield event
    event.set()


@pytest.fixture
def waits(release: threading.Event) -> Callable[[], None]:
    """A job that takes until ``release``."""

    def job() -> None:
        assert release.wait(PATIENCE)

    return job


@pytest.fixture
def two(release: threading.Event) -> Iterator[Workers]:
    two = Workers(2)
    yield two
    release.set()
    assert two.stop(PATIENCE)


def test_work_ahead_leaves_a_thread_to_clients(two: Workers, waits: Callable[[], None]) -> None:
    for _ in range(5):
        two.submit(waits, ahead=True)
    done = threading.Event()
    two.submit(done.set)
    assert done.wait(PATIENCE)


def test_a_clients_job_overtakes_work_ahead(
    two: Workers, release: threading.Event, waits: Callable[[], None]
) -> None:
    order: list[str] = []
    two.submit(waits)
    two.submit(waits)
    two.submit(lambda: order.append("ahead"), ahead=True)
    two.submit(lambda: order.append("client"))
    release.set()
    wait_for(lambda: len(order) == 2)
    assert order == ["client", "ahead"]


def test_all_work_ahead_is_done_in_the_end(two: Workers) -> None:
    done = threading.Semaphore(0)
    for _ in range(20):
        two.submit(done.release, ahead=True)
    assert all(done.acquire(timeout=PATIENCE) for _ in range(20))
    wait_for(lambda: not two.busy)


def test_a_job_that_fails_takes_no_thread_with_it(two: Workers, caplog: pytest.LogCaptureFixture) -> None:
    def fails() -> None:
        raise ZeroDivisionError

    for _ in range(4):
        two.submit(fails)
    done = threading.Event()
    two.submit(done.set)
    assert done.wait(PATIENCE)
    wait_for(lambda: [each.message for each in caplog.records] == ["a job failed"] * 4)


def test_a_stuck_thread_is_replaced_and_ends_when_it_comes_back(
    two: Workers, release: threading.Event, waits: Callable[[], None]
) -> None:
    two.submit(waits)
    two.submit(waits)
    wait_for(lambda: len(two._running) == 2)
    two.replace_stuck(limit=PATIENCE)
    assert two.stuck == 0
    two.replace_stuck(limit=0)
    assert two.stuck == 2
    assert not two.busy
    lost = list(two._stuck)
    done = threading.Event()
    two.submit(done.set)
    assert done.wait(PATIENCE)
    assert all(thread.is_alive() for thread in lost)
    release.set()
    wait_for(lambda: not any(thread.is_alive() for thread in lost))
    assert two.stuck == 0
    assert sorted(thread.name for thread in lost) == ["worker-1", "worker-2"]


def test_no_more_threads_are_replaced_than_make_sense(
    two: Workers, waits: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers, "MOST_STUCK", 1)
    two.submit(waits)
    two.submit(waits)
    wait_for(lambda: len(two._running) == 2)
    two.replace_stuck(limit=0)
    two.replace_stuck(limit=0)
    assert two.stuck == 1


def test_stopping_does_not_wait_for_stuck_threads(two: Workers, waits: Callable[[], None]) -> None:
    two.submit(waits)
    wait_for(lambda: len(two._running) == 1)
    two.replace_stuck(limit=0)
    assert two.stop(PATIENCE)


def test_stopping_ends_clients_jobs_and_leaves_the_others(
    two: Workers, release: threading.Event, waits: Callable[[], None]
) -> None:
    done: list[str] = []
    two.submit(waits)
    two.submit(waits)
    wait_for(lambda: len(two._running) == 2)
    two.submit(lambda: done.append("ahead"), ahead=True)
    two.submit(lambda: done.append("client"))
    assert not two.stop(0)
    release.set()
    assert two.stop(PATIENCE)
    assert done == ["client"]
