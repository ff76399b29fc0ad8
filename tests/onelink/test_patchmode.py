# SPDX-License-Identifier: GPL-2.0-only
"""kallsyms --patch, as a build calls it."""

import dataclasses
import errno
import os
import resource
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from kallsyms_client import options, patchmode
from kallsyms_client.failures import ClientError
from kallsymsd.core.dialects import OPTION_BITS
from kallsymsd.elf import nm
from tests.client.conftest import PYTHONPATH
from tests.onelink.conftest import Build, Built
from tests.onelink.kernel import Tree
from tests.onelink.test_differs import SIMPLE

pytestmark = pytest.mark.oracle


@dataclasses.dataclass
class Run:
    """What a run of the program left."""

    status: int
    said: bytes


@pytest.fixture
def built(build: Build) -> Built:
    return build(SIMPLE)


@pytest.fixture
def vmlinux(built: Built, tmp_path: Path) -> Path:
    return Path(shutil.copy(built.once, tmp_path / "vmlinux"))


def _patch(here: Path, *arguments: str, limit: int | None = None) -> Run:
    def limited() -> None:
        if limit is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    done = subprocess.run(
        [sys.executable, "-m", "kallsyms_client", "--patch", "--dialect=v6.12", "--all-symbols", *arguments],
        cwd=here,
        # An interpreter whose files may not grow leaves truncated .pyc files behind.
        env={"PYTHONPATH": PYTHONPATH, "CI": "1", "PYTHONDONTWRITEBYTECODE": "1"},
        input=b"",
        capture_output=True,
        check=False,
        timeout=120,
        preexec_fn=limited,
    )
    assert done.stdout == b""
    assert done.stderr.count(b"\n") <= 1
    return Run(done.returncode, done.stderr)


def test_patched_in_silence(built: Built, vmlinux: Path) -> None:
    vmlinux.chmod(0o755)
    assert _patch(vmlinux.parent, "vmlinux", "--sysmap=System.map") == Run(0, b"")
    assert vmlinux.read_bytes() == built.stock.read_bytes()
    stock_map = built.tree.configuration.map(built.tree.kernel.machine, built.stock)
    assert (vmlinux.parent / "System.map").read_bytes() == stock_map
    assert sorted(path.name for path in vmlinux.parent.iterdir()) == ["System.map", "vmlinux"]


def test_patched_again(built: Built, vmlinux: Path) -> None:
    for said in (rb"patched", rb" 0 bytes patched"):
        run = _patch(vmlinux.parent, "-v", "vmlinux")
        assert run.status == 0
        assert said in run.said
    assert vmlinux.read_bytes() == built.stock.read_bytes()


def test_next_link_with_the_tables_written(built: Built, tmp_path: Path) -> None:
    larger = dataclasses.replace(SIMPLE.kernel, more=("one_more_function", "and_another"))
    tree = Tree(larger, SIMPLE.configuration, tmp_path / "larger")
    here = tree.directory
    shutil.copy(built.tables, here / "stale.o")
    before = tree.link("vmlinux", here / "stale.o").read_bytes()
    run = _patch(here, "vmlinux", "next.S", "next.bin", "--sysmap=System.map")
    assert run.status == 3
    assert run.said.startswith(b"kallsyms: vmlinux: must be linked again: kallsyms_")
    assert (here / "vmlinux").read_bytes() == before
    assert not (here / "System.map").exists()
    stock, _ = tree.build()
    tree.link("vmlinux", tree.kernel.machine.assemble(here / "next.S"))
    assert _patch(here, "vmlinux", "next.S", "next.bin") == Run(0, b"")
    assert (here / "vmlinux").read_bytes() == stock.read_bytes()


def test_another_layout_without_names_for_tables(vmlinux: Path) -> None:
    run = _patch(vmlinux.parent, "--dialect=v7.0", "vmlinux")
    reason = b"it has kallsyms_relative_base, unlike tables of dialect v7.0"
    assert run == Run(3, b"kallsyms: vmlinux: must be linked again: %b\n" % reason)
    assert list(vmlinux.parent.iterdir()) == [vmlinux]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["missing"], b"kallsyms: missing: No such file or directory\n"),
        (["."], b"kallsyms: .: "),
        ([], b"Usage: kallsyms --patch"),
        (["vmlinux", "out.S"], b"Usage: kallsyms --patch"),
        (["empty"], b"not an ELF file (empty: "),
        (["cut"], b"damaged ELF file (cut: "),
        (["object.o"], b"Invalid ELF type file (object.o: it is ET_REL, not linked)"),
        (["vmlinux", "--sysmap=no/such/directory/map"], b"kallsyms: no/such/directory/map: No such file"),
    ],
)
def test_errors(arguments: list[str], said: bytes, vmlinux: Path) -> None:
    content = vmlinux.read_bytes()
    (vmlinux.parent / "empty").touch()
    (vmlinux.parent / "object.o").write_bytes(content[:16] + b"\1\0" + content[18:])
    (vmlinux.parent / "cut").write_bytes(content[: len(content) // 2])
    files = sorted(vmlinux.parent.iterdir())
    run = _patch(vmlinux.parent, *arguments)
    assert run.status == 1
    assert run.said.startswith(said)
    assert vmlinux.read_bytes() == content
    assert sorted(vmlinux.parent.iterdir()) == files


@pytest.mark.parametrize(
    ("outputs", "what"),
    [
        (["vmlinux", "next.bin"], b"vmlinux: given both as VMLINUX and as OUT.S"),
        (["next.S", "./vmlinux"], b"./vmlinux: given both as VMLINUX and as OUT.bin"),
        (["next.S", "link"], b"link: given both as VMLINUX and as OUT.bin"),
        (["next.S", "sub/../next.S"], b"sub/../next.S: given both as OUT.S and as OUT.bin"),
        (["--sysmap=link"], b"link: given both as VMLINUX and as OUT.map"),
        (["next.S", "next.bin", "--sysmap=next.S"], b"next.S: given both as OUT.S and as OUT.map"),
    ],
)
@pytest.mark.parametrize("dialect", ["v6.12", "v7.0"], ids=["patched", "another layout"])
def test_one_file_for_two_purposes(outputs: list[str], what: bytes, dialect: str, vmlinux: Path) -> None:
    content = vmlinux.read_bytes()
    (vmlinux.parent / "link").symlink_to("vmlinux")
    (vmlinux.parent / "sub").mkdir()
    run = _patch(vmlinux.parent, f"--dialect={dialect}", "vmlinux", *outputs)
    assert run == Run(1, b"kallsyms: %b\n" % what)
    assert vmlinux.read_bytes() == content
    assert sorted(path.name for path in vmlinux.parent.iterdir()) == ["link", "sub", "vmlinux"]


def test_pipe(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert _patch(tmp_path, "pipe") == Run(1, b"kallsyms: pipe: not a regular file\n")
    assert _patch(tmp_path, "/dev/stdin") == Run(1, b"kallsyms: /dev/stdin: not a regular file\n")


def test_map_is_taken_back_where_the_file_cannot_be(
    vmlinux: Path, built: Built, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = vmlinux.read_bytes()
    system_map = vmlinux.parent / "System.map"
    system_map.write_text("old")
    real, calls = os.rename, []

    def failing(old: bytes, new: bytes) -> None:
        calls.append(1)
        if len(calls) == 2:
            raise OSError(errno.EIO, "Input/output error")
        real(old, new)

    monkeypatch.setattr(os, "rename", failing)
    arguments = [b"--patch", b"--all-symbols", b"--sysmap=%b" % os.fsencode(system_map), os.fsencode(vmlinux)]
    command = options.split(arguments, permute=True)
    bits = OPTION_BITS["all-symbols"]
    with pytest.raises(ClientError, match="Input/output error"):
        patchmode.run(command, built.tree.configuration.dialect, bits, {})
    assert (vmlinux.read_bytes(), system_map.read_text()) == (content, "old")
    assert sorted(path.name for path in vmlinux.parent.iterdir()) == ["System.map", "vmlinux"]


_KILLED_AT = """
import os, posix, runpy, signal, sys
calls, last = 0, int(sys.argv.pop(1))
def counted(real):
    def call(*arguments, **named):
        global calls
        calls += 1
        if calls == last:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*arguments, **named)
    return call
for module in (os, posix):
    for name in ("rename", "link", "unlink", "write", "pread", "pwrite"):
        setattr(module, name, counted(getattr(module, name)))
runpy.run_module("kallsyms_client", run_name="__main__", alter_sys=True)
"""


def test_killed_at_each_step(built: Built, vmlinux: Path) -> None:
    # Linked or patched, or not there; and where it is patched, the map is.
    before, patched = vmlinux.read_bytes(), built.stock.read_bytes()
    stock_map = built.tree.configuration.map(built.tree.kernel.machine, built.stock)
    here = vmlinux.parent
    arguments = ["--patch", "--dialect=v6.12", "--all-symbols", "--sysmap=System.map", "vmlinux"]
    seen = set()
    for step in range(1, 100):
        for path in here.iterdir():
            path.unlink()
        vmlinux.write_bytes(before)
        (here / "System.map").write_bytes(b"old")
        done = subprocess.run(
            [sys.executable, "-c", _KILLED_AT, str(step), *arguments],
            cwd=here,
            env={"PYTHONPATH": PYTHONPATH, "CI": "1"},
            capture_output=True,
            check=False,
            timeout=120,
        )
        assert done.stderr == b""
        now = vmlinux.read_bytes() if vmlinux.exists() else None
        system_map = (here / "System.map").read_bytes()
        assert (now, system_map) in (
            (before, b"old"),
            (None, b"old"),
            (None, stock_map),
            (patched, stock_map),
        )
        seen.add((now, system_map))
        if done.returncode == 0:
            break
        assert done.returncode == -signal.SIGKILL
    assert len(seen) == 4


def test_no_space(vmlinux: Path) -> None:
    content = vmlinux.read_bytes()
    run = _patch(vmlinux.parent, "vmlinux", limit=0x15100)
    assert run == Run(1, b"kallsyms: vmlinux: File too large\n")
    assert vmlinux.read_bytes() == content
    assert list(vmlinux.parent.iterdir()) == [vmlinux]


def test_no_space_for_the_map(vmlinux: Path) -> None:
    content = vmlinux.read_bytes()
    run = _patch(vmlinux.parent, "vmlinux", "--sysmap=System.map", limit=1000)
    assert run.status == 1
    assert run.said == b"kallsyms: System.map: File too large\n"
    assert vmlinux.read_bytes() == content
    assert list(vmlinux.parent.iterdir()) == [vmlinux]


@pytest.mark.parametrize(
    ("name", "flavour"), [(b"llvm-nm-16", nm.LLVM), (b"x86_64-linux-gnu-nm", nm.BINUTILS), (b"", nm.BINUTILS)]
)
def test_map_is_that_of_the_nm_of_the_build(name: bytes, flavour: int) -> None:
    assert patchmode.flavour({b"NM": name}) == flavour
