# SPDX-License-Identifier: GPL-2.0-only
"""What is written in a directory is heard of; what cannot be watched is said."""

import errno
import gc
import os
import queue
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from kallsymsd.service.ahead import watcher
from kallsymsd.service.ahead.buildfiles import Event, Kind, kind_of
from kallsymsd.service.ahead.watcher import Watcher
from tests.service.peer import PATIENCE
from tests.service.test_server import open_descriptors, wait_for


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("System.map", Kind.MAP),
        (".tmp_vmlinux1.syms", Kind.MAP),
        (".tmp_vmlinux.kallsyms2.syms", Kind.MAP),
        ("vmlinux", Kind.LINKED),
        (".tmp_vmlinux0", Kind.LINKED),
        (".tmp_vmlinux.kallsyms12", Kind.LINKED),
        (".tmp_vmlinux.kallsyms1.S", None),
        (".tmp_vmlinux.kallsyms1.bin", None),
        (".tmp_vmlinux.kallsyms1.o", None),
        (".tmp_vmlinux", None),
        (".tmp_vmlinuxes1", None),
        ("vmlinux.o", Kind.INPUT),
        (".vmlinux.export.o", Kind.INPUT),
        ("vmlinux.a", None),
        ("xvmlinux.o", None),
        ("vmlinux.map", None),
        ("old.System.map", None),
        ("System.map.new", None),
    ],
)
def test_names_that_matter(name: str, kind: Kind | None) -> None:
    assert kind_of(name) is kind


class Ears:
    """A watcher, and what it has told."""

    def __init__(self) -> None:
        self.heard: queue.SimpleQueue[tuple[str, str, Event]] = queue.SimpleQueue()
        self.overflows = 0
        self.watcher = Watcher(lambda *told: self.heard.put(told), self._overflow)

    def _overflow(self) -> None:
        self.overflows += 1

    def next(self) -> tuple[str, Event]:
        """Name and event of what is heard next."""
        _, name, event = self.heard.get(timeout=PATIENCE)
        return name, event

    def until(self, name: str, event: Event) -> list[tuple[str, Event]]:
        """All that is heard up to this."""
        told = [self.next()]
        while told[-1] != (name, event):
            told.append(self.next())
        return told


@pytest.fixture
def ears() -> Iterator[Ears]:
    ears = Ears()
    yield ears
    ears.watcher.close()


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    tree = tmp_path / "tree"
    tree.mkdir()
    return tree


def test_a_map_is_heard_of_when_its_writer_closes_it(ears: Ears, tree: Path) -> None:
    assert ears.watcher.watch(str(tree)) == ""
    with (tree / "a.syms").open("wb") as file:
        assert ears.next() == ("a.syms", Event.CREATED)
        for _ in range(10):
            file.write(b"piece\n")
            file.flush()
        (tree / "marker.syms").touch()
        assert ears.until("marker.syms", Event.COMPLETE) == [
            ("marker.syms", Event.CREATED),
            ("marker.syms", Event.COMPLETE),
        ]
    assert ears.next() == ("a.syms", Event.COMPLETE)


def test_a_map_is_heard_of_when_it_is_renamed_into_place(ears: Ears, tree: Path) -> None:
    (tree / "System.map").write_bytes(b"old\n")
    ears.watcher.watch(str(tree))
    for _ in range(3):  # a watch on the file would be deaf after the first time
        (tree / "new").write_bytes(b"new\n")
        (tree / "new").replace(tree / "System.map")
        assert ears.next() == ("System.map", Event.COMPLETE)


def test_a_map_that_comes_from_elsewhere_shows_as_created(ears: Ears, tree: Path) -> None:
    ears.watcher.watch(str(tree))
    (tree.parent / "new").write_bytes(b"new\n")
    (tree.parent / "new").replace(tree / "System.map")
    assert ears.next() == ("System.map", Event.CREATED)


def test_what_is_no_map_and_what_only_reads_is_not_heard_of(ears: Ears, tree: Path) -> None:
    (tree / "System.map").write_bytes(b"old\n")
    ears.watcher.watch(str(tree))
    (tree / "System.map").read_bytes()
    for name in ("a.S", "a.bin", "a.o", ".tmp_vmlinux.kallsyms1.o"):
        (tree / name).write_bytes(b"ours")
    (tree / "sub").mkdir()
    (tree / "sub" / "System.map").write_bytes(b"another tree's")
    (tree / "System.map").unlink()
    assert ears.next() == ("System.map", Event.GONE)


def test_a_directory_deleted_and_made_again_is_watched_again(ears: Ears, tree: Path) -> None:
    for _ in range(3):
        assert ears.watcher.watch(str(tree)) == ""
        (tree / "a.syms").touch()
        ears.until("a.syms", Event.COMPLETE)
        (tree / "a.syms").unlink()
        ears.until("a.syms", Event.GONE)
        (tree / "sub").mkdir()
        (tree / "sub").rmdir()
        tree.rmdir()
        assert ears.next() == ("", Event.GONE)
        assert ears.watcher.watch(str(tree)) == os.strerror(errno.ENOENT)
        tree.mkdir()


def test_a_directory_that_takes_anothers_place_is_watched_instead(ears: Ears, tree: Path) -> None:
    ears.watcher.watch(str(tree))
    tree.rename(tree.with_name("old"))
    tree.mkdir()
    assert ears.watcher.watch(str(tree)) == ""
    (tree / "a.syms").touch()
    assert ears.next() == ("a.syms", Event.CREATED)


def test_a_released_directory_is_not_heard_of(ears: Ears, tree: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    ears.watcher.watch(str(tree))
    ears.watcher.watch(str(other))
    ears.watcher.release(str(tree))
    ears.watcher.release(str(tree))
    (tree / "a.syms").touch()
    (other / "b.syms").touch()
    assert ears.next() == ("b.syms", Event.CREATED)


@pytest.mark.parametrize(("kind", "said"), [("nfs4", "nfs4"), ("fuse.sshfs", "fuse.sshfs"), ("", "unknown")])
def test_a_file_system_that_does_not_tell_is_not_watched(
    ears: Ears, tree: Path, monkeypatch: pytest.MonkeyPatch, kind: str, said: str
) -> None:
    monkeypatch.setattr(watcher, "filesystem_type", lambda _: kind)
    assert said in ears.watcher.watch(str(tree))
    monkeypatch.undo()
    assert ears.watcher.watch(str(tree)) == ""


@pytest.mark.parametrize(
    ("number", "function"), [("ENOSPC", "inotify_add_watch"), ("EMFILE", "inotify_init")]
)
def test_a_limit_of_inotify_is_said_and_may_pass(
    ears: Ears, tree: Path, monkeypatch: pytest.MonkeyPatch, number: str, function: str
) -> None:
    code = getattr(errno, number)
    monkeypatch.setattr(f"watchdog.observers.inotify_c.{function}", lambda *_: -1)
    monkeypatch.setattr("ctypes.get_errno", lambda: code)
    assert "limit reached" in ears.watcher.watch(str(tree))
    monkeypatch.undo()
    assert ears.watcher.watch(str(tree)) == ""
    (tree / "a.syms").touch()
    assert ears.next() == ("a.syms", Event.CREATED)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_thread_that_fails_does_not_end_watching(
    ears: Ears, tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ears.watcher.watch(str(tree))
    inotify = ears.watcher._inotify
    assert inotify is not None

    def defect(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(inotify._reader, "handle_event", defect)
    (tree / "a.syms").touch()
    wait_for(lambda: not inotify.is_alive())
    assert ears.watcher.watch(str(tree)) == ""
    (tree / "b.syms").touch()
    assert ears.next() == ("b.syms", Event.CREATED)


def test_a_listener_that_fails_does_not_end_watching(tree: Path) -> None:
    heard = threading.Semaphore(0)

    def defect(*_: object) -> None:
        heard.release()
        raise ZeroDivisionError

    watcher = Watcher(defect, lambda: None)
    try:
        watcher.watch(str(tree))
        for number in range(3):
            (tree / f"{number}.syms").touch()
            assert heard.acquire(timeout=PATIENCE)
    finally:
        watcher.close()


def test_closing_leaves_nothing_behind(tree: Path) -> None:
    ears = Ears()
    ears.watcher.watch(str(tree))
    ears.watcher.close()
    gc.collect()  # what tests before this one have left in cycles
    descriptors, threads = open_descriptors(), threading.active_count()
    for _ in range(3):
        ears.watcher.watch(str(tree))
        assert open_descriptors() > descriptors
        assert threading.active_count() > threads
        ears.watcher.close()
        # Less is no fault of this watcher's: threads of earlier tests may end late.
        assert open_descriptors() <= descriptors
        assert threading.active_count() <= threads


def test_switched_off(tree: Path) -> None:
    watcher = Watcher(lambda *_: None, lambda: None, enabled=False)
    before = threading.active_count()
    assert watcher.watch(str(tree)) == "watching is switched off"
    assert threading.active_count() == before
