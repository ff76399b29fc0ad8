# SPDX-License-Identifier: GPL-2.0-only
"""The order by name against sorted(), for names that agree in long beginnings, and in any number of them."""

import random
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from kallsymsd.core.native.nameorder import name_order
from kallsymsd.core.native.strings import Strings

#: Around the numbers from which names are sorted in another way.
SIZES = (0, 1, 2, 15, 16, 17, 18, 127, 128, 129, 1023, 1024, 1025, 1400)
CUTS = (b"", b".", b"..", b".llvm.")
#: The ends of what a byte can be, what cuts are made of, and few others, so that names agree often.
ALPHABETS = (b"a", b"ab", b"\x01\x7f\x80\xff", b".a", b".lvm", bytes(range(1, 256)))


@st.composite
def strings(draw: st.DrawFn) -> list[bytes]:
    """Type letters and names."""
    rng = random.Random(draw(st.integers(0, 1 << 64)))
    count = draw(st.sampled_from(SIZES))
    alphabet = draw(st.sampled_from(ALPHABETS))
    longest = draw(st.sampled_from((1, 3, 9, 30)))
    beginnings = [_text(rng, alphabet, rng.randint(0, 40)) for _ in range(draw(st.integers(1, 4)))]
    return [
        rng.choice((b"t", b".")) + rng.choice(beginnings) + _text(rng, alphabet, rng.randint(0, longest))
        for _ in range(count)
    ]


def _text(rng: random.Random, alphabet: bytes, size: int) -> bytes:
    return bytes(rng.choices(alphabet, k=size))


#: Each one is the beginning of the next, up to the longest that there are.
CHAIN = [b"t" + b"a" * length for length in range(511, -1, -1)]


@given(strings=strings(), cut=st.sampled_from(CUTS))
@example(strings=CHAIN, cut=b"")
@example(strings=CHAIN * 3, cut=b"aaa")
@example(strings=[b"t" + b"a" * 511] * 1100, cut=b"")
@example(strings=[b"..a", b"..", b".", b".a."], cut=b".")
@example(strings=[b".llvm.b", b"..llvm.a", b".llvm.a.llvm.b.llvm."], cut=b".llvm.")
def test_names_are_in_the_order_of_their_bytes_up_to_the_cut_and_equal_ones_as_they_came(
    strings: list[bytes], cut: bytes
) -> None:
    def name(at: int) -> bytes:
        return strings[at][1:].split(cut)[0] if cut else strings[at][1:]

    assert _order(strings, cut) == sorted(range(len(strings)), key=name)


def _order(strings: list[bytes], cut: bytes) -> list[int]:
    order = name_order(Strings.of(strings), cut)
    return memoryview(order).cast("I").tolist()


#: Far longer than a map's names, as those of an ELF file may be.
@pytest.mark.parametrize(
    "strings", [[b"t" + b"a" * 65535] * 16, [b"t" + b"a" * n for n in range(4000, 0, -1)]]
)
def test_names_that_agree_in_long_beginnings_take_little_stack(strings: list[bytes]) -> None:
    before = threading.stack_size(256 << 10)
    try:
        with ThreadPoolExecutor(1) as pool:
            order = pool.submit(_order, strings, b"").result()
    finally:
        threading.stack_size(before)
    assert order == sorted(range(len(strings)), key=lambda at: strings[at][1:])
