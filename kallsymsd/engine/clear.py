# SPDX-License-Identifier: GPL-2.0-only
"""Removes stored answers and states."""

from kallsymsd.core.dialects import DIALECTS, OPTION_BITS
from kallsymsd.engine.keys import tree_key
from kallsymsd.engine.store import Store
from kallsymsd.protocol.wire import ASM, BuildRequest


def clear(store: Store, tree: bytes | None) -> None:
    """Remove the stored states of ``tree``; None: everything that is stored.

    The answers of a single tree stay until the store is full: they are stored by the contents of their maps,
    which other trees may share.
    """
    if tree is None:
        store.clear()
        return
    for dialect in DIALECTS:
        for options in range(sum(OPTION_BITS.values()) + 1):
            if dialect.accepts(options):
                request = BuildRequest(version="", dialect=dialect.name, options=options, form=ASM, tree=tree)
                store.remove(tree_key(request))
