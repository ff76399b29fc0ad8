# SPDX-License-Identifier: GPL-2.0-only
"""Random maps: the library, the kernel's own tools and the reference agree byte for byte."""

from typing import Literal

import pytest
from hypothesis import event, given
from hypothesis import strategies as st

from kallsymsd.core.dialects import BY_NAME
from kallsymsd.core.target import Target
from tests import strategies
from tests.core import ours
from tests.oracles import Oracle
from tests.reference import decode, tool
from tests.reference.forms import FORMS

TARGETS = [Target(bits, big_endian) for bits in (32, 64) for big_endian in (False, True)]


def test_the_reference_knows_every_dialect_and_its_options() -> None:
    assert {name: form.options for name, form in FORMS.items()} == {
        name: dialect.options for name, dialect in BY_NAME.items()
    }


@pytest.mark.oracle
@given(data=st.data())
def test_the_library_and_the_reference_equal_the_kernels_own_tool(
    oracle: Oracle, data: st.DataObject
) -> None:
    case = data.draw(strategies.cases(oracle.dialect))
    theirs = oracle.run(case.options, case.map_text)
    event(f"exit status {theirs.status}")
    assert tool.run(oracle.dialect, case.options, case.map_text) == theirs
    assert ours.same(ours.run(oracle.dialect, case.options, case.map_text), theirs)


@pytest.mark.parametrize("dialect", sorted(FORMS))
@given(data=st.data())
def test_the_library_equals_the_reference_in_every_dialect(dialect: str, data: st.DataObject) -> None:
    case = data.draw(strategies.cases(dialect))
    expected = tool.run(dialect, case.options, case.map_text)
    event(f"exit status {expected.status}")
    assert ours.same(ours.run(dialect, case.options, case.map_text), expected)


def _check_encoded(dialect: str, case: strategies.Case, printed: tool.Outcome) -> None:
    """Compare our tables, for every kind of target, with what an assembler makes of plain assembly."""
    tables = ours.build(dialect, case.options, case.map_text)
    relocated = {"relative_base", "addresses", *(["offsets"] if "pc-relative" in case.options else [])}
    for target in TARGETS:
        expected = decode.tables(printed.stdout, binary=printed.binary, big_endian=target.big_endian)
        order: Literal["big", "little"] = "big" if target.big_endian else "little"
        assert tables.num_syms.to_bytes(4, order) == expected.pop("num_syms")
        assert tables.encode(target) == {
            name: content for name, content in expected.items() if name not in relocated
        }


# In the next two tests names may hold any byte: a .bin has no quoting to break.


@pytest.mark.oracle
@given(data=st.data())
def test_encoded_tables_are_what_an_assembler_makes_of_the_oracles_text(
    oracle: Oracle, data: st.DataObject
) -> None:
    case = data.draw(strategies.hostile_cases(oracle.dialect))
    theirs = oracle.run(case.options, case.map_text)
    event(f"exit status {theirs.status}")
    if theirs.status == 0:
        _check_encoded(oracle.dialect, case, theirs)


@pytest.mark.parametrize("dialect", sorted(FORMS))
@given(data=st.data())
def test_encoded_tables_are_what_an_assembler_makes_of_the_references_text(
    dialect: str, data: st.DataObject
) -> None:
    case = data.draw(strategies.hostile_cases(dialect))
    expected = tool.run(dialect, case.options, case.map_text)
    event(f"exit status {expected.status}")
    if expected.status == 0:
        _check_encoded(dialect, case, expected)
