# SPDX-License-Identifier: GPL-2.0-only
"""Fixtures of the service's tests."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kallsymsd.engine.engine import Engine
from tests.service.peer import Daemon, FakeCore, serving


@pytest.fixture
def core() -> FakeCore:
    """What computes in the daemon of the fixture ``daemon``."""
    return FakeCore()


@pytest.fixture
def daemon(tmp_path: Path, core: FakeCore) -> Iterator[Daemon]:
    """A daemon without a store."""
    with serving(tmp_path / "run" / "s", lambda: Engine(None, core)) as daemon:
        yield daemon
        core.release.set()


@pytest.fixture
def a_map(tmp_path: Path) -> Callable[[bytes], Path]:
    """Makes a map with the given content."""

    def make(content: bytes) -> Path:
        path = tmp_path / f"{len(list(tmp_path.iterdir()))}.map"
        path.write_bytes(content)
        return path

    return make
