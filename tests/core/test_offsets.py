# SPDX-License-Identifier: GPL-2.0-only
"""The address column in each of its forms, and the first address that it cannot hold."""

import struct

from hypothesis import event, given
from hypothesis import strategies as st

from kallsymsd.core.native import encoding
from kallsymsd.core.tables import DISTANCE, LOW_HALF, PERCPU, UNSIGNED

TOP = 1 << 64
EDGES = (0, 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 1 << 32, 1 << 63, TOP - 0x80000000, TOP - 1)


def near(edges: tuple[int, ...]) -> st.SearchStrategy[int]:
    """Numbers of 64 bits at one of the edges."""
    return st.builds(lambda edge, more: (edge + more) % TOP, st.sampled_from(edges), st.integers(-3, 3))


@st.composite
def columns(draw: st.DrawFn) -> tuple[int, list[int]]:
    """A base, and ascending addresses about as far from it as fits."""
    base = draw(st.one_of(near(EDGES), st.integers(0, TOP - 1)))
    about = near(tuple((base + edge) % TOP for edge in EDGES))
    return base, sorted(draw(st.lists(st.one_of(about, about, near(EDGES)), max_size=40)))


def signed(value: int) -> int:
    """A difference of addresses in the tool's numbers of 64 bits."""
    return (value + (1 << 63)) % TOP - (1 << 63)


def entry(form: int, base: int, address: int, percpu: tuple[int, int]) -> tuple[int, bool]:
    """What stands for an address, and whether that fits; as scripts/kallsyms has it."""
    if form == LOW_HALF:
        return address, True
    if form == PERCPU and percpu[0] <= address <= percpu[1]:
        return address, address <= 0x7FFFFFFF
    if form == PERCPU:
        value = signed(base - address - 1)
        return value, -0x80000000 <= value < 0
    value = signed(address - base)
    if form == UNSIGNED:
        return value, 0 <= value <= 0xFFFFFFFF
    return value, -0x80000000 <= value <= 0x7FFFFFFF


@given(
    column=columns(),
    form=st.sampled_from((UNSIGNED, PERCPU, DISTANCE, LOW_HALF)),
    percpu=st.one_of(st.just((1, 0)), st.tuples(near(EDGES), near(EDGES))),
    inside=st.booleans(),
)
def test_the_address_column_is_that_of_the_definition(
    column: tuple[int, list[int]], form: int, percpu: tuple[int, int], *, inside: bool
) -> None:
    base, addresses = column
    if inside and addresses:
        percpu = (addresses[len(addresses) // 3], addresses[len(addresses) // 2])
    entries = [entry(form, base, address, percpu) for address in addresses]
    bad = next((at for at, (_, fits) in enumerate(entries) if not fits), -1)
    event("all fit" if bad < 0 else "one does not fit")
    offsets, first = encoding.encode_offsets(
        struct.pack(f"={len(addresses)}Q", *addresses), base, form, *percpu
    )
    assert first == bad
    if bad < 0:
        right = [value % (1 << 32) for value, _ in entries]
        assert struct.unpack(f"={len(addresses)}I", offsets) == tuple(right)
