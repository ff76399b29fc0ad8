# SPDX-License-Identifier: GPL-2.0-only
"""Fixtures of the control program's tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from kallsymsd.engine.engine import Engine
from tests.service.peer import Daemon, FakeCore, serving


@pytest.fixture(autouse=True)
def directories(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything below the test's own directory."""
    (tmp_path / "run").mkdir(mode=0o700)
    monkeypatch.delenv("KALLSYMSD_SOCKET", raising=False)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))


@pytest.fixture
def socket_path(tmp_path: Path) -> Path:
    return tmp_path / "run" / "kallsymsd" / "s"


@pytest.fixture
def daemon(socket_path: Path) -> Iterator[Daemon]:
    with serving(socket_path, lambda: Engine(None, FakeCore())) as daemon:
        daemon.server._configuration = {"socket": str(socket_path), "cache_dir": "/c", "cache_limit": 5 << 20}
        yield daemon
