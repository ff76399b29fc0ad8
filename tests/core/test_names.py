# SPDX-License-Identifier: GPL-2.0-only
"""One map with every name and type letter that some rule asks for, through every dialect and option."""

from itertools import combinations

import pytest

from tests.core import ours
from tests.oracles import Oracle
from tests.reference import tool
from tests.reference.forms import FORMS
from tests.strategies import PREFIXES, SPECIAL_NAMES, SUFFIXES, Line, written

HIGH = 0xFFFFFFFF81000000
LOW = 0x100000
LETTERS = b"aAbBcCdDgGiInNpPrRsStTuUvVwW-?"

#: At addresses to which a base is added.
EVERYTHING = [
    *(Line(0x10, ord("T"), name) for name in SPECIAL_NAMES),
    *(Line(0x20, letter, b"letter_%c" % letter) for letter in LETTERS),
    *(Line(0x30, ord("t"), prefix + b"rest") for prefix in PREFIXES),
    *(Line(0x30, ord("t"), b"begin" + suffix) for suffix in SUFFIXES),
    *(Line(0x30, ord("W"), b"__b" + suffix) for suffix in SUFFIXES),
    *(Line(0x30, ord("t"), b"__begin" + suffix) for suffix in SUFFIXES),
    *(Line(0x40, ord("A"), name) for name in SPECIAL_NAMES),
    # One letter short of what a rule asks for.
    *(Line(0x50, ord("t"), name[:-1]) for name in SPECIAL_NAMES if len(name) > 1),
    *(Line(0x50, ord("t"), prefix[:-1] + b"~rest") for prefix in PREFIXES if prefix),
    *(Line(0x50, ord("t"), b"begin~" + suffix[1:]) for suffix in SUFFIXES if suffix),
    *(Line(0x50, ord("t"), b"__begin~" + suffix[1:]) for suffix in SUFFIXES if suffix),
    Line(0x50, ord("t"), b"___plain"),
    # The order of names depends on where --lto-clang cuts; addresses run the other way.
    *(
        Line(0x70 - position, ord("t"), name)
        for position, name in enumerate(
            (b"l", b"l.a", b"l.a.llvm.1", b"l.a.llvm", b"l.b", b"l.llvm.2", b"l0")
        )
    ),
    *(Line(0x60, ord("t"), b"__bend"[:length]) for length in range(1, 7)),
]
ENDS = (b"_stext", b"_etext", b"_sinittext", b"_einittext", b"__per_cpu_start", b"__per_cpu_end")
OUTSIDE = 0x1000


def _map(base: int, first: int, last: int) -> bytes:
    """Everything twice, with ranges whose ends are at first, last within each copy."""
    lines = EVERYTHING + [Line(line.address + OUTSIDE, line.type, line.name) for line in EVERYTHING]
    places = (first, last, OUTSIDE + first, OUTSIDE + last, first, last)
    lines += [Line(place, ord("T"), name) for place, name in zip(places, ENDS, strict=True)]
    return b"\n".join(written([Line(base + line.address, line.type, line.name) for line in lines])) + b"\n"


MAPS = {
    "all in range": _map(HIGH, 0, 0xFF),
    "ranges end among symbols": _map(HIGH, 0x20, 0x30),
    "absolute ones fit": _map(LOW, 0x20, 0x30),
    "ranges of one address": _map(LOW, 0x30, 0x30),
    "reversed ranges": _map(HIGH, 0x40, 0x20),
}
every_map = pytest.mark.parametrize("map_text", MAPS.values(), ids=MAPS)


def _option_sets(dialect: str) -> list[tuple[str, ...]]:
    known = FORMS[dialect].options
    return [options for size in range(len(known) + 1) for options in combinations(known, size)]


@pytest.mark.oracle
@every_map
def test_every_rule_about_names_is_that_of_the_kernels_own_tool(oracle: Oracle, map_text: bytes) -> None:
    for options in _option_sets(oracle.dialect):
        theirs = oracle.run(options, map_text)
        assert tool.run(oracle.dialect, options, map_text) == theirs, options
        assert ours.same(ours.run(oracle.dialect, options, map_text), theirs), options


@every_map
@pytest.mark.parametrize("dialect", sorted(FORMS))
def test_every_rule_about_names_is_that_of_the_reference(dialect: str, map_text: bytes) -> None:
    for options in _option_sets(dialect):
        expected = tool.run(dialect, options, map_text)
        assert ours.same(ours.run(dialect, options, map_text), expected), options
