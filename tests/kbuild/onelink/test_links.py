# SPDX-License-Identifier: GPL-2.0-only
"""The files vmlinux and System.map of one link are byte for byte those of the stock build's three."""

import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import pytest

from kallsymsd.protocol import notes
from tests.kbuild.onelink.conftest import Stock
from tests.kbuild.onelink.program import BASE, Program, Symbol
from tests.kbuild.onelink.scripts import BY_NAME
from tests.kbuild.onelink.tree import CONFIGURATION, Linked, Tree
from tests.onelink.machines import MACHINES, NEW_LLD

pytestmark = pytest.mark.oracle

ONE = [".tmp_vmlinux1"]
_LONGER = Symbol("text_local_function_1", size=5000)
_EDITS = {
    "nothing": BASE,
    "a longer body": BASE.without(_LONGER.name).with_symbols(_LONGER, file=1),
    "functions and variables": BASE.with_symbols(
        Symbol("added"),
        Symbol("weak", binding="weak"),
        Symbol("cpu_number", ".data..percpu", "globl", "object"),
        Symbol("__initcall_me", ".initcall6.init", type="object"),
    ).exporting("kfree", "printk"),
    "renamed, and the same in the other file": BASE.without("init_once").with_symbols(Symbol("start")),
    "of another type": BASE.without("state").with_symbols(Symbol("state", ".rodata", "globl", "object")),
    "debug information": Program(BASE.files, BASE.exports, "elsewhere"),
}


@pytest.mark.parametrize("kernel", ["v6.11"], indirect=True)
def test_a_file_of_another_name(fresh: Tree, stock: Stock) -> None:
    (fresh.directory / "scripts/link-vmlinux.sh").write_text(BY_NAME)
    fresh.made = "vmlinux.unstripped"
    assert fresh.stock().links[-1] == fresh.made
    assert fresh.results() == stock(BASE)
    fresh.try_out()
    fresh.clean()
    for edit in (BASE, _EDITS["functions and variables"]):
        fresh.put(edit)
        done = fresh.link()
        assert (done.status, done.err, done.links) == (0, "", ONE * (2 if edit == BASE else 1))
        assert fresh.results() == stock(edit)
    assert not (fresh.directory / "vmlinux").exists()


@pytest.mark.parametrize("kernel", ["v6.11"], indirect=True)
@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("NM", "llvm-nm"),
        ("LINKER", "ld.lld"),
        ("LINKER", MACHINES["x86_64"].program(NEW_LLD)),
        ("LINKER", "x86_64-linux-gnu-ld --emit-relocs"),
    ],
)
def test_other_tools(fresh: Tree, unavailable: Callable[[str], NoReturn], variable: str, value: str) -> None:
    if not shutil.which(value.split(maxsplit=1)[0]):
        unavailable(f"no {value.split(maxsplit=1)[0]} (Debian: apt install lld llvm)")
    script = fresh.directory / "vmlinux.lds"
    script.write_text(script.read_text().replace(".init.data :", ".pdata :"))  # which only GNU nm knows
    assert fresh.stock().status == 0
    usual = fresh.results()
    fresh.environment[variable] = value
    assert fresh.stock().status == 0
    expected = fresh.results()
    assert expected != usual
    fresh.try_out()
    fresh.clean()
    for links in (2, 1):
        assert right(fresh.link(), links)
        assert fresh.results() == expected


def right(done: Linked, links: int) -> bool:
    """Whether a run succeeded in silence, with so many links."""
    assert not done.err
    return (done.status, len(done.links)) == (0, links)


def test_the_first_build_and_edits(fresh: Tree, stock: Stock) -> None:
    assert right(fresh.link(), 2)
    assert fresh.results() == stock(BASE)
    assert fresh.outcome().reason == "nothing is known about the last link in this tree"
    for edit in _EDITS.values():
        fresh.put(edit)
        done = fresh.link()
        assert not done.err
        assert (done.status, done.links, done.own_tool) == (0, ONE, 0)
        assert fresh.results() == stock(edit)
        outcome = fresh.outcome()
        assert (outcome.links, outcome.predicted, outcome.reason) == (1, True, "")


@pytest.mark.parametrize(
    ("edit", "links", "reason"),
    [
        (
            BASE.with_symbols(Symbol("_sinittext", binding="globl")),
            2,
            "kallsyms_",  # predicted wrong: the linker script's own wins
        ),
        (Program(BASE.files, ("kmalloc",)).with_symbols(Symbol("unlikely")), 1, ""),
    ],
    ids=["predicted wrong", "fewer exports"],
)
def test_edits_by_name(tree: Tree, stock: Stock, edit: Program, links: int, reason: str) -> None:
    tree.put(edit)
    assert right(tree.link(), links)
    assert tree.results() == stock(edit)
    assert reason in tree.outcome().reason
    assert bool(reason) == bool(tree.outcome().reason)
    # Undone it is predicted as badly; and what was learned then is right again.
    tree.put(BASE)
    for expected in (links, 1):
        assert right(tree.link(), expected)
        assert tree.results() == stock(BASE)


def test_a_class_of_symbols_that_was_not_there(tree: Tree, stock: Stock) -> None:
    names = [symbol.name for file in BASE.files for symbol in file if symbol.section == ".init.text"]
    without = BASE.without(*names)
    tree.put(without)
    assert tree.link().status == 0  # what the linker says of symbols in a section that is gone is its own
    assert tree.results() == stock(without)
    tree.put(BASE)
    assert right(tree.link(), 2)
    assert tree.results() == stock(BASE)
    assert re.search("the last link had no symbol like .* in section .init.text", tree.outcome().reason)


@pytest.mark.parametrize("without", ["KALLSYMS_ALL", "MODULES"])
def test_another_configuration(tree: Tree, stock: Stock, without: str) -> None:
    if without == "MODULES":
        (tree.directory / ".vmlinux.export.o").unlink()
    options = tuple(option for option in CONFIGURATION if option != without)
    tree.configure(*options)
    tree.try_out()
    tree.clean()
    links: tuple[int, ...] = (2,)
    for _ in range(2):
        done = tree.link()
        assert not done.err
        assert done.status == 0
        assert len(done.links) in links
        assert tree.results() == stock(BASE, options)
        links = (1, 2) if without == "KALLSYMS_ALL" else (1,)


@pytest.mark.parametrize("kernel", ["v6.11"], indirect=True)
@pytest.mark.parametrize(
    ("option", "variable", "reason"),
    [
        (
            "VMLINUX_MAP",
            "",
            "CONFIG_VMLINUX_MAP is set: the linker's map would name other files",
        ),
        ("UML", "", "CONFIG_UML is set: the compiler links user mode Linux"),
        ("", "KALLSYMSD=off", "KALLSYMSD=off"),
        ("", "KALLSYMSD=verify", "KALLSYMSD=verify compares the tables of each link"),
        ("", "KALLSYMS_EXTRA_PASS=1", "KALLSYMS_EXTRA_PASS is set"),
    ],
)
def test_what_needs_the_stock_links(
    tree: Tree, stock: Stock, option: str, variable: str, reason: str
) -> None:
    options = (*CONFIGURATION, option)
    tree.configure(*options)
    name, _, value = variable.partition("=")
    done = tree.link(**{name: value} if name else {})
    assert right(done, 4 if name == "KALLSYMS_EXTRA_PASS" else 3)
    assert done.links[-1] == "vmlinux"
    assert tree.results() == stock(BASE, options)
    assert (tree.outcome().links, tree.outcome().reason) == (0, reason)
    assert (tree.directory / "vmlinux.map").exists() == (option == "VMLINUX_MAP")
    # Back again: what the script has left is no memory of a link that is predicted wrong.
    tree.configure(*CONFIGURATION)
    done = tree.link()
    assert not done.err
    assert tree.results() == stock(BASE)


@pytest.mark.parametrize("kernel", ["v6.11"], indirect=True)
def test_how_it_went_is_counted(fresh: Tree) -> None:
    fresh.link()
    fresh.link()
    fresh.put(BASE.with_symbols(Symbol("_sinittext", binding="globl")))
    fresh.link()
    fresh.link(KALLSYMSD="off")
    (fresh.directory / "include/config/auto.conf").rename(fresh.directory / "auto.conf")
    fresh.link()
    left = notes.read(os.fsencode(Path(fresh.environment["HOME"], ".cache/kallsymsd")))
    links = [note for note in left if isinstance(note, notes.Linked)]
    assert [(note.how, note.links) for note in links] == [
        ("unknown", 2),
        ("right", 1),
        ("wrong", 2),
        ("stock", 0),
        ("failed", 0),
    ]
    assert [note.saved > 0 for note in links] == [True, True, True, False, False]
    here = fresh.directory.stat()
    assert {note.tree for note in links} == {(here.st_dev, here.st_ino)}


@pytest.mark.parametrize("kernel", ["v6.11"], indirect=True)
def test_without_kallsyms(tree: Tree) -> None:
    tree.configure("64BIT", "MODULES")
    assert tree.stock().links == ["vmlinux"]
    expected = tree.results()
    done = tree.link()
    assert (done.status, done.err, done.links) == (0, "", ["vmlinux"])
    assert tree.results() == expected
    assert tree.outcome().reason == "CONFIG_KALLSYMS is not set"


@pytest.mark.parametrize("kernel", ["v6.11"], indirect=True)
def test_stock_links_in_between(tree: Tree, stock: Stock) -> None:
    for edit in (_EDITS["functions and variables"], BASE):
        tree.put(edit)
        assert tree.stock().links[-1] == "vmlinux"
        assert tree.results() == stock(edit)
        done = tree.link()
        assert not done.err
        assert len(done.links) <= 2
        assert tree.results() == stock(edit)


_BREAKS: dict[str, Callable[[str], str]] = {
    "no first line": lambda text: text.replace("\nbtf_vmlinux_bin_o=", "\nbtf_object="),
    "two first lines": lambda text: text.replace("\nkallsymso=", "\nbtf_vmlinux_bin_o=\nkallsymso=", 1),
    "no last line": lambda text: text.replace(
        "\nmksysmap vmlinux System.map", "\nmksysmap  vmlinux System.map"
    ),
    "an option that is not known": lambda text: text.replace(
        "\tlocal kallsymopt;\n", '\tlocal kallsymopt;\n\tkallsymopt="${kallsymopt} "\n'
    ),
    "another function": lambda text: text.replace("info()", "say_it()").replace("info ", "say_it "),
}


@pytest.mark.parametrize("kernel", ["v6.11"], indirect=True)
@pytest.mark.parametrize("how", _BREAKS)
def test_a_script_that_is_not_known(tree: Tree, stock: Stock, how: str) -> None:
    script = tree.directory / "scripts/link-vmlinux.sh"
    text = script.read_text()
    script.write_text(_BREAKS[how](text))
    assert script.read_text() != text
    done = tree.link()
    assert right(done, 3)
    assert done.own_tool == 0
    assert tree.results() == stock(BASE)
    assert tree.outcome().reason.startswith("scripts/link-vmlinux.sh is not that of a release: ")


@pytest.mark.parametrize("kernel", ["v6.11"], indirect=True)
def test_rules_of_mksysmap(tree: Tree) -> None:
    """Those that are read are followed, whoever wrote them; with any other the script links."""
    rules = tree.directory / "scripts/mksysmap"
    text = rules.read_text()
    for line, links in (("/ init_once$/d", 1), ("/ init_./d", 3)):
        rules.write_text(f"{text}{line}\n")
        assert tree.stock().status == 0
        expected = tree.results()
        assert b" init_once\n" not in expected[1]
        tree.try_out()
        assert right(tree.link(), links)
        assert tree.results() == expected
    assert tree.outcome().reason == "scripts/mksysmap has unknown rules"


@pytest.mark.parametrize(("shell", "verbose"), [("/bin/bash", ""), ("/bin/bash", "1"), ("/bin/sh -e", "1")])
def test_shells(tree: Tree, stock: Stock, shell: str, verbose: str) -> None:
    script = tree.directory / "scripts/link-vmlinux.sh"
    script.write_text(script.read_text().replace("#!/bin/sh", f"#!{shell}", 1))
    tree.try_out()
    done = tree.link(KBUILD_VERBOSE=verbose)
    assert (done.status, done.links) == (0, ONE)
    assert bool(done.err) == bool(verbose)  # "set -x"
    assert tree.results() == stock(BASE)
    assert [line.split()[0] for line in done.out.splitlines()] == ["AS", "LD", "KSYMS"]


@pytest.mark.parametrize("kernel", ["v6.11"], indirect=True)
def test_warnings_of_the_linker_are_shown(tree: Tree, stock: Stock) -> None:
    done = tree.link(LINKER_FAULT="echo 'ld: a warning' >&2")
    assert (done.status, done.err, done.links) == (0, "ld: a warning\n", ONE)
    assert tree.results() == stock(BASE)
