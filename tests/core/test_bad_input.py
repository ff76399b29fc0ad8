# SPDX-License-Identifier: GPL-2.0-only
"""Maps that cannot become tables: exit status 1 and the error text of each dialect's own tool."""

import pytest

from kallsymsd.core import assembly, pipeline
from kallsymsd.core.dialects import ALL_SYMBOLS, BY_NAME
from kallsymsd.core.errors import InputError
from kallsymsd.core.target import Target
from tests.core import ours
from tests.oracles import Oracle
from tests.strategies import MALFORMED_LINES

FSCANF = ("v6.1", "v6.1.y", "v6.2", "v6.3", "v6.4")
GETLINE = ("v6.5", "v6.6", "v6.10", "v6.11", "v6.15", "v7.0", "v7.3", "v7.4", "v7.4-markers16", "mail-2024")
EMPTY_IS_AN_ERROR = (*FSCANF, "v6.5", "v6.6", "v6.10", "mail-2024")
EMPTY_IS_FINE = ("v6.11", "v6.15", "v7.0", "v7.3", "v7.4", "v7.4-markers16")

START = b"ffffffff81000000 T _text\n"
TOO_FAR = START + b"1000000000 T below\n"

RELATIVE_MODE = b"kallsyms failure: relative symbol value 0xffffffff81000000 out of range in relative mode"


def _error(dialect: str, options: tuple[str, ...], map_text: bytes) -> bytes:
    with pytest.raises(InputError) as caught:
        ours.build(dialect, options, map_text)
    return caught.value.message


@pytest.mark.parametrize("line", MALFORMED_LINES)
@pytest.mark.parametrize("dialect", GETLINE)
def test_a_malformed_line_is_fatal_since_v6_5(dialect: str, line: bytes) -> None:
    assert _error(dialect, ("all-symbols",), START + line + b"\n").startswith(b"line format error")


@pytest.mark.parametrize("line", [b"", b"zzz", b"                 U undefined"])
@pytest.mark.parametrize("dialect", FSCANF)
def test_a_malformed_line_is_skipped_before_v6_5(dialect: str, line: bytes) -> None:
    tables = ours.build(dialect, ("all-symbols",), START + line + b"\n" + START)
    assert tables.num_syms == 2
    assert tables.warnings == b""


@pytest.mark.parametrize("map_text", [b"", b"ffffffff81000000 a absolute\n"], ids=["empty", "nothing-kept"])
@pytest.mark.parametrize("dialect", EMPTY_IS_AN_ERROR)
def test_a_map_without_symbols_is_an_error_up_to_v6_10(dialect: str, map_text: bytes) -> None:
    assert _error(dialect, ("all-symbols",), map_text) == b"No valid symbol."


@pytest.mark.parametrize("dialect", EMPTY_IS_FINE)
def test_a_map_without_symbols_gives_empty_tables_since_v6_11(dialect: str) -> None:
    tables = ours.build(dialect, (), b"")
    assert tables.num_syms == 0
    encoded = tables.encode(Target(64, big_endian=False))
    assert {name for name, content in encoded.items() if content} == {"token_table", "token_index"}
    assert encoded["token_table"] == bytes(256)


@pytest.mark.parametrize(
    ("dialect", "options", "error"),
    [
        *(
            (dialect, ("all-symbols", *base), RELATIVE_MODE)
            for dialect, base in (
                ("v6.1", ("base-relative",)),
                ("v6.1.y", ("base-relative",)),
                ("v6.2", ("base-relative",)),
                ("v6.3", ("base-relative",)),
                ("v6.4", ("base-relative",)),
                ("v6.5", ("base-relative",)),
                ("v6.6", ("base-relative",)),
                ("v6.10", ("base-relative",)),
                ("v6.11", ()),
                ("mail-2024", ()),
            )
        ),
        ("v6.15", ("all-symbols",), RELATIVE_MODE.removesuffix(b" in relative mode")),
        (
            "v7.0",
            ("all-symbols", "pc-relative"),
            b"kallsyms failure: relative symbol value 0x1000000000 out of range",
        ),
        (
            "v7.3",
            ("all-symbols", "pc-relative"),
            b"kallsyms failure: relative symbol value 0x1000000000 out of range",
        ),
    ],
)
def test_an_address_out_of_range_is_fatal(dialect: str, options: tuple[str, ...], error: bytes) -> None:
    # The lower symbol is the base of offsets, and far below _text for distances from there.
    assert _error(dialect, options, TOO_FAR) == error


@pytest.mark.parametrize("dialect", ["v7.0", "v7.3"])
def test_an_address_of_0_is_printed_as_printf_prints_it(dialect: str) -> None:
    # %#llx of 0 has no prefix.
    error = _error(dialect, ("all-symbols", "pc-relative"), b"c1000000 T _text\n0 T below\n")
    assert error == b"kallsyms failure: relative symbol value 0 out of range"


@pytest.mark.parametrize("dialect", ["v6.1.y", "v6.11"])
def test_an_absolute_address_out_of_range_says_absolute(dialect: str) -> None:
    percpu = b"80000000 D __per_cpu_start\n80000000 D __per_cpu_end\n"
    options = BY_NAME[dialect].options
    assert _error(dialect, options, percpu) == (
        b"kallsyms failure: absolute symbol value 0x80000000 out of range in relative mode"
    )


@pytest.mark.parametrize(
    ("lowest", "options", "is_told"),
    [
        (b"0", ("all-symbols",), True),
        (b"0", ("all-symbols", "absolute-percpu"), False),
        (b"10", ("all-symbols",), False),  # no per-cpu symbols begin there
    ],
)
def test_who_forgot_absolute_percpu_is_told(
    lowest: bytes, options: tuple[str, ...], *, is_told: bool
) -> None:
    with pytest.raises(InputError) as caught:
        ours.build("v6.11", options, lowest + b" D lowest\n" + START)
    assert (b"need --absolute-percpu" in caught.value.render(b"in.map")) is is_told


@pytest.mark.oracle
@pytest.mark.parametrize(
    "map_text",
    [
        TOO_FAR,
        START + b"zzz\n",
        START + b"\n",
        b"",
        b"10 a absolute\n",
        START + b"10 T " + b"x" * 512 + b"\n\n",
    ],
    ids=["too-far", "malformed", "blank-line", "empty", "nothing-kept", "too-long-then-blank"],
)
def test_bad_maps_end_as_with_the_kernels_own_tool(oracle: Oracle, map_text: bytes) -> None:
    options = ours.for_offsets(oracle.dialect)
    assert ours.same(ours.run(oracle.dialect, options, map_text), oracle.run(options, map_text))


@pytest.mark.parametrize("dialect", sorted(BY_NAME))
@pytest.mark.parametrize("name", [b'quo"te', b"back\\slash"])
def test_names_that_plain_assembly_cannot_quote_are_refused_there_and_fine_in_a_bin(
    dialect: str, name: bytes
) -> None:
    # Four times, so that the name comes to stand in the token table in any case.
    map_text = START + b"ffffffff81000010 t %b\n" % name * 4
    tables = pipeline.build(map_text, BY_NAME[dialect], ALL_SYMBOLS)
    with pytest.raises(InputError) as caught:
        assembly.plain(tables)
    assert name in caught.value.message
    made = assembly.incbin(tables, Target(64, big_endian=False), b"out.bin")
    assert tables.encode(Target(64, big_endian=False))["token_table"] in made.binary


@pytest.mark.parametrize("dialect", ["v6.4", "v6.11", "v6.15", "v7.3"])
def test_the_end_of_a_comment_in_a_name_is_refused_where_names_stand_in_comments(dialect: str) -> None:
    options = ours.for_offsets(dialect)
    tables = ours.build(dialect, options, START + b"ffffffff81000010 t a*/b\n")
    with pytest.raises(InputError) as caught:
        assembly.plain(tables)
    assert b"a*/b" in caught.value.message
