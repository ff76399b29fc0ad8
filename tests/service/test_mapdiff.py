# SPDX-License-Identifier: GPL-2.0-only
"""The first difference of two maps."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kallsymsd.service.mapdiff import Difference, first

LINES = st.lists(st.sampled_from([b"1 T a", b"2 T a", b"2 T b", b"", b"x"]), max_size=12)


@pytest.mark.parametrize(
    ("old", "new", "difference"),
    [
        (b"1 T a\n", b"1 T b\n", Difference(1, b"1 T a", b"1 T b")),
        (b"1 T a\n", b"1 T a\n2 T b\n", Difference(2, b"", b"2 T b")),
        (b"1 T a\n2 T b\n", b"1 T a\n", Difference(2, b"2 T b", b"")),
        (b"1 T a\n2 T b\n", b"1 T a\n3 T b\n", Difference(2, b"2 T b", b"3 T b")),
        (b"", b"1 T a", Difference(1, b"", b"1 T a")),
        # The name that is new, not the address that moved before it.
        (b"1 T a\n2 T b\n3 T c\n", b"1 T a\n4 T b\n5 T d\n", Difference(3, b"3 T c", b"5 T d")),
    ],
)
def test_the_difference_is_found(old: bytes, new: bytes, difference: Difference) -> None:
    assert first(old, new) == difference


@given(LINES, LINES)
def test_two_texts_have_a_difference_unless_their_lines_are_equal(old: list[bytes], new: list[bytes]) -> None:
    found = first(b"\n".join(old), b"\n".join(new))
    # Empty lines at the end are no lines.
    if b"\n".join(old).rstrip(b"\n") == b"\n".join(new).rstrip(b"\n"):
        assert found is None
        return
    if found is None:  # they differ after an empty line in both, which is no map
        assert any(a == b == b"" for a, b in itertools.zip_longest(old, new, fillvalue=b""))
        return
    assert found.old != found.new
    assert [*old, b""][min(found.number - 1, len(old))] == found.old
    assert [*new, b""][min(found.number - 1, len(new))] == found.new
