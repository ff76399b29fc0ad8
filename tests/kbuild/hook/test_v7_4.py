# SPDX-License-Identifier: GPL-2.0-only
"""The hook in trees of 7.4, whose tool reads the linked file, writes the map, and is called at two places."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import pytest

from tests.client.test_from_elf import VMLINUX
from tests.kbuild.hook.miniature import Miniature, create
from tests.objects import why_not
from tests.oracles import ROOT, Oracle

_TABLES = """\
true > .tmp_vmlinux0.syms
kallsyms .tmp_vmlinux0.syms .tmp_vmlinux0.kallsyms
kallsyms .tmp_vmlinux1 .tmp_vmlinux1.kallsyms .tmp_vmlinux1.syms
"""
_MAP = """\
mksysmap()
{
	scripts/kallsyms --sysmap="${2}" "${1}"
}
mksysmap .tmp_vmlinux1 System.map
cmp .tmp_vmlinux1.syms System.map
"""
_CHANGES = (
    ("cp kernel.map .tmp_vmlinux1.syms\n", "cp kernel.map .tmp_vmlinux1\n"),
    ("kallsyms .tmp_vmlinux1.syms .tmp_vmlinux1.kallsyms\n", _TABLES),
    ("cp .tmp_vmlinux1.syms System.map\n", _MAP),
)


@pytest.fixture
def tree(tmp_path: Path, unavailable: Callable[[str], NoReturn]) -> Miniature:
    if reason := why_not("x86_64"):
        unavailable(reason)
    tool = tmp_path / "tool"
    tool.write_text(
        f'#!/bin/sh\nPYTHONPATH={ROOT} exec {sys.executable} -m tests.kbuild.hook.tool_v7_4 "$@"\n'
    )
    tool.chmod(0o755)
    tree = create(tmp_path / "source", tmp_path / "objects", Oracle("v7.4", "7.4", tool))
    script = tree.source / "scripts/link-vmlinux.sh"
    text = script.read_text()
    for old, new in _CHANGES:
        assert old in text
        text = text.replace(old, new)
    script.write_text(text)
    (tree.objects / "kernel.map").write_bytes(VMLINUX)
    return tree


@pytest.mark.parametrize("options", [[], ["--one-link"]], ids=["", "one link asked for"])
def test_the_kernel_is_the_same_and_the_tool_did_not_run(tree: Miniature, options: list[str]) -> None:
    done = tree.make()
    assert done.returncode == 0, done.stderr
    assert tree.tool_runs() == 3  # the empty tables, the tables, the map
    stock = tree.results()
    (tree.objects / "vmlinux").unlink()
    (tree.objects / "System.map").unlink()
    done = tree.ctl("run", *options, "make")
    assert (done.returncode, done.stderr, tree.tool_runs()) == (0, "", 0)
    assert tree.results() == stock
