# SPDX-License-Identifier: GPL-2.0-only
"""What the daemon remembers of a tree: its last map and the map's tables."""

from typing import NamedTuple

from kallsymsd.core import incremental, pipeline, sysmap
from kallsymsd.core._native import TokenTable
from kallsymsd.core.dialects import Dialect
from kallsymsd.core.tables import Tables
from kallsymsd.engine.recentmaps import MapText
from kallsymsd.engine.stopwatch import Stopwatch
from kallsymsd.protocol.wire import ADDRESSES, COLD, INCREMENTAL, How

# When more than an eighth of the symbols changed, a cold run costs less than an update. Tiny tables are
# always updated, since neither costs anything there.
_PART_CHANGED = 8
_ALWAYS_UPDATED = 16

# A token table with its history: 256 KiB of counts and 2 KiB for each of up to 255 steps.
_HISTORY = 768 << 10


class TreeState(NamedTuple):
    """A tree's last map, for one dialect and set of options, and its tables. Immutable.

    contents  the map
    tables    its tables, with the token table's history
    changed   the first string (type letter and name) that the last update removed, and the first one it
              added, b"" for none; empty unless an incremental update made this state
    """

    contents: MapText
    tables: Tables
    changed: tuple[bytes, ...] = ()

    @classmethod
    def cold(
        cls, contents: MapText, dialect: Dialect, options: int, watch: Stopwatch
    ) -> tuple["TreeState", How]:
        """The state of a tree that nothing is known of. InputError if ``contents`` are not a map."""
        tables = pipeline.build(contents.text, dialect, options, watch.lap)
        return cls(contents, tables), _how(COLD, tables, watch)

    def update(self, contents: MapText, watch: Stopwatch) -> tuple["TreeState", How]:
        """The state after the map became ``contents``: the same as cold() gives. InputError likewise."""
        old = self.tables
        if contents is self.contents:
            return self, _how(ADDRESSES, old, watch)
        moved = incremental.moved(old, self.contents.text, contents.text)
        watch.lap("parse")
        if moved is not None:
            return TreeState(contents, moved), _how(ADDRESSES, moved, watch)
        symbols = sysmap.read(contents.text, old.dialect, old.options)
        watch.lap("parse")
        most = max(_ALWAYS_UPDATED, symbols.count // _PART_CHANGED)
        updated = incremental.changed(old, symbols, most, watch.lap)
        if updated is None:
            tables = pipeline.tabulate(symbols, old.dialect, old.options, watch.lap)
            return TreeState(contents, tables), _how(COLD, tables, watch)
        tables, change = updated
        how = How(
            INCREMENTAL,
            symbols=tables.num_syms,
            changed=change.symbols,
            kept=change.kept,
            steps=change.steps,
            stages=watch.stages,
        )
        return TreeState(contents, tables, (change.removed, change.added)), how

    @property
    def size(self) -> int:
        """Approximate bytes of memory: columns (two of u32 in the origin) and history."""
        tables, symbols = self.tables, self.tables.symbols
        columns = (
            self.contents.text,
            symbols.addresses,
            symbols.strings,
            symbols.starts,
            tables.codes,
            tables.code_starts,
            tables.names,
            tables.by_name,
            tables.seqs_of_names,
            tables.offsets,
        )
        return sum(len(column) for column in columns) + 2 * len(symbols.starts) + _HISTORY

    def encode(self) -> list[bytes]:
        """The state for the store, in pieces: what is expensive to compute, each part after its u64 length.

        In this machine's byte order.
        """
        tables = self.tables
        made_for = _made_for(tables.dialect, tables.options)
        parts = (made_for, self.contents.text, tables.codes, tables.by_name, tables.tokens.dump())
        return [piece for part in parts for piece in (len(part).to_bytes(8, "little"), part)]

    @classmethod
    def decode(cls, stored: bytes | memoryview, dialect: Dialect, options: int) -> "TreeState":
        """Decode what encode() wrote for this dialect and options; ValueError or InputError otherwise."""
        parts = []
        at = 0
        while at < len(stored):
            end = at + 8 + int.from_bytes(stored[at : at + 8], "little")
            parts.append(stored[at + 8 : end])
            at = end
        if at != len(stored) or len(parts) != 5:
            raise ValueError("stored state of a tree does not match its own lengths")
        made_for, text, codes, by_name, tokens = (bytes(part) for part in parts)
        if made_for != _made_for(dialect, options):
            raise ValueError("stored state of a tree has another dialect or other options")
        symbols = sysmap.read(text, dialect, options)
        if codes.count(b"\0") != symbols.count or len(by_name) != 4 * symbols.count:
            raise ValueError("stored state of a tree does not match its own map")
        tables = Tables(dialect, options, symbols, TokenTable.load(tokens), codes, by_name)
        return cls(MapText(text), tables)


def _made_for(dialect: Dialect, options: int) -> bytes:
    return b"%b %d" % (dialect.name.encode(), options)


def _how(made: int, tables: Tables, watch: Stopwatch) -> How:
    steps = len(tables.tokens.pairs)
    return How(
        made, symbols=tables.num_syms, kept=0 if made == COLD else steps, steps=steps, stages=watch.stages
    )
