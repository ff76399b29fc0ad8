# SPDX-License-Identifier: GPL-2.0-only
"""The native token pass, in each instruction set, against the readable specification."""

from hypothesis import event, example, given

from kallsymsd.core import tokens
from kallsymsd.core.native import simd
from kallsymsd.core.native.strings import Strings
from kallsymsd.core.native.tokentable import TokenTable
from tests import strategies
from tests.reference.tokens import compress

#: As many bytes as there are codes, but for 0: one code is left, and 0 is the only token.
ALL_BUT_ONE = bytes(range(1, 256))


@given(strings=strategies.bags_of_strings())
@example(strings=[b"aaa"])
@example(strings=[b"aaaa", b"aa"])
@example(strings=[b"abab", b"ab", b"ba"])
@example(strings=[b"abababab" * 9, b"xababy", b"ba"])
@example(strings=[b"a" * 64, b"a" * 65, b"a" * 128 + b"b"])
@example(strings=[b"x" * 63 + b"ab", b"x" * 64 + b"ab"])
@example(strings=[b"T"])
@example(strings=[ALL_BUT_ONE])
@example(strings=[ALL_BUT_ONE, b"abab", b"ab"])
@example(strings=[ALL_BUT_ONE[:-1], b"abab" * 40])
def test_the_token_table_and_the_codes_are_those_of_the_specification(
    variant: str, strings: list[bytes]
) -> None:
    assert simd.variant() == variant
    expected = compress(strings)
    table, codes = TokenTable.build(Strings.of(strings))
    event("code 0 is a token" if table.zero_pair else "code 0 stays free")
    assert tokens.expansions(table) == expected.expansions
    # The library applies the token of code 0 only when it writes the names.
    zero = bytes(table.zero_pair) if table.zero_pair else None
    written = [string.replace(zero, b"\0") if zero else string for string in codes[:-1].split(b"\0")]
    assert written == expected.compressed


def test_code_0_is_a_token_when_all_others_are_taken() -> None:
    table, _ = TokenTable.build(Strings.of([ALL_BUT_ONE, b"abab"]))
    assert table.pairs == [(0, ord("a"), ord("b"))]
    assert table.zero_pair == (ord("a"), ord("b"))


def test_among_equal_pairs_the_smaller_second_byte_wins_then_the_smaller_first() -> None:
    table, _ = TokenTable.build(Strings.of([b"za", b"ya", b"ab"]))
    assert table.pairs == [(255, ord("y"), ord("a")), (254, ord("z"), ord("a")), (253, ord("a"), ord("b"))]


def test_no_pair_left_leaves_the_remaining_codes_free() -> None:
    table, codes = TokenTable.build(Strings.of([b"ab", b"c"]))
    assert table.pairs == [(255, ord("a"), ord("b"))]
    assert codes == b"\xff\0c\0"


def test_the_order_of_the_strings_does_not_matter() -> None:
    strings = [b"T%d_function.llvm.%d" % (number % 17, number) for number in range(200)]
    forward, _ = TokenTable.build(Strings.of(strings))
    backward, _ = TokenTable.build(Strings.of(strings[::-1]))
    assert forward.pairs == backward.pairs
