# SPDX-License-Identifier: GPL-2.0-only
"""Maps in which only addresses changed, and those that only look so."""

from dataclasses import dataclass

import pytest
from hypothesis import event, given
from hypothesis import strategies as st

from kallsymsd.core.errors import InputError
from kallsymsd.protocol.wire import ADDRESSES, COLD, INCREMENTAL
from tests import strategies
from tests.core import ours
from tests.incremental.updates import Tree
from tests.reference import tool
from tests.reference.forms import FORMS

ALL = ("all-symbols",)
PERCPU = ("all-symbols", "absolute-percpu")
BASE = ("all-symbols", "base-relative")


@dataclass(frozen=True)
class Pair:
    """Two maps that follow each other; ``made`` is how the tables of the second one come about."""

    made: int
    first: bytes
    second: bytes
    options: tuple[str, ...] = ALL
    dialect: str = "v6.11"


def lines(*texts: str) -> bytes:
    """A map of these lines, each with a newline."""
    return "".join(text + "\n" for text in texts).encode("latin-1")


TEXT = "ffffffff81000000 T _text"
PLAIN = lines(TEXT, "ffffffff81000010 t one", "ffffffff81000020 t two", "ffffffff81000030 d three")
LONG = "g" * 512
CUT = "g" * 2048


def moved(text: bytes, *changes: tuple[str, str]) -> bytes:
    """The map with other digits."""
    for old, new in changes:
        assert len(old) == len(new)
        assert old.encode() in text
        text = text.replace(old.encode(), new.encode())
    return text


def after(before: str, *rest: str) -> bytes:
    """A map of 8 digits that begins with _text and ``before``."""
    return lines("81000000 T _text", before, *rest)


PAIRS = {
    "all behind a function": Pair(ADDRESSES, PLAIN, moved(PLAIN, ("0020 t", "0024 t"), ("0030 d", "0034 d"))),
    "everything": Pair(ADDRESSES, PLAIN, moved(PLAIN, ("ffffffff81", "ffffffff82"))),
    "eight digits": Pair(ADDRESSES, after("81000010 t one"), after("81000018 t one")),
    "eight digits in fscanf": Pair(ADDRESSES, after("81000010 t one"), after("81000018 t one"), BASE, "v6.4"),
    "absolute addresses": Pair(ADDRESSES, PLAIN, moved(PLAIN, ("0010", "0011")), ALL, "v6.1"),
    "distances": Pair(
        ADDRESSES, PLAIN, moved(PLAIN, ("0010", "0011")), ("all-symbols", "pc-relative"), "v7.0"
    ),
    "low halves": Pair(ADDRESSES, PLAIN, moved(PLAIN, ("0010", "0011")), ALL, "v7.3"),
    "only _text, in the middle": Pair(
        ADDRESSES,
        lines("0000000000000010 t a", "0000000000000020 T _text", "0000000000000030 t b"),
        lines("0000000000000010 t a", "0000000000000028 T _text", "0000000000000030 t b"),
    ),
    "the second of two _text": Pair(
        ADDRESSES,
        lines(TEXT, "ffffffff81000010 t a", "ffffffff81000020 T _text"),
        lines(TEXT, "ffffffff81000010 t a", "ffffffff81000024 T _text"),
    ),
    "a _text that is no symbol": Pair(
        ADDRESSES,
        lines("ffffffff81000000 a _text", "ffffffff81000010 t a"),
        lines("ffffffff81000008 a _text", "ffffffff81000010 t a"),
    ),
    "lines that are no symbols": Pair(
        ADDRESSES,
        lines(TEXT, "ffffffff81000010 a gone", "ffffffff81000020 t two", "ffffffff81000030 n x"),
        lines(TEXT, "ffffffff81000011 a gone", "ffffffff81000021 t two", "0000000000000030 n x"),
    ),
    "names that are too long": Pair(
        ADDRESSES,
        after(f"81000010 t {LONG}", "81000020 t two"),
        after(f"81000011 t {LONG}", "81000021 t two"),
    ),
    "the lines in no order": Pair(
        ADDRESSES,
        lines("ffffffff81000020 t b", TEXT, "ffffffff81000010 t a"),
        lines("ffffffff81000021 t b", TEXT, "ffffffff81000011 t a"),
    ),
    "a tie that stays": Pair(
        ADDRESSES,
        after("81000010 t _one", "81000010 t two"),
        after("81000014 t _one", "81000014 t two"),
    ),
    "a tie that ends": Pair(
        ADDRESSES,
        after("81000010 t _one", "81000010 t two"),
        after("81000014 t _one", "81000010 t two"),
    ),
    "a tie that comes and stands": Pair(
        INCREMENTAL,
        after("81000010 t one", "81000020 t _two"),
        after("81000010 t one", "81000010 t _two"),
    ),
    "a tie that comes and turns around": Pair(
        INCREMENTAL,
        after("81000010 t _one", "81000020 t two"),
        after("81000020 t _one", "81000020 t two"),
    ),
    "a tie with a weak symbol": Pair(
        INCREMENTAL,
        after("81000010 W one", "81000020 t __two"),
        after("81000020 W one", "81000020 t __two"),
    ),
    "two that pass each other": Pair(
        INCREMENTAL,
        after("81000010 t one", "81000020 t two"),
        after("81000020 t one", "81000010 t two"),
    ),
    "a symbol that leaves the per-cpu range": Pair(
        INCREMENTAL,
        lines("00000000 D __per_cpu_start", "00000010 d a", "00000020 D __per_cpu_end", "00100000 T _text"),
        lines("00000000 D __per_cpu_start", "00000030 d a", "00000020 D __per_cpu_end", "00100000 T _text"),
        PERCPU,
    ),
    "a per-cpu range that grows over a symbol": Pair(
        INCREMENTAL,
        lines("00000000 D __per_cpu_start", "00000010 D __per_cpu_end", "00000020 t a", "00100000 T _text"),
        lines("00000000 D __per_cpu_start", "00000020 D __per_cpu_end", "00000020 t a", "00100000 T _text"),
        PERCPU,
    ),
    "a per-cpu range that ends before a symbol": Pair(
        INCREMENTAL,
        lines("00000000 D __per_cpu_start", "00000018 t a", "00000020 D __per_cpu_end", "00100000 T _text"),
        lines("00000000 D __per_cpu_start", "00000018 t a", "00000010 D __per_cpu_end", "00100000 T _text"),
        PERCPU,
    ),
    "a per-cpu range that grows, nothing in between": Pair(
        ADDRESSES,
        lines("00000000 D __per_cpu_start", "00000010 d a", "00000020 D __per_cpu_end", "00100000 T _text"),
        lines("00000000 D __per_cpu_start", "00000018 d a", "00000028 D __per_cpu_end", "00100000 T _text"),
        PERCPU,
    ),
    "a per-cpu range without an end": Pair(
        INCREMENTAL,
        lines("00000001 D __per_cpu_start", "00000010 T _text"),
        lines("00000000 D __per_cpu_start", "00000010 T _text"),
        PERCPU,
    ),
    "a per-cpu range that nobody asked for": Pair(
        ADDRESSES,
        lines("00000000 D __per_cpu_start", "00000010 D __per_cpu_end", "00000020 t a", "00100000 T _text"),
        lines("00000000 D __per_cpu_start", "00000018 D __per_cpu_end", "00000020 t a", "00100000 T _text"),
    ),
    "the base, which is the first symbol that is not per-cpu": Pair(
        ADDRESSES,
        lines("00000000 D __per_cpu_start", "00000010 D __per_cpu_end", "00100000 T _text", "00100010 t a"),
        lines("00000000 D __per_cpu_start", "00000010 D __per_cpu_end", "00100008 T _text", "00100018 t a"),
        PERCPU,
    ),
    "upper-case digits": Pair(INCREMENTAL, PLAIN, moved(PLAIN, ("ffffffff81000030", "ffffffff8100003A"))),
    "upper-case digits before": Pair(
        ADDRESSES, lines("FFFFFFFF81000000 T _text"), lines("ffffffff82000000 T _text")
    ),
    "carriage returns": Pair(
        INCREMENTAL,
        PLAIN.replace(b"\n", b"\r\n"),
        moved(PLAIN, ("0030", "0031")).replace(b"\n", b"\r\n"),
        BASE,
        "v6.4",
    ),
    "a last line without newline": Pair(INCREMENTAL, PLAIN[:-1], moved(PLAIN, ("0030", "0031"))[:-1]),
    "a type": Pair(INCREMENTAL, PLAIN, PLAIN.replace(b"d three", b"D three")),
    "a letter of a name": Pair(INCREMENTAL, PLAIN, PLAIN.replace(b"three", b"threa")),
    "a line's end": Pair(
        INCREMENTAL, after("81000010 t one", "81000020 t two"), after("81000010 t on", "81000020 t ttwo")
    ),
    "a name that hides a line": Pair(
        INCREMENTAL, after("81000010 t one", "81000020 t two"), after("81000010 t one 81000020 t two")
    ),
    "a type of a line that is no symbol": Pair(
        INCREMENTAL, after("81000010 a one", "81000020 t two"), after("81000010 t one", "81000020 t two")
    ),
    "a name of a line that is no symbol": Pair(
        INCREMENTAL, after("81000010 n ____", "81000020 t two"), after("81000010 n _t_x", "81000020 t two")
    ),
    "the second half of a name that is read in two": Pair(
        INCREMENTAL,
        after(f"81000010 t {CUT}12", "a1000020 t foo", "81000030 t bar"),
        after(f"81000010 t {CUT}12", "b1000024 t foo", "81000030 t bar"),
        ALL,
        "v6.4",
    ),
    "a symbol within a name that is read in two": Pair(
        INCREMENTAL,
        after(f"81000010 t {CUT}81000014Tinner", "81000020 t foo"),
        after(f"81000010 t {CUT}81000018Tinner", "81000020 t foo"),
        ALL,
        "v6.4",
    ),
    "a name that is just not read in two": Pair(
        ADDRESSES,
        after(f"81000010 t {CUT}", "81000020 t foo"),
        after(f"81000011 t {CUT}", "81000024 t foo"),
        ALL,
        "v6.4",
    ),
    "tabs in fscanf": Pair(
        INCREMENTAL,
        PLAIN.replace(b" t ", b"\tt\t"),
        moved(PLAIN, ("0010", "0011")).replace(b" t ", b"\tt\t"),
        ALL,
        "v6.4",
    ),
    "tabs in fscanf, before the first difference": Pair(
        ADDRESSES,
        PLAIN.replace(b" t ", b"\tt\t"),
        moved(PLAIN, ("0030", "0031")).replace(b" t ", b"\tt\t"),
        ALL,
        "v6.4",
    ),
    "no map line in fscanf, before the first difference": Pair(
        ADDRESSES,
        after("81000010 t one", "neither", "81000020 t two"),
        after("81000010 t one", "neither", "81000028 t two"),
        ALL,
        "v6.4",
    ),
    "no map line in fscanf, behind it": Pair(
        INCREMENTAL,
        after("81000010 t one", "neither", "81000020 t two"),
        after("81000018 t one", "neither", "81000020 t two"),
        ALL,
        "v6.4",
    ),
    "a blank that becomes a tab in fscanf": Pair(
        INCREMENTAL, PLAIN, PLAIN.replace(b" t one", b"\tt one"), ALL, "v6.4"
    ),
    "indented lines": Pair(
        INCREMENTAL, lines(TEXT, " fffffff81000010 t a"), lines(TEXT, " fffffff81000018 t a"), ALL, "v7.3"
    ),
    "addresses with a sign": Pair(
        INCREMENTAL,
        lines("81000000 T _text", "+1000010 t a"),
        lines("81000000 T _text", "+1000018 t a"),
        ALL,
        "v7.3",
    ),
    "addresses of other lengths": Pair(
        INCREMENTAL,
        lines("81000000 T _text", "810000010 t a"),
        lines("81000000 T _text", "810000018 t a"),
        ALL,
        "v7.3",
    ),
    "without all symbols": Pair(
        INCREMENTAL,
        lines(
            "ffffffff81000000 T _stext",
            TEXT,
            "ffffffff81000010 t a",
            "ffffffff81000020 T _etext",
            "ffffffff81000030 d b",
        ),
        lines(
            "ffffffff81000000 T _stext",
            TEXT,
            "ffffffff81000018 t a",
            "ffffffff81000020 T _etext",
            "ffffffff81000030 d b",
        ),
        (),
    ),
    "out of the text, without all symbols": Pair(
        INCREMENTAL,
        lines(
            "ffffffff81000000 T _stext",
            TEXT,
            "ffffffff81000010 t a",
            "ffffffff81000020 T _etext",
            "ffffffff81000030 d b",
        ),
        lines(
            "ffffffff81000000 T _stext",
            TEXT,
            "ffffffff81000028 t a",
            "ffffffff81000020 T _etext",
            "ffffffff81000030 d b",
        ),
        (),
    ),
}


@pytest.mark.parametrize("name", PAIRS)
def test_the_second_map_comes_out_as_the_reference_says_and_in_the_expected_way(name: str) -> None:
    pair = PAIRS[name]
    tree = Tree(pair.dialect, pair.options, pair.first)
    made = tree.update(pair.second)
    assert made == tree.cold(pair.second)
    assert made == tool.run(pair.dialect, pair.options, pair.second)
    assert made.status == 0
    assert tree.how.made == pair.made
    tree.check_history()
    # And back again, on what the update left behind.
    assert tree.update(pair.first) == tool.run(pair.dialect, pair.options, pair.first)
    tree.check_history()


@pytest.mark.parametrize(
    ("first", "second"),
    [
        pytest.param(PLAIN, moved(PLAIN, ("ffffffff81000030", "0000000000000030")), id="below the base"),
        pytest.param(PLAIN, moved(PLAIN, ("ffffffff81000000", "0fffffff81000000")), id="beyond 32 bits"),
        pytest.param(PLAIN, moved(PLAIN, ("0010 t", "001g t")), id="a digit that is none"),
        pytest.param(PLAIN, PLAIN.replace(b" t two", b" t\ttwo"), id="a tab"),
        pytest.param(PLAIN, PLAIN.replace(b"d three", b"\xc4 three"), id="a type that is no letter"),
    ],
)
def test_a_map_that_is_bad_input_is_one_after_another_map_too_and_is_forgotten(
    first: bytes, second: bytes
) -> None:
    tree = Tree("v6.11", ALL, first)
    right = tool.run("v6.11", ALL, second)
    made = tree.update(second)
    assert made == tree.cold(second)
    assert ours.same(made, right)
    assert made.status == 1
    assert tree.update(moved(first, ("0030", "0038"))).status == 0
    assert tree.how.made == ADDRESSES
    tree.check_history()


def test_more_than_an_eighth_of_the_symbols_changed_is_a_cold_run() -> None:
    names = lines(TEXT, *(f"ffffffff8100{number:04x} t name_{number}" for number in range(16, 56)))
    tree = Tree("v6.11", ALL, names)
    other = names.replace(b"name_1", b"name_9").replace(b"name_2", b"mane_2")
    assert tree.update(other) == tool.run("v6.11", ALL, other)
    assert tree.how.made == COLD


#: Bytes that mean something in a map. No NUL: as a type it is undefined in the kernel's tools.
MEANINGFUL = st.sampled_from(b"0189afAFgx-+ \t\r\nTtaUNuW_.\x7f\x80\xff")


@pytest.mark.parametrize("dialect", sorted(FORMS))
@given(
    data=st.data(),
    edits=st.lists(st.tuples(st.integers(0, 1 << 20), MEANINGFUL), min_size=1, max_size=4),
    only_digits=st.booleans(),
)
def test_a_map_with_other_bytes_at_the_same_length_comes_out_as_the_reference_says(
    dialect: str, data: st.DataObject, edits: list[tuple[int, int]], *, only_digits: bool
) -> None:
    case = data.draw(strategies.cases(dialect))
    try:
        tree = Tree(dialect, case.options, case.map_text)
    except InputError:
        return
    second = bytearray(case.map_text)
    digits = [at for at, byte in enumerate(second) if byte in b"0123456789abcdef"]
    for at, byte in edits:
        if only_digits and digits:
            second[digits[at % len(digits)]] = b"0123456789abcdef"[byte % 16]
        elif second:
            second[at % len(second)] = byte
    text = bytes(second)
    made = tree.update(text)
    event(f"status {made.status}, made {tree.how.made}")
    assert made == tree.cold(text)
    assert ours.same(made, tool.run(dialect, case.options, text))
    tree.check_history()
