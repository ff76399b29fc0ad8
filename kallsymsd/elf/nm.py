# SPDX-License-Identifier: GPL-2.0-only
"""ELF -> the map that ``nm -n VMLINUX | mksysmap`` would print, byte for byte, in the C locale."""

import re

from kallsymsd.core.dialects import Dialect, SymbolFilter
from kallsymsd.core.errors import InputError
from kallsymsd.elf import elfheader
from kallsymsd.elf.elffile import ElfFile, Section
from kallsymsd.elf.native.mksysmap import DroppedSymbols
from kallsymsd.elf.native.nmlines import NmForm, nm_lines

#: Which nm: the letters and the order of binutils, or of llvm-nm.
BINUTILS = 0
LLVM = 1
# How the output of "nm --version" begins. What these versions print of three kernels was compared: binutils
# 2.35.2, 2.40, 2.44 and a snapshot of 2.47; LLVM 13, 14, 15, 16 and 19. In a build, every version gets a
# trial (kallsymsd.kbuild.linkedmap).
_VERSIONS = (
    (BINUTILS, re.compile(rb"GNU nm (?:\([^)\n]*\)|version) \d+\.\d+")),
    (LLVM, re.compile(rb"llvm-nm, [^\n]*\n[^\n]*\n?[^\n]*LLVM version \d+\.\d+\.")),
)
# The letters and the order of scripts/kallsyms, if it reads the ELF file itself.
_KALLSYMS = 2

_LORESERVE = 0xFF00  # SHN_LORESERVE (elf.h)
_SHF_WRITE = 1
_SHF_ALLOC = 2
_SHF_EXECINSTR = 4

# Prefixes of section names that mean debugging, for sections that are not loaded (bfd/elf.c, llvm-nm.cpp).
_DEBUG = {
    BINUTILS: (b".debug", b".zdebug", b".gnu.debuglto_.debug_", b".gnu.linkonce.wi.", b".line", b".stab"),
    LLVM: (b".debug",),
    _KALLSYMS: (b".debug", b".zdebug", b".gnu.debuglto_.debug_", b".gnu.linkonce.wi.", b".line", b".stab"),
}
# Sections of PE files, which BFD recognizes by name whatever they hold (bfd/syms.c).
_PE = {b".drectve": b"i", b".edata": b"e", b".idata": b"i", b".pdata": b"p"}
# What may follow such a name.
_AFTER_PE = (b"", *(bytes([byte]) for byte in b".$0123456789"))
# Sections whose data is addressed by one register and an offset (BFD's SEC_SMALL_DATA). BFD recognizes them
# by a flag on Alpha and Itanium (SHF_ALPHA_GPREL, SHF_IA_64_SHORT), and by name on 64-bit POWER. Checked with
# binutils 2.40 for each machine below, with each flag that a section can have and with the usual names.
_SMALL_BY_FLAG = {elfheader.EM_ALPHA: 0x10000000, elfheader.EM_IA_64: 0x10000000}
_SMALL_BY_NAME = {elfheader.EM_PPC64: (b".sdata", b".sbss")}
_SMALL_LETTERS = {b"d": b"g", b"b": b"s"}
#: ELF machines (e_machine) for which binutils' nm was checked: EM_386, EM_68K, EM_MIPS, EM_PARISC, EM_PPC,
#: EM_PPC64, EM_S390, EM_ARM, EM_SH, EM_SPARCV9, EM_IA_64, EM_X86_64, EM_AARCH64, EM_ARC_COMPACT2, EM_RISCV,
#: EM_ALPHA.
TRIED = frozenset((3, 4, 8, 15, 20, 21, 22, 40, 42, 43, 50, 62, 183, 195, 243, 0x9026))
# What may mean small data on other machines: processor-specific flags (SHF_MASKPROC without SHF_EXCLUDE), or
# the name.
_SHF_MASKPROC = 0x70000000
_SMALL_NAMES = (b".sdata", b".sbss", b".scommon", b".srdata", b".lit")
# Sections that BFD hides: symbols in them count as absolute.
_HIDDEN = ("SHT_NULL", "SHT_SYMTAB", "SHT_SYMTAB_SHNDX")


def of_version(text: bytes) -> int | None:
    """Which nm prints ``text`` for --version: BINUTILS or LLVM; None for others."""
    return next((flavour for flavour, form in _VERSIONS if form.match(text)), None)


def system_map(
    elf: ElfFile,
    dialect: Dialect,
    nm: int = BINUTILS,
    previous: ElfFile | None = None,
    *,
    dropped: SymbolFilter | None = None,
) -> bytes:
    """The map of a linked kernel, as text.

    nm        whose letters and order to use: BINUTILS or LLVM; a dialect that reads ELF files has its own
    previous  the object made from the last output of scripts/kallsyms, whose symbols v6.4 to v6.9 drop;
              without it, the labels in the output of these dialects are dropped
    dropped   what to drop, if not what the dialect drops

    Raises InputError if the symbol table is missing or damaged, if a name has a blank, a newline or more than
    65,535 bytes, which no map can hold, or if binutils' letter for a section is not known.
    """
    if dialect.reads_elf:
        nm = _KALLSYMS
    dropped = dropped or dialect.mksysmap
    rules = b"".join(rule.encode() + b"\0" for rule in dropped.rules)
    if previous is None and dropped.previous:
        rules += b"".join(b"=kallsyms_%b\0" % table.encode() for table in (*dialect.order, "addresses"))
    elif previous is not None and dropped.previous:
        defined = _lines(previous, nm, SymbolFilter(types="U"), b"").splitlines()
        rules += b"".join(b"=%b\0" % line.rsplit(b" ", 1)[1] for line in defined)
    return _lines(elf, nm, dropped, rules)


def filtered_map(elf: ElfFile, nm: int, dropped: SymbolFilter) -> bytes:
    """Like system_map(), but drop what ``dropped`` says, ignoring its ``previous``."""
    return _lines(elf, nm, dropped, b"".join(rule.encode() + b"\0" for rule in dropped.rules))


def _lines(elf: ElfFile, nm: int, dropped: SymbolFilter, rules: bytes) -> bytes:
    symbols = elf.symbols()
    if nm == LLVM and elf.machine == elfheader.EM_ARM:
        rules += b"=\0"  # the empty name
    low_bits = {elfheader.EM_ARM: 2, elfheader.EM_MIPS: 1}
    form = NmForm(
        _letters(elf, nm),
        flavour=nm,
        clear_low_bit=0 if nm == _KALLSYMS else low_bits.get(elf.machine, 0),
        # BFD stores a 32-bit MIPS address as the 64-bit address of the same place, and prints all 64 bits.
        sign_extend=nm == BINUTILS and elf.bits == 32 and elf.machine == elfheader.EM_MIPS,
        width=elf.bits // 4,
    )
    text, bad = nm_lines(symbols, form, DroppedSymbols(dropped.types.encode(), rules))
    if bad:
        raise InputError(b"no map can hold the symbols", detail=b"symbol %d has a blank or is too long" % bad)
    return text


def _letters(elf: ElfFile, nm: int) -> bytes:
    """For each section, the letter of a local symbol in it."""
    letters = bytearray(b"".join(_letter(section, nm) for section in elf.sections))
    if nm == BINUTILS:
        for section in elf.sections:
            if _is_small(section, elf.machine):
                letter = bytes(letters[section.index : section.index + 1])
                letters[section.index] = _SMALL_LETTERS.get(letter, letter)[0]
        for section in elf.sections:
            if section.type in _HIDDEN:
                letters[section.index] = ord("a")
            if section.type == "SHT_SYMTAB" and section.link < len(letters):
                letters[section.link] = ord("a")
        if elf.names < len(letters):
            letters[elf.names] = ord("a")
    if nm == _KALLSYMS:  # it does not look up an index that does not fit into the symbol
        letters[_LORESERVE:] = b"?" * len(letters[_LORESERVE:])
    return bytes(letters)


def _is_small(section: Section, machine: int) -> bool:
    """Whether BFD takes a section for small data. Raises InputError if the machine was not checked."""
    if machine not in TRIED:
        if section.flags & _SHF_MASKPROC or section.name.startswith(_SMALL_NAMES):
            detail = b"nm's letter for section %b is not known for ELF machine %d" % (section.name, machine)
            raise InputError(b"no map can be made", detail=detail)
        return False
    return bool(section.flags & _SMALL_BY_FLAG.get(machine, 0)) or section.name.startswith(
        _SMALL_BY_NAME.get(machine, ())
    )


def _letter(section: Section, nm: int) -> bytes:
    flags, empty = section.flags, section.type == "SHT_NOBITS"
    if nm == BINUTILS:
        for name, letter in _PE.items():
            if section.name.startswith(name) and section.name[len(name) : len(name) + 1] in _AFTER_PE:
                return letter
    if flags & _SHF_EXECINSTR:
        return b"t"
    if flags & _SHF_ALLOC:
        if empty:
            return b"b"
        return b"d" if flags & _SHF_WRITE else b"r"
    if empty and nm != _KALLSYMS:
        return b"b"
    if section.name.startswith(_DEBUG[nm]) or (nm == BINUTILS and section.name == b".gdb_index"):
        return b"N"
    return b"n" if not empty and not flags & _SHF_WRITE else b"?"
