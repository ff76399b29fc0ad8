# SPDX-License-Identifier: GPL-2.0-only
"""Maps of thousands of symbols that are nothing like sorted: what small random maps cannot reach."""

import random
from collections.abc import Callable

import pytest

from kallsymsd.core.dialects import BY_NAME
from tests.core import ours
from tests.oracles import Oracle
from tests.reference import tool
from tests.strategies import Line, written

#: Makes the lines of a map.
Shape = Callable[[random.Random], list[Line]]

BASE = 0xFFFFFFFF81000000
COUNT = 3000


def _shuffled(rng: random.Random) -> list[Line]:
    """Addresses in no order, each once or twice."""
    return [
        Line(BASE + rng.randrange(2 * COUNT), ord("t"), b"function_%d" % number) for number in range(COUNT)
    ]


def _one_address(rng: random.Random) -> list[Line]:
    """Thousands of symbols at one address, in four ranks and with many equal ones."""
    prefixes = (b"", b"_", b"__", b"__start_")
    return [
        Line(BASE, rng.choice(b"tTwW"), rng.choice(prefixes) + b"n%d" % rng.randrange(100))
        for _ in range(COUNT)
    ]


def _one_name(rng: random.Random) -> list[Line]:
    """Thousands of symbols with the same name, and some that differ far behind."""
    common = b"a_common_beginning_of_more_than_eight_letters"
    tails = (b"", b"", b"", b".llvm.1", b".llvm.22", b".cold", b"_end", b"0123456")
    return [Line(BASE + rng.randrange(1 << 30), ord("d"), common + rng.choice(tails)) for _ in range(COUNT)]


def _prefixes(rng: random.Random) -> list[Line]:
    """Names that are beginnings of each other, around multiples of eight letters."""
    return [
        Line(
            BASE + rng.randrange(1 << 20),
            ord("T"),
            (b"abcdefgh" * 5)[: rng.randrange(1, 36)] + rng.choice((b"", b"\x01", b"\xff")),
        )
        for _ in range(COUNT)
    ]


def _percpu(rng: random.Random) -> list[Line]:
    """As on x86-64: per-cpu symbols from 0, everything else high up, all mixed."""
    lines = [Line(rng.randrange(0x3000), ord("D"), b"percpu_%d" % number) for number in range(COUNT // 2)]
    lines += [Line(0x800, ord("D"), b"__per_cpu_start"), Line(0x2800, ord("D"), b"__per_cpu_end")]
    lines = [line for line in lines if 0x800 <= line.address <= 0x2800] + _shuffled(rng)
    rng.shuffle(lines)
    return lines


SHAPES: list[Shape] = [_shuffled, _one_address, _one_name, _prefixes, _percpu]


def _map(shape: Shape) -> bytes:
    lines = shape(random.Random(20240222))
    return b"\n".join(written([*lines, Line(BASE, ord("T"), b"_text")])) + b"\n"


@pytest.mark.oracle
@pytest.mark.parametrize("shape", SHAPES)
def test_large_maps_come_out_as_from_the_kernels_own_tool(oracle: Oracle, shape: Shape) -> None:
    map_text = _map(shape)
    for options in (ours.for_offsets(oracle.dialect), BY_NAME[oracle.dialect].options):
        theirs = oracle.run(options, map_text)
        equal = ours.run(oracle.dialect, options, map_text) == theirs
        assert equal, options
        # Per-cpu symbols from 0 do not fit without --absolute-percpu.
        assert theirs.status == 0 or (shape is _percpu and "absolute-percpu" not in options)


@pytest.mark.parametrize("shape", SHAPES)
def test_large_maps_come_out_as_the_reference_says(shape: Shape) -> None:
    # The newest dialect of either reader: the differences between dialects do not depend on the size.
    map_text = _map(shape)
    for dialect, options in (("v6.4", ("all-symbols", "lto-clang")), ("v7.3", ("all-symbols",))):
        equal = ours.run(dialect, options, map_text) == tool.run(dialect, options, map_text)
        assert equal, dialect
