# SPDX-License-Identifier: GPL-2.0-only
"""What the 256 codes of a token table stand for, and the two kernel tables that say so."""

from kallsymsd.core.native.tokentable import TokenTable

CODES = 256


def expansions(table: TokenTable) -> list[bytes]:
    """The text of each code: a byte that occurs in the strings, a token, or empty."""
    texts = [b""] * CODES
    for literal in table.literals:
        texts[literal] = bytes((literal,))
    # A token's parts are literals and earlier tokens.
    for code, first, second in table.pairs:
        texts[code] = texts[first] + texts[second]
    return texts


def token_index(texts: list[bytes]) -> list[int]:
    """Offset of each text in the token table, where a zero follows each text. u16, wrapping as in gas."""
    index = []
    offset = 0
    for text in texts:
        index.append(offset & 0xFFFF)
        offset += len(text) + 1
    return index
