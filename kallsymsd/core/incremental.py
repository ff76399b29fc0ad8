# SPDX-License-Identifier: GPL-2.0-only
"""New tables from old ones: exactly what a cold run gives, for what changed only."""

import sys
from collections.abc import Callable

from kallsymsd.core import _native
from kallsymsd.core.dialects import ABSOLUTE_PERCPU, LTO_CLANG
from kallsymsd.core.symbols import NO_PERCPU, SymbolTable
from kallsymsd.core.tables import Tables

#: At most one in so many bytes of strings is taken out of the history to update a token table.
TAKEN_SHARE = 8
# NAME_LIMIT of the native module.
_NAME_LIMIT = 512


class Change:
    """What an update found and could keep.

    symbols  strings (type letter and name) removed plus strings added
    kept     token steps at the front of the table that stand as they were
    steps    token steps of the new table
    removed  the first string removed, in table order and without its zero; b"" if there is none
    added    the first one added, likewise
    """

    __slots__ = ("added", "kept", "removed", "steps", "symbols")

    def __init__(self, symbols: int, kept: int, steps: int, *, removed: bytes, added: bytes) -> None:
        self.symbols = symbols
        self.kept = kept
        self.steps = steps
        self.removed = removed
        self.added = added


def moved(old: Tables, old_text: bytes, text: bytes) -> Tables | None:
    """The tables of ``text`` if it differs from the map of ``old`` in addresses only, and the order stays.

    None otherwise. Raises InputError for an address that its column cannot hold.
    """
    symbols = old.symbols
    origin = symbols.origin
    if origin is None:
        return None
    addresses = _native.move(
        old_text, text, origin.width, origin.places, origin.ranks, symbols.starts, symbols.addresses
    )
    if addresses is None:
        return None
    bounds = []
    for place, default in zip(origin.ranges, (0, *symbols.percpu), strict=True):
        bound = _native.address_at(text, place, origin.width) if place else default
        if bound is None:
            return None
        bounds.append(bound)
    percpu = (bounds[1], bounds[2]) if old.options & ABSOLUTE_PERCPU else NO_PERCPU
    if not _native.same_order(symbols.addresses, addresses, *symbols.percpu, *percpu):
        return None
    return old.at(symbols.at(addresses, bounds[0], percpu))


def changed(
    old: Tables, symbols: SymbolTable, most: int, lap: Callable[[str], None] = lambda _stage: None
) -> tuple[Tables, Change] | None:
    """The tables of ``symbols``, made from those of an earlier map with the same dialect and options.

    None when more than ``most`` symbols were removed or added. Raises InputError for an address that its
    column cannot hold.
    """
    before = old.symbols
    source, removed, added = _native.align(before.strings, before.starts, symbols.strings, symbols.starts)
    count = (len(removed) + len(added)) // 4
    lap("diff")
    if count > most:
        return None
    cut = old.dialect.lto_cut if old.options & LTO_CLANG else b""
    by_name = _native.merge_name_order(
        old.by_name, before.count, source, added, symbols.strings, symbols.starts, cut
    )
    lap("sort")
    tokens, codes, kept = _update_tokens(old, symbols, source, removed, added)
    lap("tokens")
    tables = Tables(old.dialect, old.options, symbols, tokens, codes, by_name)
    lap("encode")
    change = Change(
        count,
        kept,
        len(tokens.pairs),
        removed=_first(before, removed),
        added=_first(symbols, added),
    )
    return tables, change


def _first(symbols: SymbolTable, positions: bytes) -> bytes:
    """The string at the least of the u32 ``positions``, which are in no order; b"" if there are none."""
    if not positions:
        return b""
    least = min(memoryview(positions).cast("I")).to_bytes(4, sys.byteorder)
    return _native.select(symbols.strings, symbols.starts, least).rstrip(b"\0")


def _update_tokens(
    old: Tables, symbols: SymbolTable, source: bytes, removed: bytes, added: bytes
) -> tuple[_native.TokenTable, bytes, int]:
    """Token table and codes of ``symbols``, and how many token steps stand."""
    if old.dialect.name_limit > _NAME_LIMIT:  # a replay has no room for the text of such a token
        return *_native.TokenTable.build(symbols.strings), 0
    before = old.symbols
    replay = _native.Replay.start(
        old.tokens,
        _native.select(before.strings, before.starts, removed),
        _native.select(symbols.strings, symbols.starts, added),
        symbols.strings,
        symbols.starts,
        old.codes,
        old.code_starts,
        source,
        len(symbols.strings) // TAKEN_SHARE,
    )
    if replay is None:
        return *_native.TokenTable.build(symbols.strings), 0
    if replay.stuck:
        codes = replay.resume(old.codes, old.code_starts, len(symbols.strings))
    else:
        codes = _native.splice(old.codes, old.code_starts, replay.source, replay.codes, replay.rename)
    return replay.table, codes, replay.kept
