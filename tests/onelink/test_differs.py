# SPDX-License-Identifier: GPL-2.0-only
"""Files that must be linked again, and why; files that are damaged."""

import dataclasses
import random
import re
import shutil
import struct
import sys
from pathlib import Path

import pytest

from kallsymsd.core import pipeline
from kallsymsd.core.dialects import ALL_SYMBOLS, BY_NAME
from kallsymsd.core.errors import InputError
from kallsymsd.elf import nm
from kallsymsd.elf.elffile import ElfFile
from kallsymsd.onelink import buildid, patchplan
from tests.onelink.conftest import Build, Case, needed
from tests.onelink.kernel import Configuration, Kernel, Tree
from tests.onelink.machines import MACHINES, NEW_LLD

X86_64 = MACHINES["x86_64"]
SIMPLE = Case(
    Kernel(X86_64, growth=48), Configuration(BY_NAME["v6.11"], ("all-symbols",), "ld", ("--build-id=sha1",))
)

pytestmark = pytest.mark.oracle


def _reason(elf: ElfFile, configuration: Configuration = SIMPLE.configuration) -> str:
    plan = patchplan.plan(elf, needed(elf, configuration))
    assert isinstance(plan, patchplan.LayoutDiffers), plan
    assert "\n" not in plan.reason
    return plan.reason


def test_more_symbols(build: Build, tmp_path: Path) -> None:
    built = build(SIMPLE)
    larger = dataclasses.replace(SIMPLE.kernel, more=("one_more_function",))
    tree = Tree(larger, SIMPLE.configuration, tmp_path / "larger")
    shutil.copy(built.tables, tree.directory / built.tables.name)
    elf = ElfFile.read(tree.link("once", tree.directory / built.tables.name).read_bytes())
    assert " is at " in _reason(elf)


def test_other_names(build: Build) -> None:
    built = build(SIMPLE)
    content = built.once.read_bytes()
    # Of the same length, but of letters that no other name has.
    content = content.replace(b"\0linux_banner\0", b"\0XYQWZJXYQWZ7\0")
    reason = _reason(ElfFile.read(content))
    assert "after" in reason
    assert "bytes of kallsyms_" in reason


@pytest.mark.parametrize("table", ["num_syms", "names", "offsets", "relative_base", "seqs_of_names"])
def test_missing_label(table: str, build: Build) -> None:
    built = build(SIMPLE)
    content = built.once.read_bytes().replace(
        f"\0kallsyms_{table}\0".encode(), f"\0kallsymz_{table}\0".encode()
    )
    assert _reason(ElfFile.read(content)) == f"it lacks kallsyms_{table}, unlike tables of dialect v6.11"


def test_without_any_tables(build: Build) -> None:
    elf = ElfFile.read(build(SIMPLE).tree.link("bare", None).read_bytes())
    assert "it lacks kallsyms_" in _reason(elf)


def test_label_of_another_dialect(build: Build) -> None:
    elf = build(SIMPLE).elf()
    other = dataclasses.replace(SIMPLE.configuration, dialect=BY_NAME["v7.0"])
    assert _reason(elf, other) == "it has kallsyms_relative_base, unlike tables of dialect v7.0"


def test_tables_in_another_order(build: Build) -> None:
    elf = build(SIMPLE).elf()
    other = Configuration(BY_NAME["v6.1.y"], ("all-symbols", "base-relative"))
    assert "kallsyms_relative_base is at" in _reason(elf, other)


def test_absolute_addresses(build: Build) -> None:
    elf = build(SIMPLE).elf()
    other = Configuration(BY_NAME["v6.1.y"], ("all-symbols",))
    assert "absolute addresses" in _reason(elf, other)


def test_another_number_of_symbols(build: Build) -> None:
    built = build(SIMPLE)
    elf = built.elf()
    label = elf.find([b"kallsyms_num_syms"])[b"kallsyms_num_syms"]
    section = elf.sections[label.section]
    content = bytearray(built.once.read_bytes())
    at = section.offset + label.value - section.address
    (count,) = struct.unpack_from("<I", content, at)
    struct.pack_into("<I", content, at, count - 1)
    assert _reason(ElfFile.read(bytes(content))) == f"kallsyms_num_syms is not {count}"


def test_size_of_a_label(build: Build) -> None:
    # The padding behind can hide it from all other labels.
    configuration = Configuration(BY_NAME["v7.3"], ("all-symbols",))
    built = build(Case(SIMPLE.kernel, configuration))
    elf = built.elf()
    tables = needed(elf, configuration)
    size = len(tables.token_table)
    symbol = elf.find([b"kallsyms_token_table"])[b"kallsyms_token_table"]
    assert symbol.size == size
    entry = struct.pack("<QQ", symbol.value, size)
    assert built.once.read_bytes().count(entry) == 1
    wrong = built.once.read_bytes().replace(entry, struct.pack("<QQ", symbol.value, size - 1))
    assert _reason(ElfFile.read(wrong), configuration) == (
        f"kallsyms_token_table has {size - 1} bytes and needs {size}"
    )


def test_tables_of_another_kernel(build: Build) -> None:
    built = build(SIMPLE)
    text = nm.system_map(built.elf(), BY_NAME["v6.11"])
    text = text.replace(b"ffffffff81000000 T _text", b"ffffffff81000001 T _text")
    plan = patchplan.plan(built.elf(), pipeline.build(text, BY_NAME["v6.11"], ALL_SYMBOLS))
    assert isinstance(plan, patchplan.LayoutDiffers)
    assert "_text has another address" in plan.reason


@pytest.mark.parametrize("linker", ["ld", "ld.lld"])
@pytest.mark.parametrize(
    ("machine", "dialect", "options", "table"),
    [("arm", "v6.11", (), "relative_base"), ("i386", "v7.3", ("pc-relative",), "offsets")],
)
def test_symbol_that_another_file_may_have(
    machine: str, dialect: str, options: tuple[str, ...], table: str, linker: str, build: Build
) -> None:
    # The words hold addends, to be added to the address of _text when the file is loaded.
    flags = ("--build-id=sha1", "-shared", *(["-znotext"] if linker == "ld.lld" else []))
    configuration = Configuration(BY_NAME[dialect], ("all-symbols", *options), linker, flags)
    elf = build(Case(Kernel(MACHINES[machine], growth=48, head=True), configuration)).elf()
    assert f"kallsyms_{table} has " in _reason(elf, configuration)


@pytest.mark.parametrize("kind", ["uuid", "0x" + "5a" * 20, "0x" + "5a" * 5])
@pytest.mark.parametrize("linker", ["ld", "ld.lld", NEW_LLD])
def test_build_id_by_no_formula(kind: str, linker: str, build: Build) -> None:
    configuration = dataclasses.replace(SIMPLE.configuration, linker=linker, flags=(f"--build-id={kind}",))
    elf = build(Case(SIMPLE.kernel, configuration)).elf()
    assert _reason(elf) == f"no known formula gives its build-id, {found_id(elf)}"


def test_build_id_of_blake3_without_the_package(build: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    configuration = dataclasses.replace(SIMPLE.configuration, linker=NEW_LLD)
    elf = build(Case(SIMPLE.kernel, configuration)).elf()
    monkeypatch.setitem(sys.modules, "blake3", None)
    assert re.search(r"id, [0-9a-f]{40}; LLD \d+ uses BLAKE3: install the Python package", _reason(elf))
    content = bytes(elf.data).replace(b"Linker: ", b"Linker? ")
    assert _reason(ElfFile.read(content)).endswith(found_id(elf))


def found_id(elf: ElfFile) -> str:
    note = buildid.find(elf)
    assert note is not None
    return note.id.hex()


def test_file_that_was_changed_since_it_was_linked(build: Build) -> None:
    built = build(SIMPLE)
    content = bytearray(built.once.read_bytes())
    section = built.elf().section(b".data")
    assert section is not None
    content[section.offset + 64] ^= 1
    assert "no known formula gives its build-id" in _reason(ElfFile.read(bytes(content)))


def test_truncated_file(build: Build) -> None:
    built = build(SIMPLE)
    content, tables = built.once.read_bytes(), built.needed()
    for part in range(40):
        with pytest.raises(InputError):
            patchplan.plan(ElfFile.read(content[: len(content) * part // 40]), tables)


@pytest.mark.parametrize("flags", [("--build-id=sha1", "--emit-relocs"), ("--build-id=md5", "-pie")], ids=str)
def test_damaged_file(flags: tuple[str, ...], build: Build) -> None:
    configuration = Configuration(BY_NAME["v7.3"], ("all-symbols", "pc-relative"), flags=flags)
    built = build(Case(SIMPLE.kernel, configuration))
    elf, tables = built.elf(), built.needed()
    headers = elf.data.obj
    assert isinstance(headers, bytes)
    start = struct.unpack_from("<Q", headers, 40)[0]  # e_shoff
    places = [*range(64), *range(start, len(headers))]
    for name in (b".symtab", b".rela.rodata", b".rela.dyn", b".notes"):
        if section := elf.section(name):
            places += range(section.offset, section.offset + min(section.size, 600))
    chance = random.Random(flags[0])
    for _ in range(300):
        content = bytearray(headers)
        for _ in range(chance.choice((1, 1, 4))):
            content[chance.choice(places)] = chance.choice((0, 1, 0x7F, 0xFF, chance.randrange(256)))
        try:
            plan = patchplan.plan(ElfFile.read(bytes(content)), tables)
        except InputError:
            continue
        if isinstance(plan, patchplan.Patch):
            end = 0
            for offset, data in plan.replacements:
                assert end <= offset < offset + len(data) <= len(content)
                end = offset + len(data)
