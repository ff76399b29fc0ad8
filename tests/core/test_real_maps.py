# SPDX-License-Identifier: GPL-2.0-only
"""The maps of four Debian kernels, against what those kernels hold and what their own tools print."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import pytest

from kallsymsd.core import assembly, tokens
from kallsymsd.core.native import simd
from kallsymsd.core.native.tokentable import TokenTable
from kallsymsd.core.tables import Tables
from kallsymsd.core.target import Target
from tests import objects
from tests.core import ours
from tests.maps import RealMap
from tests.oracles import Oracle

MACHINES = {"amd64": "x86_64", "i386": "i386", "s390x": "s390x"}


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@pytest.fixture(scope="module")
def tables(real_map: RealMap) -> Tables:
    """Our tables for ``real_map``, with the options of its kernel's build."""
    return ours.build(real_map.dialect, real_map.options, real_map.path.read_bytes())


@pytest.fixture(scope="module")
def target(real_map: RealMap) -> Target:
    return Target(real_map.expected["bits"], big_endian=not real_map.expected["little_endian"])


def test_the_map_is_the_one_that_the_expectations_are_about(real_map: RealMap) -> None:
    assert _sha256(real_map.path.read_bytes()) == real_map.expected["map_sha256"]


def test_every_table_equals_that_of_the_real_kernel(
    real_map: RealMap, tables: Tables, target: Target
) -> None:
    encoded = tables.encode(target)
    found = {name: {"len": len(content), "sha256": _sha256(content)} for name, content in encoded.items()}
    assert found == real_map.expected["tables"]
    assert tables.num_syms == real_map.expected["num_syms"]
    assert tables.warnings == b""


@pytest.mark.parametrize("variant", ["portable", "sse2", "avx2"])
def test_every_instruction_set_makes_the_token_table_of_the_real_kernel(
    real_map: RealMap, tables: Tables, variant: str
) -> None:
    chosen = simd.variant()
    if not simd.choose_variant(variant.encode()):
        pytest.skip(f"this machine has no {variant}")
    try:
        made, codes = TokenTable.build(tables.symbols.strings)
    finally:
        simd.choose_variant(chosen.encode())
    content = b"".join(text + b"\0" for text in tokens.expansions(made))
    assert _sha256(content) == real_map.expected["tables"]["token_table"]["sha256"]
    assert codes == tables.codes.data


def test_labels_and_relative_base_stand_as_in_the_real_kernel(
    real_map: RealMap, tables: Tables, target: Target
) -> None:
    expected = real_map.expected
    for text in (assembly.plain(tables), assembly.incbin(tables, target, b"out.bin").text):
        labels = [line[:-1].decode() for line in text.split(b"\n") if line.endswith(b":")]
        assert labels == expected["order"]
        distance = int(expected["relative_base"], 0) - int(expected["_text"], 0)
        assert b"\t_text + %d\n" % distance in text


def test_plain_assembly_is_what_the_kernels_own_tool_printed(real_map: RealMap, tables: Tables) -> None:
    text = assembly.plain(tables)
    assert len(text) == real_map.expected["stock_S_bytes"]
    assert _sha256(text) == real_map.expected["stock_S_sha256"]


@pytest.mark.oracle
def test_plain_assembly_is_what_the_kernels_own_tool_prints_here(
    real_map: RealMap, real_oracle: Oracle, tables: Tables
) -> None:
    theirs = real_oracle.run_file(real_map.options, real_map.path)
    assert theirs.status == 0
    # Not "==" within the assertion: a difference of 37 MB cannot be shown.
    equal = assembly.plain(tables) == theirs.stdout
    assert equal


@pytest.mark.oracle
def test_the_object_of_our_two_files_equals_that_of_the_kernels_own_text(
    real_map: RealMap,
    real_oracle: Oracle,
    tables: Tables,
    target: Target,
    tmp_path: Path,
    unavailable: Callable[[str], NoReturn],
) -> None:
    machine = MACHINES[real_map.name.partition("-")[0]]
    reason = objects.why_not(machine)
    if reason:
        unavailable(reason)
    assert objects.TARGETS[machine] == target
    made = assembly.incbin(tables, target, b"out.bin")
    (tmp_path / "out.bin").write_bytes(made.binary)
    mine = objects.assemble(made.text, machine, tmp_path)
    theirs = objects.assemble(real_oracle.run_file(real_map.options, real_map.path).stdout, machine, tmp_path)
    assert mine.symbols == theirs.symbols
    assert mine.relocations == theirs.relocations
    assert mine.sections.keys() == theirs.sections.keys()
    equal = mine.sections == theirs.sections
    assert equal
