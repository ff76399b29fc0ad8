# SPDX-License-Identifier: GPL-2.0-only
"""One link of kernels with BTF: the real pahole makes of our link what it makes of the script's first one."""

import json
import shutil
import subprocess
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NoReturn

import pytest

from tests.kernel import edits, sources
from tests.kernel.checks import assert_same
from tests.kernel.conftest import Stock
from tests.kernel.edits import Edit
from tests.kernel.sources import CACHE
from tests.kernel.trees import CONFIG, Linked, ObjectTree
from tests.kernel.ways import CONTROL
from tests.measure import Daemon

_ONE_LINK = [*CONTROL, "run", "--one-link", "--"]
_BTF = """
CONFIG_DEBUG_INFO_DWARF_TOOLCHAIN_DEFAULT=y
CONFIG_BPF_SYSCALL=y
CONFIG_DEBUG_INFO_BTF=y
"""


@pytest.fixture(scope="module")
def tree(stock: Stock, say: Callable[[str], None], unavailable: Callable[[str], NoReturn]) -> ObjectTree:
    """An object tree with BTF."""
    if not shutil.which("pahole"):
        unavailable("kernels with BTF need: apt-get install pahole")
    tree = ObjectTree(stock.source, CACHE / stock.series / "btf", say)
    tree.configure(CONFIG.read_text() + _BTF)
    assert tree.setting("DEBUG_INFO_BTF") == "y"
    return tree


@pytest.fixture(scope="module")
def series(
    stock: Stock, tree: ObjectTree, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Linked]]:
    """What the script's own links make of each edit; the tree is left with the kernel without any."""
    try:
        yield build(tree, tmp_path_factory.mktemp(f"series-{stock.series}"))
    finally:
        sources.restore(stock.source, stock.series)


def test_every_edit_with_btf(
    tree: ObjectTree, series: dict[str, Linked], daemon: Daemon, say: Callable[[str], None]
) -> None:
    compare(tree, series, daemon, say)


def build(tree: ObjectTree, directory: Path) -> dict[str, Linked]:
    """The kernels of all edits, set aside, with the links that the script makes."""
    original = (tree.source / sources.EDITED).read_text()
    made = {}
    for edit in _edits():
        edits.apply(tree.source, edit)
        tree.make("vmlinux")
        assert _count(tree, "BTF ") == 1
        made[edit[0]] = tree.set_aside(directory / edit[0])
    (tree.source / sources.EDITED).write_text(original)
    tree.make("vmlinux")
    for name in (".tmp_vmlinux1.btf.o", ".btf.vmlinux.bin.o"):
        (tree.directory / name).unlink(missing_ok=True)
    return made


def compare(tree: ObjectTree, series: dict[str, Linked], daemon: Daemon, say: Callable[[str], None]) -> None:
    """The same with one link: byte for byte; one link where BTF has the size that it had before, else two."""
    said = []
    last = 0
    # Such a tree was never met: the first time the script links, and one link is tried beside that.
    for edit in (next(iter(_edits())), *_edits()):
        edits.apply(tree.source, edit)
        (tree.source / sources.EDITED).touch()
        tree.make("vmlinux", before=_ONE_LINK, environment=daemon.environment)
        linked = series[edit[0]]
        assert_same(tree.linked(), linked)
        size = _size(linked.vmlinux)
        outcome = json.loads((tree.directory / ".tmp_vmlinux.link").read_text())
        if not last:
            assert (outcome["links"], "gave the same" in outcome["reason"]) == (0, True), outcome
        else:
            assert outcome["links"] == (1 if size == last else 2), (edit[0], outcome)
            assert _count(tree, "BTF ") == 1
        said.append(f"{edit[0]} {outcome['links']}")
        last = size
    assert {words[-1] for words in said[1:]} == {"1", "2"}
    say(f"{tree.directory}: links: {', '.join(said)}")


def _edits() -> Iterable[Edit]:
    """Those of every kernel, then some that change BTF and not its size, or the other way round."""
    yield from edits.EDITS
    yield "same length", lambda before: before.replace("kallsymsd_renamed", "kallsymsd_changed")
    yield "a type", lambda before: f"{before}struct kallsymsd_type {{ int a; long b; }} kallsymsd_typed;\n"
    yield "the same size", lambda before: before.replace("{ int a; long b; }", "{ long a; int b; }")
    yield "another member", lambda before: before.replace("{ long a; int b; }", "{ long a; int b, c; }")


def _count(tree: ObjectTree, step: str) -> int:
    return sum(
        line.split(" ", 2)[2].startswith(step)
        for line in tree.log.read_text().splitlines()
        if line.startswith("  ")
    )


def _size(vmlinux: Path) -> int:
    """Bytes of BTF, by readelf."""
    shown = subprocess.run(["readelf", "-SW", vmlinux], capture_output=True, text=True, check=True).stdout
    line = next(line for line in shown.splitlines() if " .BTF " in line)
    return int(line.split(" .BTF ")[1].split()[3], 16)
