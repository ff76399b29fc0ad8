# SPDX-License-Identifier: GPL-2.0-only
"""What the daemon remembers of a tree: its last map and the tables of it."""

from kallsymsd.core import incremental, pipeline, sysmap
from kallsymsd.core.dialects import Dialect
from kallsymsd.core.native.tokentable import TokenTable
from kallsymsd.core.tables import Tables
from kallsymsd.engine.recentmaps import MapText
from kallsymsd.engine.stopwatch import Stopwatch
from kallsymsd.protocol.wire import ADDRESSES, COLD, INCREMENTAL, How

# With more than an eighth of the symbols changed, a cold run costs less than an update; in tiny tables
# neither costs anything.
_PART_CHANGED = 8
_ALWAYS_UPDATED = 16

# A token table with its history: 256 KiB of counts and 2 KiB for each of up to 255 steps.
_HISTORY = 768 << 10


class TreeState:
    """The last map of a tree, for one dialect and set of options, with everything made of it. Immutable.

    contents  the map
    tables    its tables, with the token table's history
    changed   the first string (type letter and name) removed by the update that made it, and the first one
              added, b"" for none; empty if it was made in another way
    """

    __slots__ = ("changed", "contents", "tables")

    def __init__(self, contents: MapText, tables: Tables, changed: tuple[bytes, ...] = ()) -> None:
        self.contents = contents
        self.tables = tables
        self.changed = changed

    @classmethod
    def cold(
        cls, contents: MapText, dialect: Dialect, options: int, watch: Stopwatch
    ) -> tuple["TreeState", How]:
        """The state of a tree that nothing is known of. InputError when the map is none."""
        tables = pipeline.build(contents.text, dialect, options, watch.lap)
        return cls(contents, tables), _how(COLD, tables, watch)

    def update(self, contents: MapText, watch: Stopwatch) -> tuple["TreeState", How]:
        """The state after the map became ``contents``; exactly what cold() gives. InputError as there."""
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
        """Bytes of memory, roughly: columns (two of u32 in the origin) and history."""
        tables, symbols = self.tables, self.tables.symbols
        columns = (
            self.contents.text,
            symbols.addresses,
            symbols.strings.data,
            symbols.strings.starts,
            tables.codes.data,
            tables.codes.starts,
            tables.names,
            tables.by_name,
            tables.seqs_of_names,
            tables.offsets,
        )
        return sum(len(column) for column in columns) + 2 * len(symbols.strings.starts) + _HISTORY

    def encode(self) -> list[bytes]:
        """The state for the store, in pieces: what is dear to make again, each part after its u64 length.

        In the byte order of this machine.
        """
        tables = self.tables
        made_for = _made_for(tables.dialect, tables.options)
        parts = (made_for, self.contents.text, tables.codes.data, tables.by_name, tables.tokens.dump())
        return [piece for part in parts for piece in (len(part).to_bytes(8, "little"), part)]

    @classmethod
    def decode(cls, stored: bytes | memoryview, dialect: Dialect, options: int) -> "TreeState":
        """What encode() wrote for this dialect and options; ValueError or InputError for anything else."""
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
            raise ValueError("stored state of a tree is of another dialect or other options")
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
