# SPDX-License-Identifier: GPL-2.0-only
"""Memory files: sealed, shared, and closed in time."""

import errno
import fcntl
import gc
import os
import threading
from pathlib import Path

import pytest

from kallsymsd.core.front import Front
from kallsymsd.engine.memoryfile import Fronts, MemoryFile


def memory_files() -> int:
    """How many this process holds open, but for those that are garbage."""
    gc.collect()  # of other tests, too
    links = list(Path("/proc/self/fd").iterdir())
    return sum(os.fspath(link.readlink()).startswith("/memfd:") for link in links if link.is_symlink())


def test_nobody_can_change_a_file() -> None:
    file = MemoryFile((b"some", b"", b"thing"))
    assert (file.size, file.read(0, 9), file.read(3, 2)) == (9, b"something", b"et")
    with pytest.raises(PermissionError):
        os.pwrite(file.descriptor, b"x", 0)
    for size in (0, 100):
        with pytest.raises(PermissionError):
            os.ftruncate(file.descriptor, size)
    with pytest.raises(PermissionError):
        fcntl.fcntl(file.descriptor, fcntl.F_ADD_SEALS, 0)


def test_what_is_not_there_cannot_be_read() -> None:
    with pytest.raises(OSError, match="cannot be read back"):
        MemoryFile((b"short",)).read(1, 5)


def test_a_file_that_nobody_has_any_more_is_closed() -> None:
    before = memory_files()
    file = MemoryFile((b"something",))
    assert memory_files() == before + 1
    del file
    assert memory_files() == before


def test_a_file_that_cannot_be_written_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_descriptor: int, _data: bytes) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    before = memory_files()
    monkeypatch.setattr(os, "write", fail)
    with pytest.raises(OSError, match="No space") as failed:
        MemoryFile((b"something",))
    assert memory_files() == before
    assert failed.value.errno == errno.ENOSPC


def test_the_file_of_a_front_lives_as_long_as_the_front_or_whoever_has_it() -> None:
    before = memory_files()
    fronts, front = Fronts(least=1), Front({"names": b"names"})
    fronts.file(front)
    assert memory_files() == before + 1
    file = fronts.file(front)
    assert memory_files() == before + 1
    del front
    gc.collect()
    assert file is not None
    assert file.read(0, 5) == b"names"
    del file
    assert memory_files() == before


def test_threads_with_one_front_get_one_file() -> None:
    fronts = Fronts(least=1)
    barrier = threading.Barrier(8)
    for _ in range(20):
        front = Front({"names": bytes(1 << 20)})
        found: list[MemoryFile | None] = []

        def ask(front: Front = front, found: list[MemoryFile | None] = found) -> None:
            barrier.wait(20)
            found.append(fronts.file(front))

        threads = [threading.Thread(target=ask) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len({id(file) for file in found}) == 1
        assert found[0] is not None


def test_there_are_so_many_files_of_fronts_and_no_more() -> None:
    fronts = Fronts(least=1, most=2)
    several = [Front({"names": bytes(8)}) for _ in range(4)]
    files = [fronts.file(front) for front in several]
    assert [file is None for file in files] == [False, False, True, True]
    assert fronts.file(several[0]) is files[0]
    del files[0], several[0]
    gc.collect()
    assert fronts.file(several[2]) is not None
