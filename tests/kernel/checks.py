# SPDX-License-Identifier: GPL-2.0-only
"""What must hold of a kernel: the same bytes as the stock one, and its own symbols when it runs."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path

from tests.kernel.boot import boot, shown
from tests.kernel.conftest import Stock
from tests.kernel.trees import Linked


def assert_same(ours: Linked, stock: Linked) -> None:
    """The kernel and its System.map are the stock ones, byte for byte."""
    assert ours.digests() == stock.digests(), f"{ours.directory} and {stock.directory} differ"


def boot_and_compare(stock: Stock, linked: Linked, say: Callable[[str], None], scratch: Path) -> None:
    """Boot a kernel of this release; its symbols must be those of its map, in the order of addresses.

    The kernel's own test of kallsyms must have passed, where the release has one (since 6.2).
    """
    say(f"{stock.series}: qemu-system-x86_64 -kernel {linked.vmlinux}")
    has_selftest = (stock.source / "kernel" / "kallsyms_selftest.c").exists()
    tree = stock.tree(say)
    booted = boot(
        linked.vmlinux, tree.directory / "usr" / "gen_init_cpio", scratch, has_selftest=has_selftest
    )
    expected = shown(linked.system_map.read_text(), tables_hidden=not has_selftest)
    shows = Counter(booted.symbols)
    assert shows == expected, (
        "/proc/kallsyms and System.map differ: "
        f"missing {list(expected - shows)[:5]}, shown instead {list(shows - expected)[:5]}"
    )
    addresses = [address for address, _, _ in booted.symbols]
    assert addresses == sorted(addresses)
    assert booted.selftest_passed or not has_selftest, f"the kernel's own test: {booted.selftest}"
    say(f"{stock.series}: {len(booted.symbols)} symbols as in System.map; own test: {booted.selftest[-1:]}")
