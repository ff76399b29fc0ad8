# SPDX-License-Identifier: GPL-2.0-only
"""New tables from old ones: the result of a cold run, with work only for what changed."""

from collections.abc import Callable

from kallsymsd.core.dialects import ABSOLUTE_PERCPU, LTO_CLANG
from kallsymsd.core.native import mapmoves
from kallsymsd.core.native.alignment import Alignment, align
from kallsymsd.core.native.carryover import merge_name_order, splice
from kallsymsd.core.native.replay import Replay
from kallsymsd.core.native.strings import Strings
from kallsymsd.core.native.tokentable import TokenTable
from kallsymsd.core.symbols import NO_PERCPU, SymbolTable
from kallsymsd.core.tables import Tables

#: An update of a token table takes at most one in this many bytes of strings out of the history.
TAKEN_SHARE = 8
# The same as NAME_LIMIT in native/taken.pxd.
_NAME_LIMIT = 512


class Change:
    """What an update found, and how much it could keep.

    symbols  number of strings (type letter and name) removed plus number added
    kept     token steps at the front of the table that did not change
    steps    token steps of the new table
    removed  the first string removed, in table order and without its zero; b"" if there is none
    added    the first string added, likewise
    """

    __slots__ = ("added", "kept", "removed", "steps", "symbols")

    def __init__(self, symbols: int, kept: int, steps: int, *, removed: bytes, added: bytes) -> None:
        self.symbols = symbols
        self.kept = kept
        self.steps = steps
        self.removed = removed
        self.added = added


def moved(old: Tables, old_text: bytes, text: bytes) -> Tables | None:
    """The tables of ``text``, if it differs from the map of ``old`` in addresses only and keeps the order.

    Returns None otherwise. Raises InputError for an address that its column cannot hold.
    """
    symbols = old.symbols
    origin = symbols.origin
    if origin is None:
        return None
    addresses = mapmoves.move(old_text, text, origin, symbols.strings, symbols.addresses)
    if addresses is None:
        return None
    bounds = []
    for place, default in zip(origin.ranges, (0, *symbols.percpu), strict=True):
        bound = mapmoves.address_at(text, place, origin.width) if place else default
        if bound is None:
            return None
        bounds.append(bound)
    percpu = (bounds[1], bounds[2]) if old.options & ABSOLUTE_PERCPU else NO_PERCPU
    if not mapmoves.same_order(symbols.addresses, addresses, symbols.percpu, percpu):
        return None
    return old.at(symbols.at(addresses, bounds[0], percpu))


def changed(
    old: Tables, symbols: SymbolTable, most: int, lap: Callable[[str], None] = lambda _stage: None
) -> tuple[Tables, Change] | None:
    """The tables of ``symbols``, made from those of an earlier map with the same dialect and options.

    Returns None if more than ``most`` symbols were removed or added. Raises InputError for an address that
    its column cannot hold.
    """
    alignment = align(old.symbols.strings, symbols.strings)
    count = (len(alignment.removed) + len(alignment.added)) // 4
    lap("diff")
    if count > most:
        return None
    cut = old.dialect.lto_cut if old.options & LTO_CLANG else b""
    by_name = merge_name_order(old.by_name, alignment, cut)
    lap("sort")
    tokens, codes, kept = _update_tokens(old, alignment)
    lap("tokens")
    tables = Tables(old.dialect, old.options, symbols, tokens, codes, by_name)
    lap("encode")
    change = Change(
        count,
        kept,
        len(tokens.pairs),
        removed=_first(alignment.old, alignment.removed),
        added=_first(alignment.new, alignment.added),
    )
    return tables, change


def _first(strings: Strings, positions: bytes) -> bytes:
    """The string at the lowest of the u32 ``positions``, which need not be sorted; b"" if there are none."""
    return strings[min(memoryview(positions).cast("I"))] if positions else b""


def _update_tokens(old: Tables, alignment: Alignment) -> tuple[TokenTable, bytes, int]:
    """Token table and codes of the new strings, and the number of token steps that did not change."""
    new = alignment.new
    if old.dialect.name_limit > _NAME_LIMIT:  # a replay has no room for the text of a token that long
        return *TokenTable.build(new), 0
    replay = Replay.start(old.tokens, alignment, old.codes, len(new.data) // TAKEN_SHARE)
    if replay is None:
        return *TokenTable.build(new), 0
    if replay.stuck:
        return replay.table, replay.resume(), replay.kept
    return replay.table, splice(old.codes, replay.source, replay.codes, replay.rename), replay.kept
