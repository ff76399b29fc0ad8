# SPDX-License-Identifier: GPL-2.0-only
"""Runs of plain lines with lines among them that are none: every column as the reference reads them."""

import re
import struct
from dataclasses import dataclass
from itertools import pairwise

import pytest
from hypothesis import event, example, given
from hypothesis import strategies as st

from kallsymsd.core import sysmap
from kallsymsd.core.dialects import BY_NAME, OPTION_BITS
from kallsymsd.core.errors import InputError
from tests.reference import order, reader
from tests.reference.forms import FORMS
from tests.strategies import MALFORMED_LINES, ODD_LINES, SPECIAL_NAMES, Line, spelled, symbols

DIALECT = "v6.11"
#: Lines that surely are plain: behind each line there must be as much text as a line may be long.
BEHIND = b"".join(b"ffffffffff%06x t behind_%d\n" % (number, number) for number in range(8))
WIDTH = 16


@dataclass(frozen=True)
class Read:
    """What is left of a map.

    symbols       addresses and strings, in table order
    text_address  of _text
    percpu        both ends
    warnings      lines for standard error
    """

    symbols: list[tuple[int, bytes]]
    text_address: int
    percpu: tuple[int, int]
    warnings: bytes


def by_reference(text: bytes) -> Read | None:
    """What is right; None for bad input."""
    right = reader.SystemMap()
    try:
        reader.read(FORMS[DIALECT], text, right)
    except reader.FatalError:
        return None
    order.make_percpu_absolute(right.symbols, right.percpu)
    return Read(
        [(symbol.address, symbol.string) for symbol in order.by_address(right.symbols)],
        right.text,
        (right.percpu[0], right.percpu[1]),
        b"".join(line + b"\n" for line in right.warnings),
    )


def by_us(text: bytes) -> Read | None:
    """The same from the columns."""
    options = OPTION_BITS["all-symbols"] | OPTION_BITS["absolute-percpu"]
    try:
        table = sysmap.read(text, BY_NAME[DIALECT], options)
    except InputError:
        return None
    addresses = struct.unpack(f"={table.count}Q", table.addresses)
    starts = struct.unpack(f"={table.count + 1}I", table.strings.starts)
    strings = [table.strings.data[at:end] for at, end in pairwise(starts)]
    assert all(string.endswith(b"\0") for string in strings)
    assert starts[-1] == len(table.strings.data)
    found = [(address, string[:-1]) for address, string in zip(addresses, strings, strict=True)]
    if table.origin:
        places = struct.unpack(f"={table.count}I", table.origin.places)
        ranks = struct.unpack(f"={table.count}I", table.origin.ranks)
        assert sorted(ranks) == list(range(table.count))
        assert list(places) == sorted(places)
        for place, rank in zip(places, ranks, strict=True):
            assert (
                (
                    int(text[place - 3 - WIDTH : place - 3], 16) % (1 << 64),  # one may be negative
                    re.split(rb"[\n\0]", text[place:])[0],
                )
                == (
                    found[rank][0],
                    found[rank][1][1:],
                )
            )
    return Read(found, table.text_address, table.percpu, table.warnings)


LETTERS = st.sampled_from((b"ab_", b"_t", b"_", bytes(byte for byte in range(256) if byte != ord("\n"))))
NAMES = st.one_of(
    LETTERS.flatmap(lambda letters: spelled(letters, 0, 130)),
    st.sampled_from(SPECIAL_NAMES),
    st.sampled_from(SPECIAL_NAMES).flatmap(
        lambda name: st.sampled_from((name[:-1], name + b"t", name[::-1]))
    ),
    st.sampled_from((60, 61, 62, 63, 64, 65, 127, 128, 510, 512, 600)).map(lambda length: b"x" * length),
)
TYPES = st.one_of(st.sampled_from(b"TtdDrbBWwV"), st.integers(1, 127).filter(lambda byte: byte != ord("\n")))
#: Steps from one address to the next; below zero one that comes too late.
STEPS = st.sampled_from((16, 16, 16, 1, 0, 0, -1, -40))


@st.composite
def maps(draw: st.DrawFn) -> bytes:
    """Nearly plain maps, the lines behind them included."""
    address = 0xFFFFFFFF81000000
    lines = []
    for step, kind, name in draw(st.lists(st.tuples(STEPS, TYPES, NAMES), max_size=30)):
        address += step
        lines.append(b"%016x %c %b" % (address, kind, name))
    for other in draw(st.lists(st.sampled_from(ODD_LINES + MALFORMED_LINES), max_size=2)):
        if draw(st.booleans()):
            lines.insert(draw(st.integers(0, len(lines))), other)
    return b"".join(line + b"\n" for line in lines) + BEHIND


@given(maps())
def test_nearly_plain_maps_are_read_as_the_reference_reads_them(text: bytes) -> None:
    right = by_reference(text)
    event("bad input" if right is None else "a map")
    assert by_us(text) == right


@given(symbols(max_size=20))
def test_any_symbols_with_plain_lines_behind_are_read_as_the_reference_reads_them(lines: list[Line]) -> None:
    text = b"".join(b"%016x %c %b\n" % (line.address, line.type, line.name) for line in lines) + BEHIND
    assert by_us(text) == by_reference(text)


@example(1, 0, ord("-"))
@given(st.integers(0, 2), st.integers(0, len(BEHIND) // 8 - 1), st.integers(0, 255))
def test_a_plain_line_with_any_other_byte_is_read_as_the_reference_reads_it(
    number: int, at: int, byte: int
) -> None:
    changed = bytearray(BEHIND)
    changed[number * len(BEHIND) // 8 + at] = byte
    assert by_us(bytes(changed)) == by_reference(bytes(changed))


@pytest.mark.parametrize("bad", range(0, 40, 3))
def test_the_number_of_a_malformed_line_counts_the_plain_ones_before_it(bad: int) -> None:
    lines = [b"%016x t name_%d" % (number, number) for number in range(40)]
    lines[bad] = b"neither"
    text = b"".join(line + b"\n" for line in lines)
    with pytest.raises(InputError) as refused:
        sysmap.read(text, BY_NAME[DIALECT], OPTION_BITS["all-symbols"])
    assert refused.value.line == bad + 1
