# SPDX-License-Identifier: GPL-2.0-only
"""What a tree that nobody has met goes through: its tool, and then one link, are tried beside its own."""

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from kallsymsd.kbuild.trial import verdicts
from kallsymsd.kbuild.trial.verdicts import Verdict
from tests.kbuild.onelink.program import BASE, Symbol
from tests.kbuild.onelink.tree import Linked, Tree

pytestmark = pytest.mark.oracle

STOCK = [".tmp_vmlinux1", ".tmp_vmlinux2", "vmlinux"]
EDIT = BASE.with_symbols(Symbol("added"))


@pytest.fixture
def stock(tree: Tree) -> tuple[bytes, bytes]:
    """What the tree's own script makes; none of that is left."""
    assert tree.stock().status == 0
    results = tree.results()
    tree.clean()
    return results


def of(tree: Tree, kind: str) -> list[tuple[str, str]]:
    """Results and reasons of the verdicts of a kind."""
    return [(result, reason) for each, result, reason in tree.verdicts() if each == kind]


def right(tree: Tree, done: Linked, stock: tuple[bytes, bytes]) -> bool:
    """Whether a link was silent and made what the script makes."""
    assert (done.status, done.err) == (0, "")
    return tree.results() == stock


def test_from_the_first_link_to_one_link(tree: Tree, stock: tuple[bytes, bytes]) -> None:
    done = tree.link()  # the tool makes the tables, ours are compared
    assert right(tree, done, stock)
    assert done.links == STOCK
    assert of(tree, "tool") == [("same", "")]
    assert of(tree, "link") == []
    assert tree.outcome().reason == "scripts/kallsyms is on trial"
    done = tree.link()  # ours makes them; then one link beside
    assert right(tree, done, stock)
    assert (done.links, done.own_tool) == ([*STOCK, ".tmp_vmlinux1"], 0)
    assert of(tree, "link") == [("same", "")]
    assert "gave the same" in tree.outcome().reason
    assert not (tree.directory / ".tmp_vmlinux1").exists()
    tree.put(EDIT)
    done = tree.link()
    assert (done.links, done.err) == ([".tmp_vmlinux1"], "")
    assert tree.stock().status == 0  # in the same tree


def test_a_map_that_shows_what_probes_did_not(tree: Tree, stock: tuple[bytes, bytes]) -> None:
    """A tool that makes something else of a kernel than of small maps keeps its place."""
    tool = tree.directory / "scripts/kallsyms"
    text = tool.read_text()
    change = (
        'for map; do :; done\nif grep -q init_once "$map"; then {tool} "$@" | sed s/0x00/0x01/; exit; fi\n'
    )
    real = text.rpartition("exec ")[2].partition(" ")[0]
    tool.write_text(text.replace("exec ", change.format(tool=real) + "exec "))
    assert tree.stock().status == 0
    expected = tree.results()
    assert expected != stock
    done = tree.link()
    assert right(tree, done, expected)
    (verdict,) = of(tree, "tool")
    assert verdict[0] == "different"
    assert verdict[1].startswith("its tables for .tmp_vmlinux1.syms differ")
    done = tree.link()
    assert (done.status, done.links, tree.results()) == (0, STOCK, expected)
    assert done.err == f"kallsymsd: scripts/kallsyms: {verdict[1]}; this link uses the kernel's own tool\n"


def test_a_tool_that_fails_fails(tree: Tree) -> None:
    tool = tree.directory / "scripts/kallsyms"
    tool.write_text(
        tool.read_text().replace("exec ", 'for map; do :; done\ngrep -q init_once "$map" && exit 1\nexec ')
    )
    stock, done = tree.stock(), tree.link()
    assert stock.status == done.status == 1
    assert not (tree.directory / "vmlinux").exists()


def test_a_trial_of_the_tool_that_never_ends_is_given_up(tree: Tree, stock: tuple[bytes, bytes]) -> None:
    """An option that only the tool knows leaves nothing to compare."""
    script = tree.directory / "scripts/link-vmlinux.sh"
    script.write_text(script.read_text().replace("scripts/kallsyms ${", "scripts/kallsyms --vendor ${"))
    tool = tree.directory / "scripts/kallsyms"
    tool.write_text(tool.read_text().replace("exec ", '[ "$1" != --vendor ] || shift\nexec '))
    for _ in range(3):
        done = tree.link()
        assert (done.status, done.links, tree.results()) == (0, STOCK, stock)
    assert of(tree, "tool") == [("different", "its trial could not be completed")]


# A linker that does something to our link alone: the one of that name that keeps debug information.
_OURS = 'case "$*" in *strip-debug*) ;; *"-o .tmp_vmlinux1 "*) {} ;; esac'


def test_one_link_that_gives_something_else_is_never_done(tree: Tree, stock: tuple[bytes, bytes]) -> None:
    fault = _OURS.format('x86_64-linux-gnu-ld -m elf_x86_64 "$@" && echo >>.tmp_vmlinux1; exit')
    for number in range(4):
        done = tree.link(LINKER_FAULT=fault)
        assert right(tree, done, stock)
        assert done.links == [*STOCK, ".tmp_vmlinux1"] if number == 1 else STOCK
    ((result, reason),) = of(tree, "link")
    assert result == "different"
    assert reason.startswith("vmlinux differs from byte ")
    assert tree.outcome().reason == f"one link was rejected by a trial: {reason}"
    # Other flags of the linker are another matter.
    tree.environment["KBUILD_AFLAGS"] = "-Wa,--noexecstack"
    tree.try_out()
    assert sorted(of(tree, "link")) == [(result, reason), ("same", "")]


def test_one_link_that_fails_is_tried_three_times(tree: Tree, stock: tuple[bytes, bytes]) -> None:
    fault = _OURS.format("exit 1")
    tree.link()
    for number in range(1, 6):
        done = tree.link(LINKER_FAULT=fault)
        assert right(tree, done, stock)
        assert len(done.links) == (4 if number <= verdicts.MOST_ATTEMPTS else 3)
    assert of(tree, "link") == [("different", "the linker failed")]


@pytest.mark.parametrize("kept", ["HOME", "XDG_CACHE_HOME"])
def test_where_nothing_can_be_kept_nothing_is_tried(
    tree: Tree, stock: tuple[bytes, bytes], kept: str
) -> None:
    value = {"HOME": "", "XDG_CACHE_HOME": "/proc/1"}[kept]
    for _ in range(2):
        done = tree.link(**{kept: value}, KALLSYMSD_DIALECT="v6.11")
        assert right(tree, done, stock)
        assert done.links == STOCK
    assert tree.outcome().reason == "verdicts of trials cannot be saved: there is no private cache directory"
    done = tree.link(**{kept: value})
    assert (done.status, done.links, tree.results()) == (0, STOCK, stock)
    assert "its text is not recognized, and the verdict of a trial cannot be saved" in done.err


def test_killed_while_it_is_tried(tree: Tree, stock: tuple[bytes, bytes]) -> None:
    tree.link()
    reached = tree.directory / "reached"
    process = subprocess.Popen(
        [tree.shell, "/bin/sh", "-c", tree.recipe()],
        cwd=tree.directory,
        env={
            **tree.environment,
            "KALLSYMSD_ONE_LINK": "1",
            "LINKER_FAULT": _OURS.format(f": > {reached}; exec sleep 60"),
        },
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        end = time.monotonic() + 60
        while not reached.exists():
            assert time.monotonic() < end
            time.sleep(0.02)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    # What the script itself had made by then is there, and is its own.
    assert tree.results() == stock
    assert of(tree, "link") == []
    tree.try_out()
    assert of(tree, "link") == [("same", "")]


def test_another_user_tries_anew(tree: Tree, stock: tuple[bytes, bytes], tmp_path: Path) -> None:
    tree.try_out()
    (tmp_path / "other").mkdir()
    tree.environment["HOME"] = str(tmp_path / "other")
    assert tree.verdicts() == []
    assert right(tree, tree.link(), stock)
    assert of(tree, "tool") == [("same", "")]


def test_a_verdict_in_favour_is_believed_and_one_against_is_too(tree: Tree) -> None:
    tree.try_out()
    place = Path(os.fsdecode(verdicts.place({b"HOME": os.fsencode(tree.environment["HOME"])})))
    for path in place.iterdir():
        verdict = Verdict.decode(path.read_bytes())
        assert verdict is not None
        if verdict.kind == verdicts.LINK:
            verdict.result, verdict.reason = verdicts.DIFFERENT, "somebody says so"
            verdicts.keep(bytes(place), path.name, verdict)
    done = tree.link()
    assert done.links == STOCK
    assert tree.outcome().reason == "one link was rejected by a trial: somebody says so"
