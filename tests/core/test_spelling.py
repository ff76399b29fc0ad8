# SPDX-License-Identifier: GPL-2.0-only
"""Codes to names: lengths, markers and the token of code 0, as the format says."""

import random
import struct

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from kallsymsd.core.native import simd
from kallsymsd.core.native.encoding import encode_names

#: The native loop does so many codes at a time.
PART = 4096


def written(
    strings: list[bytes], zero: tuple[int, int] | None, marker_shift: int
) -> tuple[bytes, bytes, bytes]:
    """Names, markers, and where each string begins among the codes."""
    names = b""
    markers, starts = [], [0]
    for number, string in enumerate(strings):
        if number % (1 << marker_shift) == 0:
            markers.append(len(names))
        spelled = string.replace(bytes(zero), b"\0") if zero else string
        length = len(spelled)
        names += bytes((length,) if length < 128 else (length & 127 | 128, length >> 7)) + spelled
        starts.append(starts[-1] + len(string) + 1)
    return names, struct.pack(f"={len(markers)}I", *markers), struct.pack(f"={len(starts)}I", *starts)


def check(strings: list[bytes], zero: tuple[int, int] | None, marker_shift: int) -> None:
    """Ours against what the format says."""
    codes = b"".join(string + b"\0" for string in strings)
    names, markers, made = encode_names(codes, len(strings), zero, marker_shift)
    assert (names, markers, made.starts) == written(strings, zero, marker_shift)
    assert made.data == codes


LETTERS = st.sampled_from((b"a", b"ab", b"aab", b"abcdefgh", bytes(range(1, 256))))
LENGTHS = st.one_of(st.integers(0, 30), st.integers(0, 3), st.integers(60, 70), st.integers(120, 600))
ZEROS = st.sampled_from((None, (97, 97), (97, 98), (98, 97), (255, 1)))


@given(
    letters=LETTERS,
    lengths=st.lists(LENGTHS, max_size=40),
    times=st.sampled_from((1, 1, 1, 7, 60)),
    zero=ZEROS,
    marker_shift=st.sampled_from((4, 8)),
    seed=st.integers(0, 1 << 32),
)
@example(letters=b"a", lengths=[63, 64, 65], times=60, zero=(97, 97), marker_shift=8, seed=0)
@example(letters=b"a", lengths=[0], times=60, zero=None, marker_shift=4, seed=0)
@example(letters=b"a", lengths=[PART - 3, 2, 1, 0], times=1, zero=(97, 97), marker_shift=4, seed=0)
@example(letters=b"a", lengths=[600], times=60, zero=None, marker_shift=8, seed=0)
def test_names_come_out_as_the_format_says(
    variant: str,
    letters: bytes,
    lengths: list[int],
    times: int,
    zero: tuple[int, int] | None,
    marker_shift: int,
    seed: int,
) -> None:
    assert simd.variant() == variant
    rng = random.Random(seed)
    strings = [bytes(rng.choices(letters, k=length)) for length in lengths * times]
    check(strings, zero, marker_shift)


@pytest.mark.parametrize("gap", range(PART - 66, PART + 4))
def test_a_pair_anywhere_about_the_end_of_a_part_is_found(variant: str, gap: int) -> None:
    assert simd.variant() == variant
    short = [b"x" * 15] * (gap // 16)
    rest = b"y" * (gap % 16)
    for pair in (b"ab", b"aab", b"abab"):
        check([*short, rest + pair, pair, b"", rest], (97, 98), 8)
    check([*short, rest + b"a" * 9, b"a" * 200], (97, 97), 8)
