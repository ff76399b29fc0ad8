# SPDX-License-Identifier: GPL-2.0-only
"""Linked once with tables of an older state of the sources and patched, a file is byte for byte what the
links of a stock build make with the tables of the kernel's own tool, build-id included.
"""

import pytest

from kallsymsd.core.dialects import BY_NAME
from kallsymsd.elf import nm
from kallsymsd.elf.elffile import ElfFile
from kallsymsd.onelink import patchplan
from tests.onelink.conftest import Build, Built, Case
from tests.onelink.kernel import Configuration, Kernel
from tests.onelink.machines import MACHINES, NEW_LLD

ALL = ("all-symbols",)
PERCPU = ("all-symbols", "absolute-percpu")
RELATIVE = ("all-symbols", "base-relative")
PC_RELATIVE = ("all-symbols", "pc-relative")
SHA1 = "--build-id=sha1"
RELOCS = "--emit-relocs"


def _case(
    machine: str,
    dialect: str,
    options: tuple[str, ...],
    linker: str,
    *flags: str,
    head: bool = False,
    percpu0: bool = False,
) -> Case:
    kernel = Kernel(MACHINES[machine], growth=48, head=head, percpu0=percpu0)
    return Case(kernel, Configuration(BY_NAME[dialect], options, linker, flags))


CASES = [
    _case("x86_64", "v6.11", PERCPU, "ld", SHA1, percpu0=True),
    _case("x86_64", "v6.1.y", (*RELATIVE, "absolute-percpu"), "ld", "--build-id=md5", RELOCS, percpu0=True),
    _case("x86_64", "v6.11", (), "ld", SHA1),
    _case("x86_64", "v6.11", ALL, "ld", RELOCS),
    _case("x86_64", "v6.11", ALL, "ld", SHA1, RELOCS, "--strip-debug", head=True),
    _case("x86_64", "v6.11", ALL, "ld", SHA1, "-pie", head=True),
    _case("x86_64", "v6.11", ALL, "ld.lld", SHA1, RELOCS, head=True),
    _case("x86_64", "v6.1.y", ("base-relative",), "ld.lld", "--build-id=fast"),
    _case("x86_64", "v6.4", RELATIVE, "ld", SHA1),
    _case("x86_64", "v7.3", PC_RELATIVE, "ld", SHA1, RELOCS, head=True),
    _case("x86_64", "v7.3", PC_RELATIVE, "ld.lld", "--build-id=md5", RELOCS),
    _case("x86_64", "v6.11", ALL, NEW_LLD, SHA1, RELOCS, head=True),
    _case("x86_64", "v7.4", PC_RELATIVE, "ld", SHA1),
    _case("x86_64", "v7.4-markers16", PC_RELATIVE, "ld", SHA1),
    _case("i386", "v6.11", ALL, "ld", SHA1, "-pie", head=True),
    _case("i386", "v6.11", ALL, "ld.lld", SHA1, RELOCS, head=True),
    _case("s390x", "v6.11", ALL, "ld", SHA1, "-pie", head=True),
    _case("s390x", "v6.1", RELATIVE, "ld", "--build-id=md5", RELOCS),
    _case("s390x", "v7.3", PC_RELATIVE, "ld", SHA1, RELOCS),
    _case("aarch64", "v6.11", ALL, "ld", SHA1, "-pie", "--no-apply-dynamic-relocs", head=True),
    _case("aarch64", "v6.11", ALL, "ld.lld", SHA1, "-pie", "-znotext", "--apply-dynamic-relocs", head=True),
    _case("aarch64", "v7.3", PC_RELATIVE, "ld", SHA1, "-pie"),
    _case("arm", "v6.11", ALL, "ld", SHA1, head=True),
    _case("arm", "v6.1.y", RELATIVE, "ld.lld", SHA1, RELOCS),
    _case("arm", "v7.3", ALL, "ld", SHA1, "-pie"),
    _case("riscv64", "v7.3", PC_RELATIVE, "ld", SHA1, RELOCS, "-shared", "-Bsymbolic", head=True),
    _case("riscv64", "v6.11", ALL, NEW_LLD, SHA1, RELOCS, "-pie", "-znotext", head=True),
    _case("aarch64", "v7.3", PC_RELATIVE, NEW_LLD, "--build-id=fast", "-pie", "-znotext"),
    _case("i386", "v6.11", ALL, NEW_LLD, "--build-id=md5", head=True),
]


@pytest.mark.oracle
@pytest.mark.parametrize("case", CASES, ids=str)
def test_patched_is_what_a_stock_build_links(case: Case, build: Build) -> None:
    built = build(case)
    assert built.once.read_bytes() != built.stock.read_bytes()
    plan = patchplan.plan(built.elf(), built.needed())
    assert isinstance(plan, patchplan.Patch)
    assert patched(built, plan) == built.stock.read_bytes()


@pytest.mark.oracle
@pytest.mark.parametrize("case", [CASES[0], CASES[1], CASES[8], CASES[19]], ids=str)
def test_map_of_the_file_is_that_of_the_stock_build(case: Case, build: Build) -> None:
    built = build(case)
    text = nm.system_map(built.elf(), case.configuration.dialect)
    assert text == case.configuration.map(case.kernel.machine, built.stock)


@pytest.mark.oracle
def test_every_byte_of_the_tables_is_written(build: Build) -> None:
    built = build(CASES[0])
    tables = built.tree.directory / "wrong.o"
    wrong = bytearray(built.tables.read_bytes())
    section = ElfFile.read(bytes(wrong)).section(b".rodata")
    assert section is not None
    # Behind kallsyms_num_syms, the first table in this dialect, and what aligns the next.
    for at in range(section.offset + 8, section.offset + section.size):
        wrong[at] ^= 0xFF
    tables.write_bytes(wrong)
    once = Built(built.tree, built.stock, tables, built.tree.link("once-wrong", tables))
    plan = patchplan.plan(once.elf(), once.needed())
    assert isinstance(plan, patchplan.Patch)
    assert patched(once, plan) == built.stock.read_bytes()


@pytest.mark.oracle
@pytest.mark.parametrize("case", [CASES[0], CASES[4], CASES[9]], ids=str)
def test_file_that_is_right_already_needs_nothing(case: Case, build: Build) -> None:
    built = build(case)
    assert patchplan.plan(ElfFile.read(built.stock.read_bytes()), built.needed()) == patchplan.Patch([])


def patched(built: Built, plan: patchplan.Patch) -> bytes:
    content = bytearray(built.once.read_bytes())
    for offset, data in plan.replacements:
        content[offset : offset + len(data)] = data
    return bytes(content)
