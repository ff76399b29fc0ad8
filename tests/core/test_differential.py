# SPDX-License-Identifier: GPL-2.0-only
"""Random maps: the library, the kernel's own tools and the reference agree byte for byte."""

import pytest
from hypothesis import event, given
from hypothesis import strategies as st

from kallsymsd.core.dialects import BY_NAME
from kallsymsd.core.target import Target
from tests import strategies
from tests.oracles import Oracle
from tests.reference import decode, tool
from tests.reference.forms import FORMS

from . import ours

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


@pytest.mark.oracle
@given(data=st.data())
def test_encoded_tables_are_what_an_assembler_makes_of_the_oracles_text(
    oracle: Oracle, data: st.DataObject
) -> None:
    # Names may hold any byte here: a .bin has no quoting to break. One option is fixed, since absolute
    # addresses are relocations.
    hostile = strategies.HOSTILE.translate(None, b"*")
    case_map = data.draw(strategies.clean_maps(alphabet=hostile))
    options = ours.for_offsets(oracle.dialect)
    theirs = oracle.run(options, case_map)
    if theirs.status:
        return
    tables = ours.build(oracle.dialect, options, case_map)
    for target in TARGETS:
        expected = decode.tables(theirs.stdout, big_endian=target.big_endian)
        assert tables.num_syms.to_bytes(4, "big" if target.big_endian else "little") == expected.pop(
            "num_syms"
        )
        del expected["relative_base"]
        assert tables.encode(target) == expected
