# SPDX-License-Identifier: GPL-2.0-only
"""What of a .bin stays when symbols move."""

import re

import pytest
import xxhash

from kallsymsd.core import assembly, incremental
from kallsymsd.core.dialects import DIALECTS
from kallsymsd.core.tables import Tables
from kallsymsd.core.target import Target
from tests.core import ours

TARGETS = [Target(bits, big_endian) for bits in (32, 64) for big_endian in (False, True)]
MAP = b"81000000 T _text\n" + b"".join(b"%08x t function_%d\n" % (0x81000010 + i, i) for i in range(600))
MOVED = MAP.replace(b"81000", b"82000")


def moved(tables: Tables) -> Tables:
    made = incremental.moved(tables, MAP, MOVED)
    assert made is not None
    return made


@pytest.mark.parametrize("target", TARGETS)
def test_tables_at_other_addresses_have_the_same_front(target: Target) -> None:
    tables = ours.build("v6.11", ("all-symbols",), MAP)
    front = tables.front(target)
    assert moved(tables).front(target) is front
    assert moved(moved(tables)).front(target) is front
    assert [tables.front(other) is front for other in TARGETS] == [other == target for other in TARGETS]
    assert ours.build("v6.11", ("all-symbols",), MAP).front(target) is not front


@pytest.mark.parametrize("dialect", [dialect.name for dialect in DIALECTS])
@pytest.mark.parametrize("is_relative", [True, False])
def test_the_digest_in_the_text_is_that_of_the_bin(dialect: str, *, is_relative: bool) -> None:
    options = ours.for_offsets(dialect) if is_relative else ("all-symbols",)
    tables = ours.build(dialect, options, MAP)
    for each in (tables, moved(tables)):
        for target in TARGETS:
            made = assembly.incbin(each, target, b"out.bin")
            named = re.search(rb'"xxh128 ([0-9a-f]{32})"', made.text)
            assert named is not None
            assert named[1].decode() == xxhash.xxh3_128_hexdigest(made.binary)
            front = made.front
            assert front is not None
            assert made.pieces[: len(front.tables)] == list(front.tables.values())
            has_offsets = "offsets" in each.encode(target)
            assert len(made.pieces) - len(front.tables) == has_offsets


def test_the_tools_own_form_has_no_front() -> None:
    for dialect in DIALECTS:
        tables = ours.build(dialect.name, ours.for_offsets(dialect.name), MAP)
        assert assembly.drop_in(tables, b"out.bin").front is None
