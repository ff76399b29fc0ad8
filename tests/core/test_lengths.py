# SPDX-License-Identifier: GPL-2.0-only
"""Names around the lengths at which something changes: one or two bytes of length, and too long."""

import pytest

from tests.core import ours
from tests.oracles import Oracle
from tests.reference import decode, tool
from tests.reference.forms import FORMS
from tests.strategies import WIDE

#: Nearly all codes are taken as letters, so few are left to shorten a name with.
NO_ROOM = b"ffffffff81000000 T _text\n" + b"".join(
    b"ffffffff81000010 t %b\n" % (WIDE * 2)[start : start + length] for start, length in ((0, 245), (3, 245))
)
#: Names whose compressed lengths sweep over 127 and 128.
SWEEP = NO_ROOM + b"".join(
    b"ffffffff81000020 t %b\n" % (WIDE * 2)[start : start + length]
    for start, length in zip(range(0, 200, 7), range(125, 180), strict=False)
)
TOO_LONG = (
    b"ffffffff81000000 T _text\n"
    + b"".join(b"ffffffff81000010 t %b\n" % (b"ab" * 300)[:length] for length in (509, 510, 512, 513, 600))
    + b"ffffffff81000020 t last\n"
)


def _lengths(names: bytes) -> set[int]:
    """The lengths in the table of names."""
    lengths, at = set(), 0
    while at < len(names):
        length = names[at]
        if length & 0x80:
            at += 1
            length = length & 0x7F | names[at] << 7
        at += 1 + length
        lengths.add(length)
    return lengths


def test_the_sweep_has_compressed_names_of_127_and_of_128_bytes() -> None:
    text = tool.run("v6.11", ("all-symbols",), SWEEP).stdout
    assert {126, 127, 128, 129} <= _lengths(decode.tables(text)["names"])


@pytest.mark.oracle
@pytest.mark.parametrize("map_text", [NO_ROOM, SWEEP, TOO_LONG], ids=["no-room", "sweep", "too-long"])
def test_long_names_come_out_as_from_the_kernels_own_tool(oracle: Oracle, map_text: bytes) -> None:
    theirs = oracle.run(("all-symbols",), map_text)
    assert theirs.status == 0
    assert tool.run(oracle.dialect, ("all-symbols",), map_text) == theirs
    assert ours.run(oracle.dialect, ("all-symbols",), map_text) == theirs


@pytest.mark.parametrize("dialect", sorted(FORMS))
@pytest.mark.parametrize("map_text", [SWEEP, TOO_LONG], ids=["sweep", "too-long"])
def test_long_names_come_out_as_the_reference_says(dialect: str, map_text: bytes) -> None:
    assert ours.run(dialect, ("all-symbols",), map_text) == tool.run(dialect, ("all-symbols",), map_text)


@pytest.mark.parametrize("dialect", sorted(FORMS))
def test_a_name_of_511_characters_is_kept(dialect: str) -> None:
    # The tools of 6.1 and 6.12 overrun a buffer there, so they cannot be asked.
    map_text = b"ffffffff81000000 T _text\nffffffff81000010 t %b\n" % (b"x" * 511)
    ours_run = ours.run(dialect, ("all-symbols",), map_text)
    assert ours_run.stderr == b""
    assert ours_run == tool.run(dialect, ("all-symbols",), map_text)


@pytest.mark.parametrize("dialect", sorted(FORMS))
def test_a_name_of_512_characters_is_dropped_with_a_warning(dialect: str) -> None:
    map_text = b"ffffffff81000000 T _text\nffffffff81000010 t %b\n" % (b"x" * 512)
    tables = ours.build(dialect, ("all-symbols",), map_text)
    assert tables.num_syms == 1
    assert tables.warnings == (
        b"Symbol %b too long for kallsyms (512 >= 512).\n" % (b"x" * 512)
        + b"Please increase KSYM_NAME_LEN both in kernel and kallsyms.c\n"
    )
