# SPDX-License-Identifier: GPL-2.0-only
"""Chains of updates of a token table: table, codes and history stay those of a cold run."""

import random
from collections import Counter

import pytest
from hypothesis import event, example, given
from hypothesis import strategies as st

from kallsymsd.core import incremental
from kallsymsd.core.native import simd
from kallsymsd.core.native.tokentable import TokenTable
from tests import strategies
from tests.incremental import chain
from tests.strategies import HOSTILE, spelled

ALL = bytes(range(1, 256))

#: Alphabets of an update's own strings: a letter, few letters, wide bytes, all of them.
ALPHABETS = (b"a", b"ab", b"aab_", b"abcdefgh_.", b"\x80\xff\xc3a", b"\x01\xff", HOSTILE, ALL)

#: A bag of strings for each map.
Chain = list[list[bytes]]


def _strings() -> st.SearchStrategy[bytes]:
    """Strings of one alphabet, runs of one letter, single bytes, and texts that overlap each other."""
    runs = st.builds(
        lambda letter, size: bytes((letter,)) * size, st.sampled_from(b"ab\xff"), st.integers(1, 140)
    )
    texts = st.sampled_from(
        (b"a", b"b", b"abd", b"cab", b"cdb", b"aaa", b"aaaa", b"abab", b"x" * 63 + b"ab", ALL)
    )
    return st.one_of(*(spelled(alphabet, 1, 20) for alphabet in ALPHABETS), runs, texts)


@st.composite
def _chains(draw: st.DrawFn) -> Chain:
    """Up to seven bags, most of one alphabet that stays, so that tokens tie and move."""
    letters = draw(st.sampled_from(ALPHABETS))
    same = spelled(letters, 1, 16)
    if draw(st.integers(0, 3)):
        # Has every letter, and is never removed.
        anchor, strings, coming = [letters], draw(st.lists(same, max_size=30)), st.one_of(same, same)
    else:
        anchor, strings, coming = [], draw(strategies.bags_of_strings()), st.one_of(same, _strings())
    bags = [anchor + [string for string in strings if string]]
    for _ in range(draw(st.integers(1, 6))):
        rng = random.Random(draw(st.integers(0, 1 << 32)))
        stay = bags[-1][len(anchor) :]
        for _ in range(min(len(stay), draw(st.sampled_from((0, 1, 1, 2, 5, 1000))))):
            stay.pop(rng.randrange(len(stay)))
        for string in draw(st.lists(coming, max_size=4)):
            stay.insert(rng.randint(0, len(stay)), string)
        if rng.random() < 0.2:
            rng.shuffle(stay)
        bags.append(anchor + stay)
    return bags


@pytest.fixture(autouse=True)
def _share(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small tables: all strings may be taken out unless a test says otherwise, and then until it ends."""
    monkeypatch.setattr(incremental, "TAKEN_SHARE", 1)


def _follow(bags: Chain) -> Counter[str]:
    """Update from bag to bag, compare after each; how often each outcome came."""
    outcomes: Counter[str] = Counter()
    tables = chain.cold(bags[0])
    for strings in bags[1:]:
        outcomes[chain.outcome(tables, strings)] += 1
        before = tables
        tables, change = chain.update(tables, strings)
        right = chain.cold(strings)
        chain.assert_same(tables, right)
        assert change.steps == len(right.tokens.pairs)
        front = [old == new for old, new in zip(before.tokens.pairs, right.tokens.pairs, strict=False)]
        common = front.index(False) if False in front else len(front)
        assert change.kept == common or before.tokens.literals != right.tokens.literals
    return outcomes


# Corners of the algorithm, each as a chain of bags.
FULL = [ALL, b"abab"]  # no code but 0 is left
NEARLY_FULL = [ALL[:-1], b"abab" * 9, b"cdcd" * 9]  # one code, then code 0
FEW = [ALL[:-2]]  # two codes, then code 0
OVERLAP = {
    "behind": ([*FEW, *[b"ab"] * 5, *[b"bd"] * 4, b"abd"], [b"bd"] * 3),
    "in front": ([*FEW, *[b"ab"] * 5, *[b"ca"] * 4, b"cab"], [b"ca"] * 3),
    "on both sides": ([*FEW, *[b"ab"] * 5, *[b"ba"] * 4, b"xababx"], [b"ba"] * 4),
    "in a run": ([*FEW, *[b"ab"] * 5, *[b"aa"] * 2, b"aaab"], [b"aa"] * 4),
}
# First (f, m), then (x, that), or (x, f), then (that, m); and what is not both.
NESTED = [*FEW, b"xfm", b"xfmxfm", b"bxfmb", b"fxfmx"]
CORNERS: dict[str, Chain] = {
    "from nothing and back": [[], [b"abab"], [], [b"abab"]],
    "no pair at all": [[b"T"], [b"T", b"T"], [b"T"]],
    "the table ends early and grows again": [
        [b"abcd"],
        [b"a", b"b", b"c", b"d"],
        [b"abcd"],
        [b"abcd", b"dcba"],
    ],
    "code 0 is the only token": [FULL, [*FULL, b"cdcdcd"], FULL, [ALL]],
    "code 0 is the last token": [NEARLY_FULL, [*NEARLY_FULL, b"cd"], [*NEARLY_FULL, b"ef" * 50], NEARLY_FULL],
    "code 0 comes and goes": [[ALL], [ALL[:-1]], [ALL], [ALL[1:]], [b"a"]],
    "no code is left but none is needed": [[ALL[:200]], [ALL[:200], b"aa"], [ALL]],
    "equal pairs change places": [
        [b"ab", b"cd"],
        [b"ab", b"cd", b"cd"],
        [b"ab", b"ab", b"cd"],
        [b"ab", b"cd"],
    ],
    "neighbours change places": [[b"abcd" * 3, b"ab"], [b"abcd" * 3, b"cd", b"cd"], [b"abcd" * 3, b"ab"]],
    "overlapping pairs": [[b"abd", b"ab"], [b"abd", b"bd"], [b"cab", b"ca"], [b"cab", b"ab"]],
    **{
        f"pairs that overlap {where} change places": [bag, bag + more, bag]
        for where, (bag, more) in OVERLAP.items()
    },
    "three codes are grouped otherwise": [
        NESTED,
        [*NESTED, b"fm"],
        [*NESTED, b"fm", b"xf", b"bxfb"],
        [*NESTED, b"fm", b"xf", b"bxfb", b"fm", b"bfmb"],
        NESTED,
    ],
    "a token's own parts come first": [[b"abc" * 5], [b"abc" * 5, b"bc" * 9], [b"abc" * 5, b"ab" * 9]],
    "runs of one letter": [[b"a" * 64], [b"a" * 65], [b"a" * 65, b"a" * 3], [b"a" * 3], [b"aa"], [b"a"]],
    "duplicates are counted": [[b"ab"] * 3 + [b"cd"] * 2, [b"ab"] + [b"cd"] * 2, [b"ab"] * 2 + [b"cd"] * 2],
    "an alphabet that changes": [[b"ab", b"cd"], [b"ab", b"ce"], [b"ab"], [b"\xffb", b"ab"], [b"\xff\xfe"]],
    "only the order changes": [[b"ab", b"cd", b"ab"], [b"cd", b"ab", b"ab"], [b"ab", b"ab", b"cd"]],
    "names of many codes": [[ALL[:250] * 2], [ALL[:250] * 2, b"ab"], [ALL[:250][::-1] * 2], [ALL[:250] * 2]],
}


@pytest.mark.parametrize("name", CORNERS)
def test_the_corners_of_the_algorithm_come_out_as_specified(variant: str, name: str) -> None:
    assert simd.variant() == variant
    _follow(CORNERS[name])
    tables = chain.cold(CORNERS[name][0])
    for strings in CORNERS[name][1:]:
        tables, _ = chain.update(tables, strings)
        chain.assert_as_specified(tables, strings)


@given(bags=_chains(), share=st.sampled_from((1, 1, 4, 1000)))
@example(bags=[[b"aaa"], [b"aaa", b"aaaa"], [b"aa"]], share=1)
def test_a_chain_of_updates_stays_equal_to_cold_runs(variant: str, bags: Chain, share: int) -> None:
    assert simd.variant() == variant
    incremental.TAKEN_SHARE = share
    for kind in _follow(bags):
        event(kind)


@given(bags=_chains())
def test_a_chain_of_updates_ends_where_the_specification_says(bags: Chain) -> None:
    tables = chain.cold(bags[0])
    for strings in bags[1:]:
        tables, _ = chain.update(tables, strings)
    chain.assert_as_specified(tables, bags[-1])


def _vocabulary(seed: int) -> Chain:
    """A chain like a kernel's: thousands of pairs, few letters, one or two names change each time.

    A string of nearly all bytes leaves 30 codes: their tokens are frequent, and the counts of some are close.
    """
    rng = random.Random(seed)
    words = [
        b"".join(rng.choices([b"a", b"e", b"i", b"n", b"r", b"t", b"d"], k=rng.randint(2, 5)))
        for _ in range(40)
    ]
    strings = [ALL[:225]] + [b"t" + b"_".join(rng.choices(words, k=rng.randint(1, 4))) for _ in range(300)]
    bags = [strings]
    for _ in range(40):
        changed = list(bags[-1])
        for _ in range(rng.randint(1, 3)):
            changed[rng.randrange(1, len(changed))] = b"t" + b"_".join(
                rng.choices(words, k=rng.randint(1, 4))
            )
        bags.append(changed)
    return bags


@pytest.mark.parametrize("where", OVERLAP)
def test_strings_in_which_tokens_that_change_places_overlap_are_taken_out(where: str) -> None:
    bag, more = OVERLAP[where]
    assert chain.outcome(chain.cold(bag), bag + more) == "moved after taking strings out"


def test_tokens_of_the_same_three_codes_are_regrouped() -> None:
    assert _follow(CORNERS["three codes are grouped otherwise"]) == {"regrouped": 4}


@pytest.mark.parametrize("share", [1, 4, 1000])
def test_every_way_to_update_a_table_is_taken(share: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(incremental, "TAKEN_SHARE", share)
    outcomes: Counter[str] = Counter()
    for seed in range(2):
        outcomes += _follow(_vocabulary(seed))
    for bags in CORNERS.values():
        outcomes += _follow(bags)
    expected = {"stands", "tokens changed codes", "shorter", "other bytes"}
    # With little room the strings that would have to be taken out are too many.
    expected |= {
        1: {"inserted", "moved after taking strings out", "regrouped"},
        4: {"inserted", "moved after taking strings out", "regrouped", "stuck", "stuck after insertion"},
        1000: {"inserted", "regrouped", "stuck"},
    }[share]
    assert set(outcomes) == expected
    # What a kernel's map is for: tokens stand or change places, the strings stay untouched.
    assert outcomes["tokens changed codes"] >= 10


def test_a_table_that_was_stored_can_be_updated_like_one_that_was_not() -> None:
    tables = chain.cold(NEARLY_FULL)
    loaded = TokenTable.load(tables.tokens.dump())
    assert loaded.dump() == tables.tokens.dump()
    tables.tokens = loaded
    updated, _ = chain.update(tables, [*NEARLY_FULL, b"cd", b"a"])
    chain.assert_same(updated, chain.cold([*NEARLY_FULL, b"cd", b"a"]))


@pytest.mark.parametrize("size", [0, 3, 4, 1000])
def test_bytes_that_are_no_table_are_refused(size: int) -> None:
    with pytest.raises(ValueError, match="not a token table"):
        TokenTable.load(bytes(size))
