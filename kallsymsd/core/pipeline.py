# SPDX-License-Identifier: GPL-2.0-only
"""All stages in a row, without memory of earlier runs."""

from kallsymsd.core import sysmap, tables
from kallsymsd.core._native import TokenTable
from kallsymsd.core.dialects import Dialect
from kallsymsd.core.tables import Tables


def build(text: bytes, dialect: Dialect, options: int) -> Tables:
    """The tables that ``dialect``'s tool makes of a map with ``options`` (bits of kallsymsd.core.dialects).

    Raises InputError where that tool exits with status 1.
    """
    symbols = sysmap.read(text, dialect, options)
    token_table, codes = TokenTable.build(symbols.strings)
    return Tables(dialect, options, symbols, token_table, codes, tables.by_name(symbols, dialect, options))
