# SPDX-License-Identifier: GPL-2.0-only
"""The tables for the one link are made when its inputs are written, and found ready, or not used."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from kallsymsd.onelink import lastlink
from kallsymsd.service.ahead.buildfiles import Kind, kind_of, map_of
from tests.kbuild.onelink.conftest import Stock
from tests.kbuild.onelink.program import BASE, Symbol
from tests.kbuild.onelink.tree import Tree
from tests.service.peer import Peer
from tests.service.test_process import Program as Daemon
from tests.service.test_server import wait_for

pytestmark = pytest.mark.oracle

_EDIT = BASE.with_symbols(Symbol("added"), Symbol("new", ".data", "globl", "object"))
_ONE = [".tmp_vmlinux1"]


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    """The daemon that the builds ask."""
    program = Daemon(tmp_path)
    program.serve()
    yield program
    for process in program.processes:
        process.terminate()
        process.communicate()


@pytest.fixture
def known(tree: Tree, daemon: Daemon) -> Tree:
    """A tree that the daemon watches, after a link that was predicted."""
    tree.environment["KALLSYMSD_SOCKET"] = str(daemon.socket)
    assert tree.link().links == _ONE
    wait_for(lambda: [each["watched"] for each in _ask(daemon, "status")["watch"]["trees"]] == [True])
    assert _counted(daemon) == (0, 0, 0)
    return tree


def _ask(daemon: Daemon, command: str) -> dict[str, Any]:
    with Peer(daemon.socket) as peer:
        peer.control({"command": command})
        return peer.answer()


def _counted(daemon: Daemon) -> tuple[int, int, int]:
    """Answers made ahead: all, used, wasted."""
    stats = _ask(daemon, "stats")
    return stats["ahead"], stats["ahead_used"], stats["ahead_wasted"]


def _settled(daemon: Daemon, ahead: int) -> None:
    """Wait until so many answers have been made ahead."""
    wait_for(lambda: _ask(daemon, "stats")["ahead"] == ahead)
    wait_for(lambda: not _ask(daemon, "status")["busy"])


def test_the_names_are_those_of_the_last_link() -> None:
    for name in lastlink.FILES:
        assert kind_of(name) is Kind.INPUT
        assert map_of(name) == lastlink.PREDICTED
    assert kind_of(lastlink.PREDICTED) is Kind.MAP


def test_the_tables_are_ready(known: Tree, daemon: Daemon, stock: Stock) -> None:
    known.put(_EDIT)
    _settled(daemon, 1)
    done = known.link()
    assert (done.status, done.err, done.links) == (0, "", _ONE)
    assert known.results() == stock(_EDIT)
    assert _ask(daemon, "explain")["requests"][-1]["ready"]
    assert _ask(daemon, "explain")["requests"][-1]["made"] == "incremental"
    # What was linked with these tables is not computed once more.
    wait_for(lambda: not _ask(daemon, "status")["busy"])
    assert _counted(daemon) == (1, 1, 0)


@pytest.mark.parametrize("kernel", ["v6.11"], indirect=True)
def test_an_input_that_is_written_later(known: Tree, daemon: Daemon, stock: Stock) -> None:
    known.put(_EDIT)
    _settled(daemon, 1)
    edit = _EDIT.exporting("kfree", "printk", "added")
    known.put(edit)
    _settled(daemon, 2)
    assert known.link().links == _ONE
    assert known.results() == stock(edit)
    assert _counted(daemon) == (2, 1, 1)


@pytest.mark.parametrize("kernel", ["v6.11"], indirect=True)
def test_a_link_of_other_inputs(known: Tree, daemon: Daemon, stock: Stock) -> None:
    known.put(_EDIT)
    _settled(daemon, 1)
    # As if no event had come: whoever writes the file has not closed it yet.
    other = BASE.with_symbols(Symbol("different"))
    later = known.directory.with_name("later")
    later.mkdir()
    other.put(later)
    with (known.directory / "vmlinux.o").open("r+b") as file:
        file.truncate()
        file.write((later / "vmlinux.o").read_bytes())
        file.flush()
        assert known.link().links == _ONE
        # The one that was made for the link that did not come; the client's own may be made ahead, too.
        assert _counted(daemon)[2] == 1
    assert known.results() == stock(other)


@pytest.mark.parametrize("kernel", ["v6.11"], indirect=True)
@pytest.mark.parametrize("damage", [lambda data: data[:-100], lambda data: data[:1000], lambda _: b"\x7fELF"])
def test_an_input_that_is_half_written(
    known: Tree, daemon: Daemon, stock: Stock, damage: Callable[[bytes], bytes]
) -> None:
    _EDIT.put(known.directory)
    _settled(daemon, 1)
    whole = known.directory / "vmlinux.o"
    content = whole.read_bytes()
    whole.write_bytes(damage(content))
    wait_for(lambda: not _ask(daemon, "status")["busy"])
    whole.write_bytes(content)
    wait_for(lambda: not _ask(daemon, "status")["busy"])
    assert known.link().links == _ONE
    assert known.results() == stock(_EDIT)
    assert _counted(daemon)[1] == 1


@pytest.mark.parametrize("kernel", ["v6.11"], indirect=True)
def test_a_tree_with_three_links_has_nothing_predicted_of_its_inputs(
    tree: Tree, daemon: Daemon, stock: Stock
) -> None:
    tree.environment["KALLSYMSD_SOCKET"] = str(daemon.socket)
    lastlink.forget(tree.directory)
    assert len(_linked_thrice(tree)) == 3
    before = _ask(daemon, "stats")
    tree.put(_EDIT)
    wait_for(lambda: not _ask(daemon, "status")["busy"])
    assert _ask(daemon, "stats")["ahead"] == before["ahead"]
    assert len(_linked_thrice(tree)) == 3
    assert tree.results() == stock(_EDIT)


def _linked_thrice(tree: Tree) -> list[str]:
    return tree.link(KALLSYMSD_ONE_LINK="").links
