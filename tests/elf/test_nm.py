# SPDX-License-Identifier: GPL-2.0-only
"""The map made from an ELF file, against nm and the kernel's scripts/mksysmap."""

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from kallsymsd.core.dialects import BY_NAME, DIALECTS, SymbolFilter
from kallsymsd.core.errors import InputError
from kallsymsd.elf import nm
from kallsymsd.elf.elffile import ElfFile
from kallsymsd.kbuild.script import sysmaprules
from tests import elfs, nms, oracles
from tests.elfs import Image, Section, Symbol
from tests.reference.mksysmap import SCRIPTS

#: For tests that run several programs for each example.
few = settings(max_examples=max(20, settings().max_examples // 4))

Unavailable = Callable[[str], NoReturn]

#: ELF machine, bits and byte order of each target.
TARGETS = {
    "x86_64": (elfs.EM_X86_64, 64, False),
    "i386": (elfs.EM_386, 32, False),
    "s390x": (elfs.EM_S390, 64, True),
    "s390": (elfs.EM_S390, 32, True),
    "arm": (elfs.EM_ARM, 32, False),
}
SECTION_NAMES = (
    *(b".text", b".data", b".bss", b".rodata", b".init.text", b".sdata", b".sbss", b".comment", b""),
    *(b".debug_info", b".debugx", b"debug", b".zdebug_x", b".gnu.debuglto_.debug_a", b".gnu.linkonce.wi.x"),
    *(b".line", b".stab", b".gdb_index", b".note.gnu.x", b"*foo"),
    *(b".pdata", b".pdata.1", b".pdatax", b".idata$4", b".edata", b".drectve"),
)
SECTION_FLAGS = (0, 1, 2, 3, 4, 5, 6, 7, 0x30, 0x402, 0x403)
SECTION_TYPES = (elfs.PROGBITS, elfs.PROGBITS, elfs.NOBITS, elfs.NOBITS, elfs.NOTE, 14, elfs.STRTAB)
NAMES = (
    *(b"a", b"b", b"A", b"_x", b"foo", b"foobarbazfoobarbaz1", b"foobarbazfoobarbaz2", b"\xff\x80z", b"f.1"),
    *(b"v@V1", b"v@@V2", b"@x", b".L1", b"L0", b".symtab", b"__gnu_lto_slim", b"Z" * 300),
)
any_names = st.sampled_from(NAMES)
ADDRESSES = (0, 1, 2, 3, 1 << 31, 0xFFFFFFFF81000000, 0xFFFFFFFF81000001, 0xFFFFFFFFFFFFFFFF)


@st.composite
def symbols(draw: st.DrawFn, sections: int, names: st.SearchStrategy[bytes]) -> Symbol:
    """A symbol in one of so many sections, or in none, or where no linker puts symbols."""
    reserved = (elfs.UNDEF, elfs.ABS, elfs.COMMON)
    hidden = tuple(range(sections + 1, sections + 5))
    section = draw(st.sampled_from((*range(1, sections + 1), *reserved, *hidden)))
    return Symbol(
        draw(names),
        draw(st.sampled_from(ADDRESSES) | st.integers(0, 2**64 - 1)),
        section,
        draw(st.sampled_from((0, 0, 0, 1, 1, 1, 2, 2, 3, 10, 13))),
        draw(st.sampled_from((0, 0, 1, 1, 2, 2, 3, 4, 5, 6, 8, 10))),
        draw(st.sampled_from((0, 4, 8, 2**40 + 3))),
        section not in reserved and draw(st.integers(0, 9)) == 0,
    )


@st.composite
def images(
    draw: st.DrawFn,
    targets: tuple[str, ...] = tuple(TARGETS),
    names: st.SearchStrategy[bytes] = any_names,
) -> tuple[str, Image]:
    """A target and an ELF file for it."""
    target = draw(st.sampled_from(targets))
    machine, bits, big_endian = TARGETS[target]
    sections = draw(
        st.lists(
            st.builds(
                Section,
                st.sampled_from(SECTION_NAMES),
                st.sampled_from(SECTION_TYPES),
                st.sampled_from(SECTION_FLAGS),
            ),
            min_size=1,
            max_size=8,
        )
    )
    image = Image(
        bits,
        big_endian,
        machine,
        draw(st.sampled_from((elfs.ET_EXEC, elfs.ET_DYN))),
        sections,
        draw(st.lists(symbols(len(sections), names), max_size=25)),
    )
    return target, image


def all_lines(image: bytes, flavour: int) -> bytes:
    """Our lines, with nothing dropped."""
    return nm._lines(ElfFile.read(image), flavour, SymbolFilter(types=""), b"")


@pytest.fixture(scope="module", params=[nm.BINUTILS, nm.LLVM], ids=["binutils", "llvm"])
def flavour(request: pytest.FixtureRequest, unavailable: Unavailable) -> int:
    """Each nm in turn, all of whose programs are there."""
    programs = {*nms.BINUTILS.values(), nms.MIPS} if request.param == nm.BINUTILS else {nms.LLVM}
    for program in sorted(programs):
        reason = nms.why_not(program)
        if reason:
            unavailable(reason)
    return int(request.param)


def program(target: str, flavour: int) -> str:
    return nms.BINUTILS[target] if flavour == nm.BINUTILS else nms.LLVM


def without_letters(lines: bytes, bits: int) -> list[tuple[bytes, bytes]]:
    """Address and name of each line."""
    width = bits // 4
    return [(line[:width], line[width + 3 :]) for line in lines.splitlines()]


@given(images())
def test_every_symbol_has_nms_letter_and_place(flavour: int, case: tuple[str, Image]) -> None:
    target, image = case
    encoded = image.encode()
    theirs = nms.listed(program(target, flavour), encoded)
    made = all_lines(encoded, flavour)
    if flavour == nm.LLVM:
        # LLVM's sort leaves open how symbols of one address, name and size stand to each other.
        assert without_letters(made, image.bits) == without_letters(theirs, image.bits)
        assert sorted(made.splitlines()) == sorted(theirs.splitlines())
    else:
        assert made == theirs


NAME_PARTS = (
    *(b"$", b".L", b"__crc_", b"__kstrtab_", b"__kstrtabns_", b"L0", b"__efistub_", b"__pi_", b"__kvm_nvhe_"),
    *(b"__kcfi_typeid_", b"_from_arm", b"_from_thumb", b"_veneer", b"_SDA_BASE_", b"_SDA2_BASE_", b"__"),
    *(b".long_branch.", b".plt_branch.", b"Thunk_", b"Thunk", b"ARMV5PILong", b"AArch64ADRP", b"x", b"_"),
    *(b"__LA25Thunk_", b"__microLA25Thunk_", b"__ThumbV7PILongThunk_", b"\xc3\xa9", b"9", b"10"),
    *(b"__UNIQUE_ID_modinfo", b"__mod_device_table__", b"foo"),
)
part_names = st.lists(st.sampled_from(NAME_PARTS), min_size=1, max_size=4).map(b"".join)


@few
@given(images(targets=("x86_64",), names=part_names))
def test_mksysmap_drops_the_same_symbols(
    tmp_path_factory: pytest.TempPathFactory, unavailable: Unavailable, case: tuple[str, Image]
) -> None:
    encoded = case[1].encode()
    elf = ElfFile.read(encoded)
    for dialect in oracles.SERIES:
        theirs = nms.kernels_map(dialect, nms.BINUTILS["x86_64"], encoded, tmp_path_factory.getbasetemp())
        if theirs is None:
            unavailable(oracles.missing(dialect))
        assert nm.system_map(elf, BY_NAME[dialect]) == theirs


@few
@given(images(targets=("x86_64",), names=part_names))
@example(("x86_64", Image(symbols=[Symbol(b"__Thunk_"), Symbol(b"__kcfi_typeid_x"), Symbol(b"__xThunk")])))
def test_every_dialect_drops_what_its_sed_script_drops(case: tuple[str, Image]) -> None:
    encoded = case[1].encode()
    elf = ElfFile.read(encoded)
    left: dict[tuple[str, bool], bytes] = {}
    for dialect in DIALECTS:
        flavour = nm._KALLSYMS if dialect.reads_elf else nm.BINUTILS
        way = (SCRIPTS[dialect.name], dialect.reads_elf)
        if way not in left:
            left[way] = nms.filtered(way[0], all_lines(encoded, flavour))
        assert nm.system_map(elf, dialect) == left[way], dialect


_RULES = [line for line in SCRIPTS["v6.15"].split("\n") if line and "aNUw" not in line]


@few
@given(st.lists(st.sampled_from(_RULES), max_size=4), images(targets=("x86_64",), names=part_names))
def test_rules_read_from_a_script_drop_what_sed_drops(lines: list[str], case: tuple[str, Image]) -> None:
    text = "\n".join(["/ [aNUw] /d", *lines, ""])
    found = sysmaprules.of_sed(text.encode())
    assert found is not None
    encoded = case[1].encode()
    made = nm.filtered_map(ElfFile.read(encoded), nm.BINUTILS, SymbolFilter(*found))
    assert made == nms.filtered(text, nms.listed(nms.BINUTILS["x86_64"], encoded))


def test_since_v7_4_letters_are_the_tools_own() -> None:
    """Where scripts/kallsyms reads the ELF file it differs from nm in what no kernel has."""
    image = Image(
        sections=[Section(b".text", flags=6), Section(b".pdata"), Section(b".x", elfs.NOBITS, 0)],
        symbols=[
            Symbol(b"common", 16, elfs.COMMON, elfs.GLOBAL, elfs.OBJECT, 400),
            Symbol(b"nowhere", 5, elfs.UNDEF, elfs.WEAK, elfs.OBJECT),
            Symbol(b"outside", 6, 99, elfs.GLOBAL),
            Symbol(b"unwind", 7, 2, elfs.GLOBAL),
            Symbol(b"unloaded", 8, 3),
            Symbol(b"weak", 9, 1, elfs.WEAK, elfs.COMMON_TYPE),
            Symbol(b"absolute", 10, elfs.ABS, elfs.GLOBAL),
        ],
    )
    assert nm.system_map(ElfFile.read(image.encode()), BY_NAME["v7.4"]).splitlines() == [
        b"0000000000000005 v nowhere",
        b"0000000000000006 ? outside",
        b"0000000000000007 R unwind",
        b"0000000000000008 ? unloaded",
        b"0000000000000009 W weak",
        b"000000000000000a A absolute",
        b"0000000000000010 C common",
    ]


@pytest.mark.parametrize("kind", [elfs.NOTYPE, elfs.FUNC, elfs.IFUNC])
def test_addresses_of_32_bit_mips_are_extended_by_binutils(flavour: int, kind: int) -> None:
    name = nms.MIPS if flavour == nm.BINUTILS else nms.LLVM
    values = (0, 0x11, 0x7FFFFFFF, 0x80000000, 0x80100001, 0xFFFFFFFF)
    kept = [Symbol(b"f%d" % value, value, 1, elfs.GLOBAL, kind) for value in values]
    linked = [*kept, Symbol(b"absolute", 0x80000004, elfs.ABS)]
    image = Image(32, big_endian=True, machine=elfs.EM_MIPS, symbols=linked).encode()
    assert all_lines(image, flavour) == nms.listed(name, image)
    assert nm.system_map(ElfFile.read(image), BY_NAME["v7.4"]).count(b"\n8") == 2  # the tool's own


def test_more_sections_than_a_symbol_can_number(flavour: int) -> None:
    sections = [Section(b".text.f%d" % number, flags=6, content=b"") for number in range(65_300)]
    sections[65_279] = Section(b".data.last", flags=3, content=b"")
    numbers = (1, 65_279, 65_280, 65_281, 65_300)
    image = Image(
        sections=sections,
        symbols=[
            Symbol(b"f%d" % number, number, number, elfs.GLOBAL, large=number > 0xFEFF) for number in numbers
        ]
        + [Symbol(b"absolute", 0, elfs.ABS, elfs.GLOBAL)],
    ).encode()
    elf = ElfFile.read(image)
    assert len(elf.sections) == 65_300 + 5
    assert all_lines(image, flavour) == nms.listed(program("x86_64", flavour), image)
    assert elf.find([b"f65300"])[b"f65300"].section == 65_300


def test_the_symbols_of_the_previous_object_stay_out() -> None:
    linked = ElfFile.read(
        Image(symbols=[Symbol(b"_text"), Symbol(b"kallsyms_names"), Symbol(b"kallsyms_names2")]).encode()
    )
    last = ElfFile.read(
        Image(
            symbols=[Symbol(b"kallsyms_names", 0, 1, elfs.GLOBAL), Symbol(b"_text", 0, 0, elfs.GLOBAL)]
        ).encode()
    )
    for dialect in DIALECTS:
        text = nm.system_map(linked, dialect, previous=last)
        names = [line.split(b" ")[-1] for line in text.splitlines()]
        kept = [] if dialect.name in {"v6.4", "v6.5", "v6.6", "mail-2024"} else [b"kallsyms_names"]
        assert names == [b"_text", *kept, b"kallsyms_names2"], dialect


@pytest.mark.parametrize("name", [b"a b", b"a\nb", b"a" * 70_000])
def test_names_that_no_map_can_hold_are_refused(name: bytes) -> None:
    elf = ElfFile.read(Image(symbols=[Symbol(b"fine"), Symbol(name, 1)]).encode())
    with pytest.raises(InputError, match="no map can hold") as refused:
        nm.system_map(elf, BY_NAME["v6.11"])
    assert refused.value.render(b"vmlinux").count(b"\n") == 1


def test_a_dropped_name_may_be_anything() -> None:
    """RISC-V's assembler makes local labels that end in a blank."""
    image = Image(symbols=[Symbol(b".L0 "), Symbol(b"f o", type=elfs.FILE), Symbol(b"f", 1)])
    elf = ElfFile.read(image.encode())
    assert nm.system_map(elf, BY_NAME["v6.11"]) == b"0000000000000001 t f\n"


def test_real_programs(linked: tuple[str, Path], tmp_path: Path, unavailable: Unavailable) -> None:
    target, path = linked
    image = path.read_bytes()
    for name in (nms.BINUTILS.get(target, f"{target}-linux-gnu-nm"), nms.LLVM):
        chosen = nm.LLVM if name == nms.LLVM else nm.BINUTILS
        # Mapping symbols, which nm may leave out and mksysmap drops in any case.
        mapping = r"/ \$/d"
        assert nms.filtered(mapping, all_lines(image, chosen)) == nms.filtered(
            mapping, nms.listed(name, image)
        )
        for dialect in oracles.SERIES:
            theirs = nms.kernels_map(dialect, name, image, tmp_path)
            if theirs is None:
                unavailable(oracles.missing(dialect))
            assert nm.system_map(ElfFile.read(image), BY_NAME[dialect], chosen) == theirs


PROGRAM = """
    .globl _start, a_function, absolute, v_defined
    .weak w_function, w_object, w_nowhere, v_nowhere
    .text
_start: a_function: .type a_function, %function
w_function: .type w_function, %function
same: same_too: a_local$1:
    .long 0
    .type v_nowhere, %object
    .long w_nowhere, v_nowhere
    .set absolute, 0x1234
    .set local_absolute, 0x99
    .section .rodata, "a"
w_object: .type w_object, %object
    .size w_object, 4
    .long 1
    .section .data, "aw"
v_defined: .long 2
    .section .init.text, "ax"
in_init: .long 3
    .section .tdata, "awT", %progbits
    .type thread_local, %object
thread_local: .long 4
    .bss
buffer: .space 64
    .comm common_object, 16, 8
    .lcomm local_common, 8
    .section .debug_info, "", %progbits
in_debug: .long 5
    .section .comment2, "", %progbits
in_comment: .long 6
    .section .unloaded, "w", %progbits
in_unloaded: .long 7
__crc_a_function = 0x55
__kstrtab_x: .long 8
"""


@pytest.fixture(scope="module", params=["x86_64", "i386", "s390x", "arm"])
def linked(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, unavailable: Unavailable
) -> tuple[str, Path]:
    """A program of odd symbols, assembled and linked for each target."""
    target: str = request.param
    prefix = nms.BINUTILS[target].removesuffix("nm")
    for name in (f"{prefix}as", f"{prefix}ld", nms.LLVM):
        reason = nms.why_not(name)
        if reason:
            unavailable(reason)
    text = PROGRAM
    if target in {"x86_64", "i386"}:
        text += "    .type resolved, %gnu_indirect_function\nresolved:\n"
        text += "    .type unique, %gnu_unique_object\nunique: .long 9\n"
    if target == "arm":
        text += "    .text\n    .syntax unified\n    .thumb\n    .thumb_func\n    .globl thumb\nthumb: nop\n"
    directory = tmp_path_factory.mktemp(target)
    (directory / "a.s").write_text(text)
    mode = {"x86_64": (["--64"], ["-melf_x86_64"]), "i386": (["--32"], ["-melf_i386"])}.get(target, ([], []))
    subprocess.run([f"{prefix}as", *mode[0], "-o", "a.o", "a.s"], cwd=directory, check=True)
    subprocess.run([f"{prefix}ld", *mode[1], "-o", "a.elf", "a.o"], cwd=directory, check=True)
    return target, directory / "a.elf"
