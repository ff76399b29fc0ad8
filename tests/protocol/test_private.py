# SPDX-License-Identifier: GPL-2.0-only
"""Directories for one's own eyes, and locks that can be asked without being taken."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from kallsymsd.protocol.lock import Lock, is_locked, is_ready
from kallsymsd.protocol.private import NotPrivateError, private_directory
from tests.odd import ODD, is_untouched, not_waiting, put


def test_a_directory_is_made_for_its_owner_alone_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        private_directory(tmp_path / "a" / "b" / "c")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a" / "b" / "c").stat().st_mode) == 0o700


def test_a_private_directory_is_accepted_as_it_is(tmp_path: Path) -> None:
    private_directory(tmp_path / "d")
    (tmp_path / "d" / "file").touch()
    private_directory(tmp_path / "d")
    assert (tmp_path / "d" / "file").exists()


@pytest.mark.parametrize("mode", [0o755, 0o710, 0o701, 0o777, 0o1777])
def test_a_directory_that_lets_others_in_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "d"
    path.mkdir()
    path.chmod(mode)
    with pytest.raises(NotPrivateError, match=f"{path}.*chmod 700"):
        private_directory(path)


def test_a_symbolic_link_is_refused(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir(mode=0o700)
    (tmp_path / "link").symlink_to("real")
    with pytest.raises(NotPrivateError, match="link: is a symbolic link"):
        private_directory(tmp_path / "link")


def test_a_file_in_the_way_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(NotPrivateError, match="file: is not a directory"):
        private_directory(tmp_path / "file")
    with pytest.raises(NotPrivateError, match=r"file.* (not a directory|cannot create)"):
        private_directory(tmp_path / "file" / "below")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a directory that belongs to another")
def test_a_directory_of_somebody_else_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "d"
    path.mkdir(mode=0o700)
    os.chown(path, 12345, 12345)
    with pytest.raises(NotPrivateError, match="belongs to user 12345"):
        private_directory(path)


@pytest.mark.parametrize("kind", ODD)
def test_a_lock_is_a_regular_file(tmp_path: Path, kind: str) -> None:
    put(kind, tmp_path / "lock", tmp_path / "outside")
    for ask in (is_locked, is_ready, Lock):
        with not_waiting(), pytest.raises(OSError):  # noqa: PT011  each kind has its own
            ask(tmp_path / "lock")
    assert is_untouched(tmp_path / "outside")


def test_only_one_has_the_lock_and_everybody_can_ask(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    assert not is_locked(path)
    assert not path.exists()
    first, second = Lock(path), Lock(path)
    assert first.take()
    assert not second.take()
    assert is_locked(path)
    first.close()
    assert not is_locked(path)
    assert second.take()
    second.close()


def test_who_has_the_lock_says_whether_it_is_ready(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    assert not is_ready(path)
    lock = Lock(path)
    lock.note(ready=True)
    assert not is_ready(path)  # without the lock its word does not count
    assert lock.take()
    assert is_ready(path)
    lock.note(ready=False)
    assert not is_ready(path)
    assert is_locked(path)
    lock.note(ready=True)
    lock.close()
    assert not is_ready(path)


def test_a_lock_ends_with_its_process(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    program = (
        "import sys; from pathlib import Path; from kallsymsd.protocol.lock import Lock\n"
        "lock = Lock(Path(sys.argv[1])); print(lock.take(), flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"True\n"
        assert is_locked(path)
        process.kill()
        process.wait(10)
    assert not is_locked(path)
