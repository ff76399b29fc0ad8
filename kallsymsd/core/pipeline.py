# SPDX-License-Identifier: GPL-2.0-only
"""All stages in sequence, without state from earlier runs."""

from collections.abc import Callable

from kallsymsd.core import sysmap, tables
from kallsymsd.core.dialects import Dialect
from kallsymsd.core.native.tokentable import TokenTable
from kallsymsd.core.symbols import SymbolTable
from kallsymsd.core.tables import Tables


def build(
    text: bytes, dialect: Dialect, options: int, lap: Callable[[str], None] = lambda _stage: None
) -> Tables:
    """The tables that ``dialect``'s tool makes from a map with ``options`` (bits of kallsymsd.core.dialects).

    ``lap`` is called with the name of each finished stage, so that a caller with a clock can time the stages.
    Raises InputError if that tool would exit with status 1.
    """
    symbols = sysmap.read(text, dialect, options)
    lap("parse")
    return tabulate(symbols, dialect, options, lap)


def tabulate(
    symbols: SymbolTable, dialect: Dialect, options: int, lap: Callable[[str], None] = lambda _stage: None
) -> Tables:
    """What build() does after it has read a map: the tables of a symbol table."""
    order = tables.by_name(symbols, dialect, options)
    lap("sort")
    token_table, codes = TokenTable.build(symbols.strings)
    lap("tokens")
    made = Tables(dialect, options, symbols, token_table, codes, order)
    lap("encode")
    return made
