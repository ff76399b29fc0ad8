# SPDX-License-Identifier: GPL-2.0-only
"""The type that many strings have in the native modules."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kallsymsd.core.native.strings import Strings

#: Strings without zero bytes, of which some are empty.
LISTS = st.lists(st.binary(max_size=20).map(lambda string: string.replace(b"\0", b"")), max_size=20)


@given(strings=LISTS)
def test_what_goes_in_comes_out(strings: list[bytes]) -> None:
    made = Strings.of(strings)
    assert [made[at] for at in range(len(made))] == strings
    assert made.data == b"".join(string + b"\0" for string in strings)
    assert len(made.starts) == 4 * (len(strings) + 1)
    assert made.nbytes == len(made.data) + len(made.starts)
    assert made == Strings(made.data, made.starts)
    assert made != Strings.of([*strings, b"another"])
    backwards = struct.pack(f"={len(strings)}I", *reversed(range(len(strings))))
    assert made.select(backwards) == b"".join(string + b"\0" for string in reversed(strings))


@pytest.mark.parametrize("starts", [b"", b"\0", bytes(5), struct.pack("=2I", 0, 3), struct.pack("=2I", 0, 1)])
def test_columns_that_do_not_belong_together_are_refused(starts: bytes) -> None:
    with pytest.raises(ValueError, match="are not the starts of strings of 2 bytes"):
        Strings(b"T\0", starts)


@pytest.mark.parametrize("number", [-1, 2, 1 << 40])
def test_there_is_no_string_with_another_number(number: int) -> None:
    with pytest.raises(IndexError):
        Strings.of([b"T", b"ta"])[number]


def test_other_types_are_refused() -> None:
    with pytest.raises(TypeError):
        Strings(b"", None)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        Strings(bytearray(), bytes(4))  # type: ignore[arg-type]
    assert Strings.of([]) != []
