# SPDX-License-Identifier: GPL-2.0-only
"""Other linkers, settings and circumstances: still the stock kernel, byte for byte.

Of these, only that with two releases takes both; the others are relinks of 6.12.
"""

import json
import shutil
import threading
import time
from collections.abc import Callable
from typing import NoReturn

import pytest

from tests.kernel import sources
from tests.kernel.checks import assert_same
from tests.kernel.conftest import Stock
from tests.kernel.trees import RELINK_LIMIT, Linked, ObjectTree
from tests.kernel.ways import RUN, control, left_behind, made_here
from tests.measure import Daemon

#: For kernels that need not boot: as little to compile as may be.
BARE = """CONFIG_64BIT=y
CONFIG_SMP=y
CONFIG_EXPERT=y
CONFIG_DEBUG_KERNEL=y
CONFIG_KALLSYMS=y
CONFIG_KALLSYMS_ALL=y
"""
only_newest = pytest.mark.parametrize("stock", ["6.12"], indirect=True)


def relink(tree: ObjectTree, daemon: Daemon, *arguments: str, **environment: str) -> Linked:
    """Touch a source file and make, by kallsymsctl run."""
    (tree.source / sources.EDITED).touch()
    everything = {**daemon.environment, **environment}
    tree.make(*arguments, "vmlinux", before=RUN, environment=everything, limit=RELINK_LIMIT)
    return tree.linked()


@only_newest
@pytest.mark.parametrize(
    ("arguments", "environment"),
    [
        pytest.param(["V=1"], {}, id="verbose"),
        pytest.param(["-s"], {}, id="silent"),
        pytest.param(["KALLSYMS_EXTRA_PASS=1"], {}, id="one pass more"),
        pytest.param([], {"KALLSYMSD": "verify"}, id="verified by the kernel's own tool"),
        pytest.param([], {"KALLSYMSD": "off"}, id="no daemon"),
        pytest.param(
            [], {"KALLSYMSD": "auto", "KALLSYMSD_SOCKET": "/nowhere/s", "CI": "true"}, id="none found"
        ),
    ],
)
def test_a_relink(
    stock: Stock,
    daemon: Daemon,
    say: Callable[[str], None],
    arguments: list[str],
    environment: dict[str, str],
) -> None:
    tree = stock.built(say)
    assert_same(relink(tree, daemon, *arguments, **environment), stock.cold)
    assert made_here(tree)


@only_newest
def test_the_daemon_is_killed_between_two_passes(
    stock: Stock, daemon: Daemon, say: Callable[[str], None]
) -> None:
    tree = stock.built(say)
    first_pass = tree.directory / ".tmp_vmlinux1.kallsyms.S"
    first_pass.unlink()

    def kill() -> None:
        end = time.monotonic() + RELINK_LIMIT
        while not first_pass.exists() and time.monotonic() < end:
            time.sleep(0.01)
        daemon.kill()

    killer = threading.Thread(target=kill)
    killer.start()
    assert_same(relink(tree, daemon, KALLSYMSD="auto", CI="true"), stock.cold)
    killer.join()
    assert made_here(tree)
    assert json.loads(control("stats", "--json", environment=daemon.environment))["fallbacks"] > 0


@pytest.fixture(scope="session")
def other(stock: Stock, say: Callable[[str], None]) -> Callable[..., tuple[ObjectTree, Linked]]:
    """Another object tree of the same source, and what the stock build makes there."""

    def build(name: str, config: str, *arguments: str) -> tuple[ObjectTree, Linked]:
        directory = sources.CACHE / stock.series / name
        tree = ObjectTree(stock.source, directory, say, arguments)
        tree.configure(config)
        tree.make("vmlinux")
        return tree, tree.set_aside(directory.with_name(f"{name}-stock"))

    return build


@only_newest
def test_lld_and_llvm_nm(
    other: Callable[..., tuple[ObjectTree, Linked]], daemon: Daemon, unavailable: Callable[[str], NoReturn]
) -> None:
    if not shutil.which("ld.lld") or not shutil.which("llvm-nm"):
        unavailable("no ld.lld or llvm-nm: apt install lld llvm")
    tree, expected = other("lld", BARE, "LD=ld.lld", "NM=llvm-nm")
    assert tree.setting("LD_IS_LLD") == "y"
    assert not made_here(tree)
    assert_same(relink(tree, daemon), expected)
    assert made_here(tree)
    tree.make("clean", limit=RELINK_LIMIT)
    assert left_behind(tree) == []


@only_newest
def test_a_kernel_without_kallsyms(other: Callable[..., tuple[ObjectTree, Linked]], daemon: Daemon) -> None:
    tree, expected = other("without", BARE.replace("CONFIG_KALLSYMS=y", "# CONFIG_KALLSYMS is not set"))
    assert tree.setting("KALLSYMS") is None
    assert_same(relink(tree, daemon), expected)


@only_newest
def test_tables_of_text_only(other: Callable[..., tuple[ObjectTree, Linked]], daemon: Daemon) -> None:
    tree, expected = other("text", BARE.replace("CONFIG_KALLSYMS_ALL=y", "# CONFIG_KALLSYMS_ALL is not set"))
    assert tree.setting("KALLSYMS_ALL") is None
    assert_same(relink(tree, daemon), expected)
    assert made_here(tree)


def test_two_releases_take_turns(stocks: list[Stock], daemon: Daemon, say: Callable[[str], None]) -> None:
    trees = [(stock, stock.built(say)) for stock in stocks]
    for _ in range(2):
        for stock, tree in trees:
            assert_same(relink(tree, daemon), stock.cold)
    for stock, tree in trees:
        sources.add_function(stock.source)
        try:
            assert_same(relink(tree, daemon), stock.edited)
        finally:
            sources.restore(stock.source, stock.series)
    assert [made_here(tree) for _, tree in trees] == [True] * len(trees)
