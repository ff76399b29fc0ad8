# SPDX-License-Identifier: GPL-2.0-only
"""What the tool of v7.4 makes of a linked kernel: the map, with letters, filters and order of its own."""

import re
import struct
from dataclasses import dataclass

SHT_SYMTAB, SHT_NOBITS, SHT_SYMTAB_SHNDX = 2, 8, 18
SHF_WRITE, SHF_ALLOC, SHF_EXECINSTR = 1, 2, 4
STB_GLOBAL, STB_WEAK, STB_GNU_UNIQUE = 1, 2, 10
STT_OBJECT, STT_SECTION, STT_FILE, STT_GNU_IFUNC = 1, 3, 4, 10
SHN_UNDEF, SHN_LORESERVE, SHN_ABS, SHN_COMMON, SHN_XINDEX = 0, 0xFF00, 0xFFF1, 0xFFF2, 0xFFFF

DEBUG = (b".debug", b".zdebug", b".gnu.debuglto_.debug_", b".gnu.linkonce.wi.", b".line", b".stab")

OMITTED = re.compile(
    rb"(\$|\.L|__efistub_|__pi_\$|__pi_\.L|__kvm_nvhe_\$|__kvm_nvhe_\.L|__kcfi_typeid_"
    rb"|__kvm_nvhe___kcfi_typeid_|__pi___kcfi_typeid_|__crc_|__kstrtab_|__kstrtabns_|__mod_device_table__).*"
    rb"|.*(_from_arm|_from_thumb|_veneer)"
    rb"|L0|_SDA_BASE_|_SDA2_BASE_"
    rb"|.*(\.long_branch\.|\.plt_branch\.).*"
    rb"|__[A-Za-z0-9]*Thunk_.*"
    rb"|__UNIQUE_ID_modinfo_[0-9]*",
    re.DOTALL,
)


@dataclass(frozen=True)
class Header:
    """Of a section header what matters here."""

    name: bytes
    kind: int
    flags: int
    offset: int
    size: int
    link: int


def system_map(data: bytes) -> bytes:
    """The map of a well-formed ELF file; an empty one has an empty map."""
    if not data:
        return b""
    wide, order = data[4] == 2, "<>"[data[5] - 1]
    sections = _sections(data, order, wide=wide)
    lines = [
        (value, name, letter)
        for value, name, letter in _symbols(data, sections, order, wide=wide)
        if letter not in b"aNUw" and not OMITTED.fullmatch(name)
    ]
    lines.sort(key=lambda line: line[:2])  # equal ones stay in the order of the symbol table
    width = 16 if wide else 8
    return b"".join(b"%0*x %b %b\n" % (width, value, letter, name) for value, name, letter in lines)


def _sections(data: bytes, order: str, *, wide: bool) -> list[Header]:
    if wide:
        (start,) = struct.unpack_from(order + "Q", data, 40)
        size, count, strings = struct.unpack_from(order + "HHH", data, 58)
        layout = order + "IIQQQQIIQQ"
    else:
        (start,) = struct.unpack_from(order + "I", data, 32)
        size, count, strings = struct.unpack_from(order + "HHH", data, 46)
        layout = order + "IIIIIIIIII"
    first = struct.unpack_from(layout, data, start)
    count = count or first[5]
    strings = first[6] if strings == SHN_XINDEX else strings
    raw = [struct.unpack_from(layout, data, start + number * size) for number in range(count)]
    return [
        Header(_string(data, raw[strings][4] + name), kind, flags, offset, length, link)
        for name, kind, flags, _, offset, length, link, *_ in raw
    ]


def _symbols(
    data: bytes, sections: list[Header], order: str, *, wide: bool
) -> list[tuple[int, bytes, bytes]]:
    """Value, name and letter of each symbol that has a letter."""
    index = next(number for number, header in enumerate(sections) if header.kind == SHT_SYMTAB)
    table = sections[index]
    names = sections[table.link].offset
    size = 24 if wide else 16
    found = []
    for at in range(table.offset + size, table.offset + table.size, size):
        if wide:
            name, info, _, section, value, _ = struct.unpack_from(order + "IBBHQQ", data, at)
        else:
            name, value, _, info, _, section = struct.unpack_from(order + "IIIBBH", data, at)
        if info & 15 not in (STT_SECTION, STT_FILE):
            letter = _letter(sections, info >> 4, info & 15, section)
            found.append((value, _string(data, names + name), letter))
    return found


def _letter(sections: list[Header], bind: int, kind: int, section: int) -> bytes:
    if section == SHN_COMMON:
        return b"C"
    if section == SHN_UNDEF:
        if bind == STB_WEAK:
            return b"v" if kind == STT_OBJECT else b"w"
        return b"U"
    if kind == STT_GNU_IFUNC:
        return b"i"
    if bind == STB_WEAK:
        return b"V" if kind == STT_OBJECT else b"W"
    if bind == STB_GNU_UNIQUE:
        return b"u"
    if bind > STB_GLOBAL:
        return b"?"
    if section == SHN_ABS:
        letter = b"a"
    elif section >= min(len(sections), SHN_LORESERVE):
        letter = b"?"
    else:
        letter = _section_letter(sections[section])
    return letter.upper() if bind == STB_GLOBAL else letter


def _section_letter(header: Header) -> bytes:
    if header.flags & SHF_EXECINSTR:
        return b"t"
    if header.flags & SHF_ALLOC:
        if header.kind == SHT_NOBITS:
            return b"b"
        return b"d" if header.flags & SHF_WRITE else b"r"
    if header.name.startswith(DEBUG):
        return b"N"
    return b"n" if header.kind != SHT_NOBITS and not header.flags & SHF_WRITE else b"?"


def _string(data: bytes, at: int) -> bytes:
    return data[at : data.index(b"\0", at)]
