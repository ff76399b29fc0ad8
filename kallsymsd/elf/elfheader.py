# SPDX-License-Identifier: GPL-2.0-only
"""The header of an ELF file, and where its section headers are (System V ABI, chapter 4).

pyelftools could do this job, but costs too much time. Importing it takes longer than reading everything that
a link needs to know about its kernel. It takes 17 µs for a section header, and an object with 12,000 exported
symbols has 25,000 of them.
"""

import struct
from typing import NamedTuple

from kallsymsd.core.errors import InputError

#: Number of bytes that :func:`read` needs; a file may have fewer.
SIZE = 64
#: e_machine of machines whose symbols, sections or relocations need special treatment.
EM_MIPS = 8
EM_PPC64 = 21
EM_ARM = 40
EM_IA_64 = 50
EM_RISCV = 243
EM_ALPHA = 0x9026
#: e_shstrndx if the first section header has the index instead.
XINDEX = 0xFFFF

# By bits: e_type to e_shstrndx without e_version, e_entry, e_phoff and e_flags; a section header; e_ehsize.
_LAYOUTS = {32: ("16xHH12xI4xH4xHHH", "10I", 52), 64: ("16xHH20xQ4xH4xHHH", "2I4Q2I2Q", 64)}
_TYPES = {1: "ET_REL", 2: "ET_EXEC", 3: "ET_DYN", 4: "ET_CORE"}


class Header(NamedTuple):
    """The header of an ELF file.

    bits            32 or 64
    big_endian      its byte order
    type            the name in elf.h, such as "ET_EXEC"; the number as text for other types
    machine         e_machine
    sections_at     offset of the section headers, 0 for none
    section_count   number of section headers; also 0 if the first of them has the number (sh_size)
    names           index of the section with the sections' names; XINDEX if the first has it (sh_link)
    section         layout of a section header: name, type, flags, address, offset, size, link, info,
                    alignment, entry size
    """

    bits: int
    big_endian: bool
    type: str
    machine: int
    sections_at: int
    section_count: int
    names: int
    section: struct.Struct


def read(data: bytes) -> Header:
    """The header of the file that begins with ``data``: SIZE bytes, or the whole file if it is shorter.

    Raises InputError if the file is no ELF file, or if its header is damaged or has another version.
    """
    if data[:4] != b"\x7fELF":
        raise InputError(b"not an ELF file", detail=b"the first four bytes are not 7f 45 4c 46")
    if len(data) < 16 or data[4] not in (1, 2) or data[5] not in (1, 2) or data[6] != 1:
        raise InputError(b"damaged ELF file", detail=b"unknown class, byte order or version")
    bits, big_endian = 32 * data[4], data[5] == 2
    layout, section, size = _LAYOUTS[bits]
    order = ">" if big_endian else "<"
    try:
        fields = struct.unpack_from(order + layout, data)
    except struct.error as error:
        raise InputError(b"damaged ELF file", detail=b"it ends within the header") from error
    kind, machine, sections_at, header_size, section_size, section_count, names = fields
    if header_size != size:
        raise InputError(b"damaged ELF file", detail=b"a header of %d bytes" % header_size)
    sections = struct.Struct(order + section)
    if sections_at and section_size != sections.size:
        raise InputError(b"damaged ELF file", detail=b"section headers of %d bytes" % section_size)
    return Header(
        bits,
        big_endian,
        _TYPES.get(kind, str(kind)),
        machine,
        sections_at,
        section_count,
        names,
        sections,
    )
