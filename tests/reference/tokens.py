# SPDX-License-Identifier: GPL-2.0-only
"""The token table of kallsyms, as a readable specification.

kallsyms shortens names by byte pair encoding. Each symbol is a byte string: its type letter and its name.
A byte value that occurs in no string is free to stand for a pair of bytes. From code 255 down to 0, each
free code takes the pair that is most frequent at that moment, and every occurrence of the pair becomes that
code. Since codes are bytes like any others, later pairs may contain earlier codes.

What makes the result exact, not just good:

- The count ("profit") of a pair is the number of positions where it stands, overlapping ones included:
  "aaa" has two pairs "aa".
- Among equally frequent pairs the one with the smaller second byte wins, then the one with the smaller
  first byte. (The kernel's array of counts has the index ``first + 256 * second``.)
- When no pair is left, the remaining codes stay free; their entry in the table is empty.
- Replacement goes from left to right and does not look at what it has just replaced: "aaa" becomes "Xa".

The result depends on the bag of strings only, neither on their order nor on addresses.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

CODES = 256


@dataclass(frozen=True)
class Tokens:
    """What the algorithm yields.

    expansions  for each of the 256 codes the text it stands for; empty for a code that stayed free
    compressed  the strings in the order given, each rewritten in codes
    """

    expansions: list[bytes]
    compressed: list[bytes]


def pairs_of(string: bytes) -> Counter[tuple[int, int]]:
    """How often each pair of neighbours stands in ``string``."""
    return Counter(pairwise(string))


def best_pair(profit: Counter[tuple[int, int]]) -> tuple[int, int] | None:
    """The pair that the next token replaces, or None if there is none left."""
    first_in_order = min(profit, key=lambda pair: (-profit[pair], pair[1], pair[0]), default=None)
    return first_in_order if first_in_order and profit[first_in_order] > 0 else None


def compress(strings: Iterable[bytes]) -> Tokens:
    """Make the token table for ``strings`` and rewrite them with it."""
    compressed = list(strings)
    literals = set(b"".join(compressed))
    profit: Counter[tuple[int, int]] = Counter()
    for string in compressed:
        profit.update(pairs_of(string))

    slots: dict[int, bytes] = {code: bytes((code,)) for code in literals}
    for code in range(CODES - 1, -1, -1):
        if code in literals:
            continue
        best = best_pair(profit)
        if best is None:
            break
        slots[code] = bytes(best)
        for index, string in enumerate(compressed):
            if slots[code] in string:
                profit.subtract(pairs_of(string))
                compressed[index] = string.replace(slots[code], bytes((code,)))
                profit.update(pairs_of(compressed[index]))

    def expand(code: int) -> bytes:
        pair_or_literal = slots.get(code, b"")
        if code in literals or not pair_or_literal:
            return pair_or_literal
        return b"".join(expand(part) for part in pair_or_literal)

    return Tokens([expand(code) for code in range(CODES)], compressed)
