# SPDX-License-Identifier: GPL-2.0-only
"""Form (a), a short .S that includes a .bin, assembles to the object of form (b), plain assembly."""

from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import pytest

from kallsymsd.core import assembly
from kallsymsd.core.dialects import BY_NAME
from kallsymsd.core.errors import InputError
from tests import objects
from tests.core import ours
from tests.reference import tool

DIALECTS = sorted(BY_NAME)
EMPTY_IS_FINE = ("v6.11", "v6.15", "v7.0", "v7.3", "v7.4", "v7.4-markers16")

#: A few symbols of every kind, more than one marker's worth.
SMALL = (
    b"".join(b"%x D percpu_%d\n" % (0x1000 + number, number) for number in range(5))
    + b"1000 D __per_cpu_start\n1010 D __per_cpu_end\n"
    + b"81000000 T _text\n81000000 T _stext\n81000000 w weak\n81000fff T _etext\n"
    + b"".join(
        b"%x t function_%d.llvm.%d\n" % (0x81000010 + number, number % 97, number) for number in range(300)
    )
)
#: The same without per-cpu symbols, which are too far away for offsets to the lowest symbol.
NEAR = SMALL[SMALL.index(b"81000000 T _text") :]


def _option_sets(dialect: str) -> list[tuple[str, ...]]:
    """Options that change what stands in the address column, with --all-symbols."""
    known = BY_NAME[dialect].options
    sets: list[tuple[str, ...]] = [("all-symbols",)]
    if "absolute-percpu" in known:
        sets.append(("all-symbols", "absolute-percpu"))
    for option in ("base-relative", "pc-relative"):
        if option in known:
            sets += [(*options, option) for options in sets]
    return sets


CASES = [(dialect, options) for dialect in DIALECTS for options in _option_sets(dialect)]


@pytest.fixture(scope="session", params=["x86_64", "i386", "s390x"])
def machine(request: pytest.FixtureRequest, unavailable: Callable[[str], NoReturn]) -> str:
    """Each target in turn: both classes, both byte orders."""
    name: str = request.param
    reason = objects.why_not(name)
    if reason:
        unavailable(reason)
    return name


def _assemble_ours(made: assembly.Assembly, machine: str, directory: Path) -> objects.ObjectFile:
    (directory / "out.bin").write_bytes(made.binary)
    return objects.assemble(made.text, machine, directory)


def _assemble_theirs(made: tool.Outcome, machine: str, directory: Path) -> objects.ObjectFile:
    assert made.status == 0
    (directory / "out.bin").write_bytes(made.binary)
    return objects.assemble(made.stdout, machine, directory)


@pytest.mark.parametrize(
    ("dialect", "options"), CASES, ids=lambda value: "-".join(value) if isinstance(value, tuple) else value
)
def test_both_forms_assemble_to_the_same_object(
    dialect: str, options: tuple[str, ...], machine: str, tmp_path: Path
) -> None:
    map_text = NEAR if "absolute-percpu" not in options else SMALL
    tables = ours.build(dialect, options, map_text)
    made = assembly.incbin(tables, objects.TARGETS[machine], b"out.bin")
    # The plain text is the reference's: this test shall not depend on ours.
    theirs = tool.run(dialect, options, map_text)
    assert _assemble_ours(made, machine, tmp_path) == _assemble_theirs(theirs, machine, tmp_path)


@pytest.mark.parametrize("pc_relative", [(), ("pc-relative",)], ids=["low-half", "pc-relative"])
@pytest.mark.parametrize("map_text", [NEAR, b""], ids=["symbols", "empty"])
def test_all_forms_of_v7_4_assemble_to_the_object_of_v7_3(
    pc_relative: tuple[str, ...], map_text: bytes, machine: str, tmp_path: Path
) -> None:
    options = ("all-symbols", *pc_relative)
    expected = objects.assemble(tool.run("v7.3", options, map_text).stdout, machine, tmp_path)
    tables = ours.build("v7.4", options, map_text)
    drop_in = assembly.drop_in(tables, b"out.bin")
    own = assembly.incbin(tables, objects.TARGETS[machine], b"out.bin")
    assert _assemble_ours(drop_in, machine, tmp_path) == expected
    assert _assemble_ours(own, machine, tmp_path) == expected
    assert objects.assemble(assembly.plain(tables), machine, tmp_path) == expected


def test_the_drop_in_form_of_v7_4_holds_any_name_that_does_not_end_a_comment(
    machine: str, tmp_path: Path
) -> None:
    map_text = NEAR + b'81000010 t quo"te\n81000010 t back\\slash\n'
    tables = ours.build("v7.4", ("all-symbols",), map_text)
    own = assembly.incbin(tables, objects.TARGETS[machine], b"out.bin")
    drop_in = assembly.drop_in(tables, b"out.bin")
    assert _assemble_ours(drop_in, machine, tmp_path) == _assemble_ours(own, machine, tmp_path)
    ended = ours.build("v7.4", ("all-symbols",), NEAR + b"81000010 t co*/mment\n")
    with pytest.raises(InputError, match="cannot be printed"):
        assembly.drop_in(ended, b"out.bin")


@pytest.mark.parametrize("dialect", DIALECTS)
def test_the_debug_listing_does_not_change_the_object(dialect: str, machine: str, tmp_path: Path) -> None:
    options = ours.for_offsets(dialect)
    # Names that would end a comment, begin a string or continue a line must not escape from the listing.
    unruly = (b"a*/b", b'b"c', b"d\\", b"/*e", b"f\\*/")
    map_text = NEAR + b"".join(b"81000010 t %b\n" % name for name in unruly)
    tables = ours.build(dialect, options, map_text)
    target = objects.TARGETS[machine]
    quiet = assembly.incbin(tables, target, b"out.bin")
    listed = assembly.incbin(tables, target, b"out.bin", debug=True)
    assert listed.binary == quiet.binary
    for name in (b"function_42", b"weak", b"_etext"):
        assert name in listed.text
        assert name not in quiet.text
    assert _assemble_ours(listed, machine, tmp_path) == _assemble_ours(quiet, machine, tmp_path)


@pytest.mark.parametrize("dialect", EMPTY_IS_FINE)
def test_empty_tables_get_their_labels_and_no_incbin(dialect: str, machine: str, tmp_path: Path) -> None:
    # gas takes a count of 0 as "the rest of the file".
    tables = ours.build(dialect, ("all-symbols",), b"")
    made = assembly.incbin(tables, objects.TARGETS[machine], b"out.bin")
    includes = [line for line in made.text.split(b"\n") if b".incbin" in line]
    assert all(int(line.split(b",")[-1], 0) > 0 for line in includes)
    theirs = tool.run(dialect, ("all-symbols",), b"")
    assert _assemble_ours(made, machine, tmp_path) == _assemble_theirs(theirs, machine, tmp_path)


@pytest.mark.parametrize(
    "name", ['quo"te.bin', "back\\x41slash.bin", "blank s.bin", "p\u00e4th.bin", "percent%d.bin"]
)
def test_the_assembler_finds_a_bin_of_any_name(
    name: str, tmp_path: Path, unavailable: Callable[[str], NoReturn]
) -> None:
    machine = "x86_64"
    reason = objects.why_not(machine)
    if reason:
        unavailable(reason)
    tables = ours.build("v7.4", ("all-symbols",), NEAR)
    expected = _assemble_theirs(tool.run("v7.4", ("all-symbols",), NEAR), machine, tmp_path)
    for made in (
        assembly.incbin(tables, objects.TARGETS[machine], name.encode()),
        assembly.drop_in(tables, name.encode()),
    ):
        (tmp_path / name).write_bytes(made.binary)
        assert objects.assemble(made.text, machine, tmp_path) == expected


@pytest.mark.parametrize("dialect", DIALECTS)
def test_the_text_changes_with_the_contents_of_the_bin(dialect: str) -> None:
    # Compiler caches and remote assemblers look at the text only.
    options = ours.for_offsets(dialect)
    target = objects.TARGETS["x86_64"]
    first, second = (
        assembly.incbin(ours.build(dialect, options, b"10 T _text\n18 t %b\n" % name), target, b"out.bin")
        for name in (b"aa", b"bb")
    )
    assert len(first.binary) == len(second.binary)
    assert first.binary != second.binary
    assert first.text != second.text


@pytest.mark.parametrize("dialect", DIALECTS)
def test_the_text_includes_no_header(dialect: str) -> None:
    options = ours.for_offsets(dialect)
    made = assembly.incbin(ours.build(dialect, options, NEAR), objects.TARGETS["i386"], b"out.bin")
    assert not [line for line in made.text.split(b"\n") if line.startswith(b"#")]
