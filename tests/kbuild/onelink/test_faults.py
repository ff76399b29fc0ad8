# SPDX-License-Identifier: GPL-2.0-only
"""Whatever fails of ours in one link, the script goes on by itself, and the kernel is the stock one."""

import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from kallsymsd.core.dialects import BY_NAME
from kallsymsd.kbuild.outcome import Outcome
from kallsymsd.onelink import lastlink
from tests.kbuild.onelink.conftest import Stock
from tests.kbuild.onelink.program import BASE, Symbol
from tests.kbuild.onelink.tree import Linked, Tree

pytestmark = [pytest.mark.oracle, pytest.mark.parametrize("kernel", ["v6.11"], indirect=True)]

ONE = [".tmp_vmlinux1"]
EDIT = BASE.with_symbols(Symbol("added"), Symbol("another", ".data", "globl", "object"))
_PATIENCE = 60.0


def as_ever(tree: Tree, stock: Stock, done: Linked) -> None:
    """The script has made its own links, all of them; the next link is right again."""
    assert done.status == 0, done.err
    assert done.links[-3:] == [".tmp_vmlinux1", ".tmp_vmlinux2", "vmlinux"]
    assert tree.results() == stock(EDIT)
    after = tree.link()
    assert (after.status, after.err, len(after.links) in (1, 2)) == (0, "", True)
    assert tree.results() == stock(EDIT)


@pytest.mark.parametrize("verb", ["predict", "tables", "patch"])
@pytest.mark.parametrize("fault", ["exit 1", "exit 0", "kill -9 $$", "echo >&2 lost; exit 139"])
def test_a_failing_verb(fresh: Tree, stock: Stock, verb: str, fault: str) -> None:
    fresh.put(EDIT)
    done = fresh.link_with_fault(verb, fault)
    # A shell may name the signal.
    assert done.err in ("", "Killed\n") if "lost" not in fault else done.err == "lost\n"
    as_ever(fresh, stock, done)


def test_no_fault(fresh: Tree, stock: Stock) -> None:
    fresh.put(EDIT)
    done = fresh.link_with_fault("none", "exit 1")
    assert (done.status, done.err, len(done.links)) == (0, "", 2)
    assert fresh.results() == stock(EDIT)


# What the interpreter is given in place of the module: the module with something broken in it.
_BROKEN = """
import posix, sys
sys.path[:0] = sys.argv[1].split(":")
del sys.argv[1]
from kallsymsd.kbuild import linkonce
from kallsymsd.kbuild.script import onelinkedit
from kallsymsd.onelink import overwrite
def fail(*arguments, **keywords):
    raise {error}
{place} = fail
posix._exit(onelinkedit.ask(sys.argv[1:]))
"""


@pytest.mark.parametrize(
    ("verb", "place", "error", "said"),
    [
        ("predict", "linkonce.lastlink.predict_link", "KeyError('x')", "kallsymsd: KeyError 'x'; "),
        ("predict", "linkonce.lastlink.note", "OSError(28, 'No space left on device')", ""),
        ("predict", "linkonce.session.run", "MemoryError()", ""),
        ("tables", "linkonce._write", "RecursionError('a\\nb')", "kallsymsd: RecursionError a b; "),
        ("patch", "overwrite.patchplan.plan", "AssertionError()", "kallsymsd: AssertionError; "),
        ("patch", "linkonce.lastlink.learn", "OSError(5, 'Input/output error')", ""),
        (
            "patch",
            "onelinkedit._entry",
            "ImportError('half a package')",
            "kallsymsd: ImportError half a package; ",
        ),
    ],
)
def test_a_defect(
    tree: Tree, fresh: Tree, stock: Stock, verb: str, place: str, error: str, said: str
) -> None:
    broken = tree if verb == "predict" else fresh
    broken.put(EDIT)
    paths = tree.environment["PYTHONPATH"]
    code = _BROKEN.format(error=error, place=place)
    fault = f'shift 4; exec {shlex.quote(sys.executable)} -c {shlex.quote(code)} {shlex.quote(paths)} "$@"'
    done = broken.link_with_fault(verb, fault)
    assert done.err == (f"{said}falling back to the kernel's own links\n" if said else "")
    reason = (said or error).removeprefix("kallsymsd: ").removesuffix("; ")
    assert broken.outcome().reason == reason or "Error" in error
    assert broken.outcome().reason
    as_ever(broken, stock, done)


def test_a_prediction_that_is_wrong(tree: Tree, stock: Stock) -> None:
    dialect = BY_NAME["v6.11"]
    inputs, _ = lastlink.predict_link(tree.directory, dialect)
    lines = (tree.directory / ".tmp_vmlinux2.syms").read_bytes().splitlines(keepends=True)
    lastlink.note(tree.directory, inputs)
    lastlink.learn(tree.directory, b"".join(lines[:-90] + lines[-20:]))
    tree.put(EDIT)
    done = tree.link()
    assert (done.status, done.err, done.links) == (0, "", 2 * ONE)
    assert tree.results() == stock(EDIT)
    outcome = tree.outcome()
    assert (outcome.links, outcome.predicted) == (2, True)
    assert outcome.reason.startswith("kallsyms_")


_AFTER_LINK = (
    "x86_64-linux-gnu-ld -m elf_x86_64 \"$@\" || exit; case $* in *'-o .tmp_vmlinux1 '*) {} ;; esac; exit 0"
)


@pytest.mark.parametrize(
    "damage",
    [
        "truncate -s 3000 .tmp_vmlinux1",
        ": > .tmp_vmlinux1",
        "x86_64-linux-gnu-strip .tmp_vmlinux1",
        "printf x | dd of=.tmp_vmlinux1 conv=notrunc bs=1 seek=$((0x200010)) status=none",
    ],
)
def test_a_linked_file_that_is_not_what_a_linker_leaves(tree: Tree, stock: Stock, damage: str) -> None:
    tree.put(EDIT)
    once = tree.directory / "once"  # the script's own links are whole
    fault = f"[ -e {once} ] || {{ : > {once}; {_AFTER_LINK.format(damage)}; }}"
    done = tree.link(LINKER_FAULT=fault)
    assert done.status == 0, done.err
    assert once.exists()
    assert tree.results() == stock(EDIT)
    assert tree.outcome().reason


@pytest.mark.parametrize("tool", ["LINKER_FAULT", "COMPILER_FAULT"])
def test_a_tool_of_the_build_that_fails(tree: Tree, stock: Stock, tool: str) -> None:
    tree.put(EDIT)
    done = tree.link(**{tool: "echo no >&2; exit 1"})
    assert done.status == 1
    assert not (tree.directory / "vmlinux").exists()
    # The compiler says it twice, as it fails in the script's own steps too; the linker once.
    assert done.err.count("no\n") == (1 if tool == "LINKER_FAULT" else 2)
    done = tree.link()
    assert (done.status, done.err, len(done.links) in (1, 2)) == (0, "", True)
    assert tree.results() == stock(EDIT)


@pytest.mark.parametrize(
    ("verb", "number"),
    [
        ("predict", signal.SIGINT),
        ("patch", signal.SIGTERM),
        ("patch", signal.SIGKILL),
        ("linker", signal.SIGINT),
        ("linker", signal.SIGKILL),
    ],
)
def test_interrupted(tree: Tree, stock: Stock, verb: str, number: signal.Signals) -> None:
    tree.put(EDIT)
    for name in ("vmlinux", "System.map"):
        (tree.directory / name).unlink()
    reached = tree.directory / "reached"
    wait = f": > {reached}; exec sleep 60"
    recipe = tree.recipe()
    environment = {**tree.environment, "KALLSYMSD_ONE_LINK": "1"}
    shell = str(tree.shell)
    if verb == "linker":
        environment["LINKER_FAULT"] = wait
    else:
        shell = str(tree.faulty_shell())
        environment.update(FAULTY_VERB=verb, FAULT=wait)
    process = subprocess.Popen(
        [shell, "/bin/sh", "-c", recipe],
        cwd=tree.directory,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        end = time.monotonic() + _PATIENCE
        while not reached.exists():
            assert time.monotonic() < end
            assert process.poll() is None
            time.sleep(0.02)
        os.killpg(process.pid, number)
        assert process.wait(_PATIENCE) != 0
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    assert not (tree.directory / "vmlinux").exists()
    done = tree.link()
    assert (done.status, done.err, len(done.links) in (1, 2)) == (0, "", True)
    assert tree.results() == stock(EDIT)


# Writes half of what is to be patched, and is killed.
_HALF = """
import os, sys
sys.path[:0] = sys.argv[1].split(":")
del sys.argv[1]
from kallsymsd.kbuild import linkonce
from kallsymsd.kbuild.script import onelinkedit
from kallsymsd.onelink import overwrite
plan = overwrite.patchplan.plan
def half(elf, tables, *others):
    whole = plan(elf, tables, *others)
    assert len(whole.replacements) > 1, whole
    offset, data = whole.replacements[-1]
    with open(".tmp_vmlinux1", "r+b") as file:
        file.seek(offset)
        file.write(data[: len(data) // 2])
    os.kill(os.getpid(), 9)
overwrite.patchplan.plan = half
onelinkedit.ask(sys.argv[1:])
"""


# Cuts the file short that was read, or replaces it, before it is written to.
_CHANGED = """
import os, sys
sys.path[:0] = sys.argv[1].split(":")
del sys.argv[1]
from kallsymsd.kbuild import linkonce
from kallsymsd.kbuild.script import onelinkedit
from kallsymsd.onelink import overwrite
plan = overwrite.patchplan.plan
def changing(*arguments):
    planned = plan(*arguments)
    {change}
    return planned
overwrite.patchplan.plan = changing
os._exit(onelinkedit.ask(sys.argv[1:]))
"""


@pytest.mark.parametrize(
    "change",
    [
        'os.truncate(".tmp_vmlinux1", 3000)',
        'os.truncate(".tmp_vmlinux1", 0)',
        'os.utime(".tmp_vmlinux1", ns=(1, 1))',
        'os.rename(".tmp_vmlinux1", "old"); open(".tmp_vmlinux1", "wb").write(open("old", "rb").read())',
    ],
)
def test_a_linked_file_that_somebody_else_writes_to(tree: Tree, stock: Stock, change: str) -> None:
    tree.put(EDIT)
    paths = shlex.quote(tree.environment["PYTHONPATH"])
    code = shlex.quote(_CHANGED.format(change=change))
    fault = f'shift 4; exec {shlex.quote(sys.executable)} -c {code} {paths} "$@"'
    done = tree.link_with_fault("patch", fault)
    assert not done.err
    assert "changed while it was read" in tree.outcome().reason
    as_ever(tree, stock, done)


def test_killed_in_the_middle_of_patching(tree: Tree, stock: Stock) -> None:
    tree.put(EDIT)
    paths = shlex.quote(tree.environment["PYTHONPATH"])
    fault = f'shift 4; exec {shlex.quote(sys.executable)} -c {shlex.quote(_HALF)} {paths} "$@"'
    done = tree.link_with_fault("patch", fault)
    assert done.err in ("", "Killed\n")
    assert "interrupted" in Outcome.load(str(tree.directory)).describe()
    as_ever(tree, stock, done)


@pytest.mark.parametrize("name", [".tmp_vmlinux.inputs.new", ".tmp_vmlinux2.syms.new", ".tmp_vmlinux.link"])
def test_no_space_for_a_file_of_ours(tree: Tree, stock: Stock, name: str) -> None:
    tree.put(EDIT)
    (tree.directory / name).unlink(missing_ok=True)
    (tree.directory / name).symlink_to("/dev/full")
    done = tree.link()
    assert not done.err
    assert done.status == 0
    assert tree.results() == stock(EDIT)


def test_no_space_for_the_link(tree: Tree, stock: Stock) -> None:
    tree.put(EDIT)
    tree.limit = 16  # blocks of 512 bytes
    done = tree.link()
    assert done.status != 0
    assert not (tree.directory / "vmlinux").exists()
    tree.limit = 0
    done = tree.link()
    assert (done.status, done.err) == (0, "")
    assert tree.results() == stock(EDIT)


def test_inputs_that_cannot_be_written_to(tree: Tree, stock: Stock) -> None:
    tree.put(EDIT)
    for name in (
        "vmlinux.o",
        ".vmlinux.export.o",
        "vmlinux.lds",
        ".tmp_vmlinux2.syms",
        ".tmp_vmlinux.inputs",
    ):
        (tree.directory / name).chmod(0o444)
    done = tree.link()
    assert (done.status, done.err, done.links) == (0, "", ONE)
    assert tree.results() == stock(EDIT)


def test_daemon_killed_between_prediction_and_patch(tree: Tree, stock: Stock, tmp_path: Path) -> None:
    tree.put(EDIT)
    socket = tmp_path / "socket"
    environment = {
        **tree.environment,
        "KALLSYMSD_SOCKET": str(socket),
    }
    daemon = subprocess.Popen([sys.executable, "-m", "kallsymsd"], env=environment)
    try:
        end = time.monotonic() + _PATIENCE
        while not socket.exists():
            assert time.monotonic() < end
            assert daemon.poll() is None
            time.sleep(0.02)
        done = tree.link(
            KALLSYMSD_SOCKET=str(socket), KALLSYMSD="require", LINKER_FAULT=f"kill -9 {daemon.pid}"
        )
        assert (done.status, done.err, done.links) == (0, "", ONE)
        assert daemon.wait(_PATIENCE) == -signal.SIGKILL
    finally:
        daemon.kill()
        daemon.wait()
    assert tree.results() == stock(EDIT)
