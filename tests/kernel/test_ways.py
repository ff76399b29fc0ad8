# SPDX-License-Identifier: GPL-2.0-only
"""Both ways into an unmodified tree: every build is the stock one, byte for byte, and the kernel runs.

Cold, then after ``touch`` of a source file, then with a function more; by kallsymsctl run, and by kallsymsctl
install with plain make. The daemon is a must, and the assembly is looked at, so that a build that quietly
fell back to the kernel's own tool fails.
"""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.kernel import sources
from tests.kernel.checks import assert_same, boot_and_compare
from tests.kernel.conftest import Stock
from tests.kernel.trees import ObjectTree
from tests.kernel.ways import RUN, control, made_here
from tests.measure import Daemon


@pytest.fixture
def tree(stock: Stock, say: Callable[[str], None]) -> ObjectTree:
    """The release's object tree, configured and otherwise empty."""
    tree = stock.tree(say)
    tree.configure()
    return tree


def test_run(
    stock: Stock, tree: ObjectTree, daemon: Daemon, say: Callable[[str], None], tmp_path: Path
) -> None:
    def build() -> None:
        tree.make("vmlinux", before=RUN, environment=daemon.environment)

    _build_and_compare(stock, tree, build, say)
    boot_and_compare(stock, tree.linked(), say, tmp_path)


def test_install(
    stock: Stock, tree: ObjectTree, daemon: Daemon, say: Callable[[str], None], tmp_path: Path
) -> None:
    def build() -> None:
        tree.make("vmlinux", environment=daemon.environment)

    control("install", str(tree.directory), environment=daemon.environment)
    try:
        _build_and_compare(stock, tree, build, say)
        boot_and_compare(stock, tree.linked(), say, tmp_path)
    finally:
        control("uninstall", str(tree.directory), environment=daemon.environment)
    build()
    assert not made_here(tree)
    assert_same(tree.linked(), stock.cold)


def _build_and_compare(
    stock: Stock, tree: ObjectTree, build: Callable[[], None], say: Callable[[str], None]
) -> None:
    """A cold build, a touched file, a function more; compared with the stock builds. Leaves the last."""
    edited = stock.source / sources.EDITED
    build()
    assert made_here(tree)
    assert_same(tree.linked(), stock.cold)
    assert tree.scripts() == stock.scripts, "what bindeb-pkg ships of scripts/ has changed"
    before = (tree.directory / "vmlinux").stat().st_mtime_ns
    edited.touch()
    build()
    assert (tree.directory / "vmlinux").stat().st_mtime_ns > before, "nothing was linked"
    assert_same(tree.linked(), stock.cold)
    sources.add_function(stock.source)
    try:
        build()
        assert made_here(tree)
        assert_same(tree.linked(), stock.edited)
        assert "kallsymsd_proof_function" in tree.linked().system_map.read_text()
    finally:
        sources.restore(stock.source, stock.series)
    say(f"{stock.series}: cold, touched, edited: same vmlinux and System.map as stock")
