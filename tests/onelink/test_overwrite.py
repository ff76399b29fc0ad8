# SPDX-License-Identifier: GPL-2.0-only
"""Writing into a file: all or nothing, and never a file by its name that is patched in part."""

import errno
import os
import posix
import re
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import kallsyms_client
import kallsymsd
from kallsyms_client.failures import ClientError
from kallsymsd.onelink import overwrite
from kallsymsd.onelink.overwrite import Identity, LinkedFile, OverwriteError
from kallsymsd.onelink.patchplan import Patch

# The header of an ELF file without sections, then anything.
_HEADER = b"\x7fELF\2\1\1".ljust(52, b"\0") + (64).to_bytes(12, "little")
OLD = _HEADER + (bytes(range(256)) * 64)[len(_HEADER) :]
CHANGES = [(16, b"head"), (8192, b"middle" * 100), (16000, b"tail")]


def _changed() -> bytes:
    content = bytearray(OLD)
    for offset, data in CHANGES:
        content[offset : offset + len(data)] = data
    return bytes(content)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "vmlinux"
    path.write_bytes(OLD)
    return path


def _apply(path: Path) -> None:
    overwrite.overwrite(os.fsencode(path), CHANGES, _planned(path))


def _planned(path: Path) -> Identity:
    return Identity(path.stat())


def test_bytes_are_written_and_nothing_else_changes(file: Path) -> None:
    file.chmod(0o751)
    before = file.stat()
    _apply(file)
    after = file.stat()
    assert file.read_bytes() == _changed()
    assert (before.st_ino, before.st_mode, before.st_uid) == (after.st_ino, after.st_mode, after.st_uid)
    assert list(file.parent.iterdir()) == [file]


def test_link_to_the_file_stays_a_link(file: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to("vmlinux")
    _apply(link)
    assert link.is_symlink()
    assert file.read_bytes() == _changed()


def test_nothing_to_write(file: Path) -> None:
    file.chmod(0o400)
    before = file.stat()
    called = []
    overwrite.overwrite(os.fsencode(file), [], _planned(file), lambda: called.append(1))
    assert called == [1]
    assert file.stat().st_mtime_ns == before.st_mtime_ns


def test_several_names_are_refused(file: Path, tmp_path: Path) -> None:
    os.link(file, tmp_path / "other")
    with pytest.raises(OverwriteError, match="2 hard links"):
        _apply(file)
    assert file.read_bytes() == OLD


@pytest.mark.parametrize("replacements", [CHANGES, []])
@pytest.mark.parametrize("change", ["written", "longer", "replaced"])
def test_file_that_is_not_the_one_that_was_read(
    change: str, replacements: list[tuple[int, bytes]], file: Path
) -> None:
    planned = _planned(file)
    if change == "replaced":
        file.rename(file.with_name("old"))
    file.write_bytes(b"new!" * (len(OLD) // 4 + (change == "longer")))
    os.utime(file, ns=(1, 1))  # a coarse clock could say the same
    new = file.read_bytes()
    with pytest.raises(OverwriteError, match="changed while it was read"):
        overwrite.overwrite(os.fsencode(file), replacements, planned, lambda: pytest.fail("completed"))
    assert file.read_bytes() == new


def test_file_that_is_replaced_before_it_is_moved(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.rename

    def rename(old: bytes, new: bytes) -> None:
        monkeypatch.undo()
        file.unlink()
        file.write_bytes(b"new!" * (len(OLD) // 4))
        real(old, new)

    monkeypatch.setattr(os, "rename", rename)
    with pytest.raises(OverwriteError, match="changed while it was read"):
        _apply(file)
    assert file.read_bytes() == b"new!" * (len(OLD) // 4)
    assert list(file.parent.iterdir()) == [file]


def test_holes_are_written(file: Path) -> None:
    with file.open("wb") as sparse:
        sparse.truncate(1 << 20)
    _apply(file)
    content = bytearray(1 << 20)
    for offset, data in CHANGES:
        content[offset : offset + len(data)] = data
    assert file.read_bytes() == content


@pytest.mark.parametrize(
    ("call", "which"), [("open", 1), ("rename", 1), ("rename", 2), ("pread", 1), ("pread", 2), ("pwrite", 2)]
)
def test_each_system_call_failing(call: str, which: int, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    owner = posix if call == "open" else os
    real = getattr(owner, call)
    calls = []

    def failing(*arguments: object, **named: object) -> object:
        calls.append(1)
        if len(calls) == which:
            raise OSError(errno.EIO, "Input/output error")
        return real(*arguments, **named)

    monkeypatch.setattr(owner, call, failing)
    with pytest.raises(OverwriteError, match="Input/output error"):
        _apply(file)
    monkeypatch.undo()
    assert file.read_bytes() == OLD
    assert list(file.parent.iterdir()) == [file]


def test_no_space_in_the_middle(file: Path) -> None:
    # What RLIMIT_FSIZE forbids fails like a full disk.
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, old[1]))
    try:
        with pytest.raises(OverwriteError, match="File too large"):
            _apply(file)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)
    assert file.read_bytes() == OLD
    assert list(file.parent.iterdir()) == [file]


def test_a_file_that_is_cut_short_while_it_is_read(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.fstat

    def fstat(descriptor: int) -> os.stat_result:
        status = real(descriptor)
        os.truncate(file, 100)
        return status

    monkeypatch.setattr(os, "fstat", fstat)
    with pytest.raises(OverwriteError, match="changed while it was read"):
        LinkedFile(os.fsencode(file))


def test_a_file_that_is_whole_is_read(file: Path) -> None:
    linked = LinkedFile(os.fsencode(file))
    assert linked.elf.data == OLD
    linked.write(Patch(CHANGES))
    assert file.read_bytes() == _changed()


@pytest.mark.parametrize("call", ["pread", "pwrite"])
@pytest.mark.parametrize("left", [0, 100, 10_000])
def test_a_file_that_is_cut_short_while_it_is_written_to(
    file: Path, monkeypatch: pytest.MonkeyPatch, call: str, left: int
) -> None:
    planned = _planned(file)
    real = getattr(os, call)

    def cutting(descriptor: int, *rest: object) -> object:
        monkeypatch.undo()
        os.truncate(descriptor, left)
        return real(descriptor, *rest)

    monkeypatch.setattr(os, call, cutting)
    with pytest.raises(OverwriteError, match="changed while it was read"):
        overwrite.overwrite(os.fsencode(file), CHANGES, planned, lambda: pytest.fail("completed"))
    assert list(file.parent.iterdir()) == [file]


def test_no_file_is_mapped() -> None:
    # Whoever cuts it short would kill who looks at it: SIGBUS.
    for package in (kallsyms_client, kallsymsd):
        for path in Path(package.__path__[0]).rglob("*.p*"):
            if path.suffix in (".py", ".pyx", ".pxd"):
                for call in re.findall(r"\bmmap\((.*)", path.read_text()):
                    assert call.startswith("-1, "), path


def test_file_that_cannot_be_restored_loses_its_name(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, calls = os.pwrite, []

    def failing(*arguments: int) -> int:
        calls.append(1)
        if len(calls) > 1:
            raise OSError(errno.EIO, "Input/output error")
        return real(*arguments)  # type: ignore[arg-type]  # as it was called

    monkeypatch.setattr(os, "pwrite", failing)
    with pytest.raises(OverwriteError, match="link it again"):
        _apply(file)
    assert not file.exists()


def test_failure_of_what_completes_it(file: Path) -> None:
    def fail() -> None:
        raise ClientError(b"no map\n")

    with pytest.raises(ClientError, match="no map"):
        overwrite.overwrite(os.fsencode(file), CHANGES, _planned(file), fail)
    assert file.read_bytes() == OLD


@pytest.mark.parametrize("at", range(3))
def test_killed_half_way(at: int, file: Path) -> None:
    # Killed before the write number ``at``.
    program = f"""
import os, signal
import kallsyms_client
import kallsymsd
from kallsymsd.onelink.patchplan import Patch
from kallsymsd.onelink.overwrite import Identity, overwrite
real, calls = os.pwrite, []
def pwrite(*arguments):
    if len(calls) == {at}:
        os.kill(os.getpid(), signal.SIGKILL)
    calls.append(1)
    return real(*arguments)
os.pwrite = pwrite
overwrite({os.fsencode(file)!r}, {CHANGES!r}, Identity(os.stat({os.fsencode(file)!r})))
"""
    path = os.pathsep.join(sys.path)
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={"PYTHONPATH": path},
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert not file.exists()
    (left,) = file.parent.iterdir()
    assert left.name.startswith(".tmp_vmlinux.")
    # The next link makes a new file, and that is patched as ever.
    file.write_bytes(OLD)
    _apply(file)
    assert file.read_bytes() == _changed()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("at", range(3))
def test_signalled_half_way(at: int, number: signal.Signals, file: Path) -> None:
    # Before the write number ``at``, and with a map that is to appear together with the changes.
    sysmap = file.parent / "System.map"
    sysmap.write_bytes(b"old map\n")
    program = f"""
import os, signal, types
from kallsyms_client import patchmode, signals
from kallsymsd.onelink.patchplan import Patch
from kallsymsd.onelink.overwrite import LinkedFile, Identity
signals.restore()
real, calls = os.pwrite, []
def pwrite(*arguments):
    calls.append(1)
    if len(calls) == {at + 1}:
        os.kill(os.getpid(), {int(number)})
    return real(*arguments)
os.pwrite = pwrite
plan = types.SimpleNamespace(replacements={CHANGES!r})
patchmode._write(LinkedFile({os.fsencode(file)!r}), plan, {os.fsencode(sysmap)!r}, b"new map")
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={"PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (-number, b"")
    assert (file.read_bytes(), sysmap.read_bytes()) == (OLD, b"old map\n")
    assert sorted(file.parent.iterdir()) == [sysmap, file]
