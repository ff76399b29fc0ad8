# SPDX-License-Identifier: GPL-2.0-only
"""Removes what is stored."""

from kallsymsd.core.dialects import DIALECTS, OPTION_BITS
from kallsymsd.engine.keys import tree_key
from kallsymsd.engine.store import Store
from kallsymsd.protocol.wire import ASM, BuildRequest


def clear(store: Store, tree: bytes | None) -> None:
    """Remove what is stored of ``tree``, or everything.

    Of a tree, that is its states: answers are stored under the contents of their maps, which may be another
    tree's too, and leave the store when it is full.
    """
    if tree is None:
        store.clear()
        return
    for dialect in DIALECTS:
        for options in range(sum(OPTION_BITS.values()) + 1):
            if dialect.accepts(options):
                request = BuildRequest(version="", dialect=dialect.name, options=options, form=ASM, tree=tree)
                store.remove(tree_key(request))
