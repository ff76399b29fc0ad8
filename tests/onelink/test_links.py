# SPDX-License-Identifier: GPL-2.0-only
"""vmlinux and System.map of one link are byte for byte those of the stock build's three."""

import pytest

from .conftest import Stock
from .program import BASE, Symbol
from .tree import Tree

pytestmark = pytest.mark.oracle

EDITS = {
    "nothing": BASE,
    "a body": BASE.without("text_local_function_1").with_symbols(
        Symbol("text_local_function_1", size=5000), file=1
    ),
    "a function": BASE.with_symbols(Symbol("added")),
}


def test_first_build_and_edits(fresh: Tree, stock: Stock) -> None:
    done = fresh.link()
    assert (done.status, done.err) == (0, "")
    assert len(done.links) == 2
    assert fresh.results() == stock(BASE)
    for edit in EDITS.values():
        fresh.put(edit)
        done = fresh.link()
        assert (done.status, done.err) == (0, "")
        assert (done.links, done.own_tool) == ([".tmp_vmlinux1"], 0)
        assert fresh.results() == stock(edit)
