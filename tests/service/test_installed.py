# SPDX-License-Identifier: GPL-2.0-only
"""A daemon whose files were replaced ends as soon as it has nothing to do."""

import os
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kallsymsd.engine.engine import Engine
from kallsymsd.service import lifetime
from kallsymsd.service.installed import Installed
from tests.service.peer import PATIENCE, Daemon, FakeCore


@pytest.fixture
def package(tmp_path: Path) -> Path:
    package = tmp_path / "package"
    (package / "sub").mkdir(parents=True)
    for name in ("a.py", "sub/b.py", "sub/native.so"):
        (package / name).write_text(name)
    return package


@pytest.fixture
def installed(package: Path) -> Installed:
    return Installed((package,))


def rewrite(path: Path) -> None:
    path.write_text("changed")


def replace(path: Path) -> None:
    new = path.with_name("new")
    shutil.copy2(path, new)
    new.replace(path)


@pytest.mark.parametrize("name", ["a.py", "sub/b.py", "sub/native.so"])
@pytest.mark.parametrize("change", [rewrite, replace, Path.unlink])
def test_what_was_replaced_is_named(
    installed: Installed, package: Path, name: str, change: Callable[[Path], None]
) -> None:
    assert installed.replaced() is None
    change(package / name)
    assert installed.replaced() == package / name


def test_what_is_no_program_does_not_count(installed: Installed, package: Path) -> None:
    (package / "__pycache__").mkdir()
    (package / "__pycache__" / "a.pyc").touch()
    (package / "notes.txt").touch()
    os.utime(package)
    assert installed.replaced() is None


def test_a_package_that_is_gone_was_replaced(installed: Installed, package: Path) -> None:
    shutil.rmtree(package)
    assert installed.replaced() is not None


def test_its_own_files_are_there_and_unchanged() -> None:
    own = Installed()
    assert {"server.py", "wire.py"} <= {path.name for path in own._at_start}
    assert any(path.suffix == ".so" for path in own._at_start)
    assert own.replaced() is None


@pytest.fixture
def outdated(tmp_path: Path, core: FakeCore, monkeypatch: pytest.MonkeyPatch) -> Iterator[Daemon]:
    """A daemon whose files were replaced, which it has not noticed yet."""
    monkeypatch.setattr(lifetime, "CHECK_INTERVAL", 0.02)
    daemon = Daemon(tmp_path / "run" / "s", lambda: Engine(None, core))
    yield daemon
    core.release.set()
    daemon.stop()


def test_it_ends_once_it_has_nothing_to_do(
    outdated: Daemon, core: FakeCore, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    path = tmp_path / "a.map"
    path.write_bytes(b"wait")
    with outdated.peer() as peer:
        peer.build(path)
        assert core.started.acquire(timeout=PATIENCE)
        outdated.replaced = lambda: Path("/replaced.py")
        outdated.stats()
        outdated.stats()
        assert outdated.thread.is_alive()
        core.release.set()
        assert peer.reply()[1] == b"tiaw"
    outdated.thread.join(PATIENCE)
    assert not outdated.thread.is_alive()
    assert "/replaced.py was replaced" in caplog.messages


def test_it_stays_while_nothing_was_replaced(outdated: Daemon) -> None:
    looked = threading.Semaphore(0)

    def look() -> None:
        looked.release()

    outdated.replaced = look
    assert all(looked.acquire(timeout=PATIENCE) for _ in range(3))
    assert outdated.thread.is_alive()
    assert outdated.stats()["requests"] == 0
