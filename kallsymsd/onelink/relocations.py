# SPDX-License-Identifier: GPL-2.0-only
"""Relocations in a linked file: those that --emit-relocs keeps, and dynamic ones.

SHT_REL and SHT_RELR keep the addend in the relocated word itself. They need no change, unless the loader adds
a symbol's address to the word.
"""

import sys
from array import array
from collections.abc import Iterator
from typing import Literal, NamedTuple

from kallsymsd.elf.elffile import ElfFile, Section
from kallsymsd.elf.elfheader import EM_RISCV

_SHF_ALLOC = 2
_R_RISCV_SUB32 = 39


class Relocation(NamedTuple):
    """An entry of an SHT_RELA section (Elf32_Rela, Elf64_Rela in elf(5)).

    section    the section of the entry; a loaded section has dynamic relocations
    start      offset of the entry within that section
    symbol     index of its symbol, 0 for none
    addend     signed
    """

    section: Section
    start: int
    symbol: int
    addend: int


def entry_size(elf: ElfFile) -> int:
    """Size of an entry in bytes: three words."""
    return 3 * elf.bits // 8


def addend_at(elf: ElfFile, relocation: Relocation) -> int:
    """File offset of a relocation's addend."""
    return relocation.section.offset + relocation.start + 2 * elf.bits // 8


def awaits_symbol(elf: ElfFile, address: int) -> bool:
    """Whether a dynamic SHT_REL relocation adds a symbol's address to the word at ``address``.

    Then the word holds the addend, not the sum. Linkers do that for symbols that another file may override
    (-shared without -Bsymbolic).
    """
    word = elf.bits // 8
    order: Literal["little", "big"] = "big" if elf.big_endian else "little"
    place = address.to_bytes(word, order)
    for section in elf.sections:
        if section.type != "SHT_REL" or not section.flags & _SHF_ALLOC:
            continue
        contents = bytes(elf.contents(section))
        at = contents.find(place)
        while at >= 0:
            info = int.from_bytes(contents[at + word : at + 2 * word], order)
            if at % (2 * word) == 0 and info >> (32 if word == 8 else 8):
                return True
            at = contents.find(place, at + 1)
    return False


def at_place(elf: ElfFile, address: int) -> Iterator[Relocation]:
    """All SHT_RELA relocations of the word at ``address``."""
    word = elf.bits // 8
    order: Literal["little", "big"] = "big" if elf.big_endian else "little"
    place = address.to_bytes(word, order)
    for section in elf.sections:
        if section.type != "SHT_RELA":
            continue
        contents = bytes(elf.contents(section))
        at = contents.find(place)
        while at >= 0:
            if at % (3 * word) == 0 and at + 3 * word <= len(contents):
                info = int.from_bytes(contents[at + word : at + 2 * word], order)
                addend = int.from_bytes(contents[at + 2 * word : at + 3 * word], order, signed=True)
                yield Relocation(section, at, info >> (32 if word == 8 else 8), addend)
            at = contents.find(place, at + 1)


def with_addends(elf: ElfFile, first: Relocation, address: int, addends: memoryview) -> bytes | None:
    """The entries from ``first`` on, with their addends replaced by ``addends`` (i32).

    None unless they relocate consecutive 32-bit words from ``address`` on, with the same type and symbol.
    RISC-V has a second entry for each word, without addend, which subtracts the word's own label; that entry
    is left unchanged.
    """
    entries = _entries_of_place(elf, first, address)
    size = len(addends) * entries * entry_size(elf)
    contents = elf.contents(first.section)[first.start : first.start + size]
    if len(contents) != size:
        return None
    words = array("Q" if elf.bits == 64 else "I", bytes(contents))
    swapped = elf.big_endian != (sys.byteorder == "big")
    if swapped:
        words.byteswap()
    code, step = words.typecode, 3 * entries
    places = array(code, range(address, address + 4 * len(addends), 4))
    if any(words[column::step] != places for column in range(0, step, 3)) or (
        words[1::step] != words[1:2] * len(addends)
    ):
        return None
    if entries == 2 and (any(words[5::step]) or not _are_sub32(elf, words[4::step].tobytes())):
        return None
    words[2::step] = array(code, array(code.lower(), addends).tobytes())
    if swapped:
        words.byteswap()
    return words.tobytes()


def _entries_of_place(elf: ElfFile, first: Relocation, address: int) -> int:
    """Number of consecutive entries for the first word: 1 or 2."""
    second = first.start + entry_size(elf)
    place = elf.contents(first.section)[second : second + elf.bits // 8]
    return 2 if place == address.to_bytes(elf.bits // 8, "big" if elf.big_endian else "little") else 1


def _are_sub32(elf: ElfFile, infos: bytes) -> bool:
    """Whether all r_info, in this machine's byte order, have the type R_RISCV_SUB32; the symbols differ."""
    size, low = elf.bits // 8, 4 if elf.bits == 64 else 1
    expected = _R_RISCV_SUB32.to_bytes(low, sys.byteorder)
    first = 0 if sys.byteorder == "little" else size - low
    return elf.machine == EM_RISCV and all(
        infos[first + at :: size] == expected[at : at + 1] * (len(infos) // size) for at in range(low)
    )
