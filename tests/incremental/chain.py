# SPDX-License-Identifier: GPL-2.0-only
"""One token table after the other: each made from the last one, each compared with one made from nothing."""

from kallsymsd.core import incremental, pipeline
from kallsymsd.core.dialects import BY_NAME, LTO_CLANG
from kallsymsd.core.incremental import Change
from kallsymsd.core.native.alignment import align
from kallsymsd.core.native.replay import Replay
from kallsymsd.core.native.strings import Strings
from kallsymsd.core.symbols import NO_PERCPU, SymbolTable
from kallsymsd.core.tables import Tables
from tests.reference.tokens import compress

#: A dialect with name order and an LTO cut; the token table knows of none.
DIALECT = BY_NAME["v6.6"]


def symbols_of(strings: list[bytes]) -> SymbolTable:
    """A symbol table of these strings, in this order."""
    return SymbolTable(
        bytes(8 * len(strings)),
        Strings.of(strings),
        text_address=0,
        percpu=NO_PERCPU,
        origin=None,
        warnings=b"",
    )


def cold(strings: list[bytes]) -> Tables:
    """Tables without memory."""
    return pipeline.tabulate(symbols_of(strings), DIALECT, LTO_CLANG)


def update(old: Tables, strings: list[bytes]) -> tuple[Tables, Change]:
    """Tables made from ``old``, whatever number of strings changed."""
    updated = incremental.changed(old, symbols_of(strings), most=1 << 30)
    assert updated is not None
    return updated


def outcome(old: Tables, strings: list[bytes]) -> str:
    """How far the replay of ``old``'s steps comes for these strings."""
    new = Strings.of(strings)
    room = len(new.data) // incremental.TAKEN_SHARE
    replay = Replay.start(old.tokens, align(old.symbols.strings, new), old.codes, room)
    if replay is None:
        return "other bytes"
    if replay.stuck:
        return "stuck after insertion" if replay.inserted else "stuck"
    if replay.regrouped:
        return "regrouped"
    if replay.inserted:
        return "inserted"
    if replay.taken:
        return "moved after taking strings out"
    if replay.rename != bytes(range(256)):
        return "tokens changed codes"
    return "stands" if replay.table.pairs == old.tokens.pairs else "shorter"


def assert_same(made: Tables, right: Tables) -> None:
    """Everything that is written, and the history, on which later updates rest."""
    assert made.tokens.pairs == right.tokens.pairs
    assert made.tokens.dump() == right.tokens.dump()
    for column in ("codes", "names", "markers", "expansions", "by_name", "seqs_of_names"):
        assert getattr(made, column) == getattr(right, column), column


def assert_as_specified(made: Tables, strings: list[bytes]) -> None:
    """The token table and the names are those of the readable specification."""
    right = compress(strings)
    assert made.expansions == right.expansions
    zero = made.tokens.zero_pair
    written = made.codes.data[:-1].split(b"\0") if strings else []
    if zero:
        written = [codes.replace(bytes(zero), b"\0") for codes in written]
    assert written == right.compressed
