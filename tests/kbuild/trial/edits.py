# SPDX-License-Identifier: GPL-2.0-only
"""Small edits of a text, as people who change a kernel make them: a token more, or less, or another."""

import random
import re

_TOKEN = re.compile(rb'"(?:[^"\\\n]|\\.)*"|\w+|[^\w\s]+|\s+')
_SWAPS = dict(
    pair.split(b" ")
    for pair in (
        *(
            b"< <=",
            b"<= <",
            b"> >=",
            b">= >",
            b"== !=",
            b"!= ==",
            b"&& ||",
            b"|| &&",
            b"+ -",
            b"- +",
            b"++ --",
        ),
        *(b"true false", b"false true", b"= +=", b"! !!"),
    )
)
_NUMBER = re.compile(rb"(?:0[xX][0-9a-fA-F]+|\d+)")


def edited(text: bytes, chance: random.Random) -> bytes:
    """``text`` with one edit, never the same text."""
    tokens = _TOKEN.findall(text)
    places = [at for at, token in enumerate(tokens) if not token.isspace()]
    while True:
        made = tokens.copy()
        at = chance.choice(places)
        other = tokens[chance.choice(places)]
        match chance.randrange(6):
            case 0:
                del made[at]
            case 1:
                made.insert(at, other)
            case 2:
                made[at] = other
            case 3:
                other_at = chance.choice(places)
                made[at], made[other_at] = made[other_at], made[at]
            case 4:
                made[at] = _nearly(made[at], chance)
            case 5:
                made[at : at + chance.randrange(2, 30)] = []
        if (result := b"".join(made)) != text:
            return result


def _nearly(token: bytes, chance: random.Random) -> bytes:
    """A token that is nearly this one."""
    if _NUMBER.fullmatch(token):
        value = int(token, 8 if token.startswith(b"0") and token.isdigit() else 0)
        return b"%d" % max(0, chance.choice((value + 1, value - 1, value * 2, value // 2, 0)))
    if token in _SWAPS:
        return _SWAPS[token]
    if token.startswith(b'"') and len(token) > 2:
        at = chance.randrange(1, len(token) - 1)
        return token[:at] + chance.choice((b"", b"x", b" ", b"_")) + token[at + 1 :]
    return token + chance.choice((b"x", b" ", b"0"))
