# SPDX-License-Identifier: GPL-2.0-only
"""Which symbols of a new table are those of the old one, and the name order made from the old one."""

import random
import struct
from collections import Counter

import pytest
from hypothesis import event, example, given
from hypothesis import strategies as st

from kallsymsd.core import incremental, pipeline
from kallsymsd.core.dialects import BY_NAME, LTO_CLANG
from kallsymsd.core.native import simd
from kallsymsd.core.native.alignment import Alignment, align
from kallsymsd.core.native.carryover import merge_name_order, splice
from kallsymsd.core.native.nameorder import name_order
from kallsymsd.core.native.strings import Strings
from tests.incremental.chain import symbols_of
from tests.strategies import spelled

NEW = 0xFFFFFFFF

#: Tails around the two cuts that kernels have had.
TAILS = (b"", b"", b"", b".llvm.1", b".llvm.22", b".llvm.", b".llvm", b".ll", b".cold", b".", b"..llvm.1")


def _names() -> st.SearchStrategy[bytes]:
    """Strings of which many are equal, are beginnings of each other, or are equal up to a cut."""
    short = st.builds(lambda head, tail: head + tail, spelled(b"Tab", 1, 3), st.sampled_from(TAILS))
    long = st.builds(
        lambda length, tail: b"t" + b"abcdefgh" * 3 + b"i" * length + tail,
        st.integers(0, 9),
        st.sampled_from(TAILS),
    )
    return st.one_of(short, short, long, spelled(b"T\xff\x01", 1, 10))


@st.composite
def _pairs(draw: st.DrawFn) -> tuple[list[bytes], list[bytes]]:
    """An old and a new table: edited here and there, blocks moved, or nothing to do with each other."""
    old = draw(st.lists(_names(), max_size=60))
    kind = draw(st.sampled_from(("edited", "edited", "moved", "shuffled", "other")))
    rng = random.Random(draw(st.integers(0, 1 << 32)))
    event(kind)
    if kind == "other":
        return old, draw(st.lists(_names(), max_size=60))
    new = [string for string in old if rng.random() < 0.9]
    for string in draw(st.lists(_names(), max_size=6)):
        new.insert(rng.randint(0, len(new)), string)
    if kind == "shuffled":
        rng.shuffle(new)
    if kind == "moved":
        first, last = sorted((rng.randint(0, len(new)), rng.randint(0, len(new))))
        block = new[first:last]
        del new[first:last]
        at = rng.randint(0, len(new))
        new[at:at] = block
    return old, new


def _numbers(column: bytes) -> list[int]:
    return list(struct.unpack(f"={len(column) // 4}I", column))


def _align(old: list[bytes], new: list[bytes]) -> Alignment:
    return align(Strings.of(old), Strings.of(new))


#: Neither the nearest agreement nor the 48 symbols that are looked ahead must matter.
FAR = [b"t%d" % number for number in range(200)]


@given(pair=_pairs())
@example(pair=([], []))
@example(pair=([], [b"T", b"T"]))
@example(pair=([b"T", b"T"], []))
@example(pair=(FAR, FAR[100:] + FAR[:100]))
@example(pair=(FAR, FAR[::-1]))
@example(pair=(FAR, FAR[:20] + FAR[140:]))
@example(pair=([b"T"] * 100, [b"T"] * 60))
@example(pair=([b"T", b"a"] * 60, [b"a"] * 60 + [b"T"] * 61))
def test_each_symbol_has_at_most_one_partner_an_equal_one_and_none_is_left_over_that_could_have_one(
    pair: tuple[list[bytes], list[bytes]],
) -> None:
    old, new = pair
    pairs = _align(old, new)
    source, removed, added = (_numbers(column) for column in (pairs.source, pairs.removed, pairs.added))
    partners = [origin for origin in source if origin != NEW]
    assert len(source) == len(new)
    assert all(old[origin] == new[at] for at, origin in enumerate(source) if origin != NEW)
    assert len(set(partners)) == len(partners)
    assert added == [at for at, origin in enumerate(source) if origin == NEW]
    assert sorted(removed) == sorted(set(range(len(old))) - set(partners))
    assert not {old[at] for at in removed} & {new[at] for at in added}
    # So what is left is the difference of the two bags.
    assert Counter(new[at] for at in added) == Counter(new) - Counter(old)


def _by_name(strings: list[bytes], cut: bytes) -> list[int]:
    """Positions by name without type up to the cut, then by position."""

    def key(at: int) -> bytes:
        name = strings[at][1:]
        return name.split(cut)[0] if cut else name

    return sorted(range(len(strings)), key=key)


@given(pair=_pairs(), cut=st.sampled_from((b"", b".", b".llvm.")))
@example(pair=([b"ta.llvm.1", b"ta.llvm.2"], [b"ta.llvm.2", b"ta.llvm.1"]), cut=b".llvm.")
@example(pair=([b"ta", b"Ta", b"ta"], [b"ta", b"ta", b"Ta"]), cut=b"")
@example(pair=([b"T"] * 20, [b"t"] + [b"T"] * 20 + [b"d"]), cut=b"")
@example(pair=([b"ta", b"tb"], []), cut=b"")
@example(pair=([], [b"tb", b"ta"]), cut=b".")
def test_the_merged_name_order_is_that_of_sorting(pair: tuple[list[bytes], list[bytes]], cut: bytes) -> None:
    old, new = pair
    pairs = _align(old, new)
    old_order = struct.pack(f"={len(old)}I", *_by_name(old, cut))
    assert _numbers(name_order(pairs.old, cut)) == _by_name(old, cut)
    merged = merge_name_order(old_order, pairs, cut)
    assert _numbers(merged) == _by_name(new, cut)


@pytest.mark.parametrize(
    ("dialect", "options", "right"),
    [("v6.6", LTO_CLANG, [0, 1, 3, 2]), ("v6.6", 0, [1, 0, 3, 2]), ("v6.2", LTO_CLANG, [0, 1, 2, 3])],
)
def test_an_update_cuts_names_as_dialect_and_options_say(
    dialect: str, options: int, right: list[int]
) -> None:
    # Two are equal up to ".llvm.", two more up to "."; each pair would sort the other way by what is behind.
    new = [b"ta.llvm.9", b"ta.llvm.1", b"tb.x", b"tb"]
    old = pipeline.tabulate(symbols_of(new[:1]), BY_NAME[dialect], options)
    updated = incremental.changed(old, symbols_of(new), most=100)
    assert updated is not None
    assert _numbers(updated[0].by_name) == right


@given(pair=_pairs())
def test_spliced_codes_are_the_old_ones_of_partners_and_the_new_ones_of_the_others(
    pair: tuple[list[bytes], list[bytes]],
) -> None:
    # Codes that tell where they come from; a rename that is seen.
    old, new = pair
    before = Strings.of([b"o" + string for string in old])
    pairs = _align(old, new)
    fresh = b"".join(b"n" + new[at] + b"\0" for at in _numbers(pairs.added))
    rename = bytes.maketrans(b"noab", b"onba")
    spliced = splice(before, pairs.source, fresh, rename)
    letters = [b"n" if origin == NEW else b"o" for origin in _numbers(pairs.source)]
    right = b"".join(letter + string + b"\0" for letter, string in zip(letters, new, strict=True))
    assert spliced == right.translate(rename)


@pytest.mark.parametrize("variant", ["portable", "sse2", "avx2"])
@given(
    lengths=st.lists(st.integers(0, 400), max_size=8),
    moved=st.one_of(st.integers(0, 4), st.integers(0, 255)),
    neighbours=st.booleans(),
    seed=st.integers(0, 1 << 32),
)
def test_all_codes_get_the_numbers_that_they_have_now(
    variant: str, lengths: list[int], moved: int, seed: int, *, neighbours: bool
) -> None:
    rng = random.Random(seed)
    codes = range(1, 256)
    first = rng.randrange(1, 256 - moved) if moved < 255 else 1
    old = list(range(first, first + moved)) if neighbours else rng.sample(codes, moved)
    rename = bytes.maketrans(bytes(old), bytes(rng.sample(old, moved)))
    before = Strings.of([bytes(rng.choices(codes, k=length)) for length in lengths])
    everything = struct.pack(f"={len(lengths)}I", *range(len(lengths)))
    chosen = simd.variant()
    if not simd.choose_variant(variant.encode()):
        pytest.skip(f"this machine has no {variant}")
    try:
        spliced = splice(before, everything, b"", rename)
    finally:
        simd.choose_variant(chosen.encode())
    assert spliced == before.data.translate(rename)
