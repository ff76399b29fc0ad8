# SPDX-License-Identifier: GPL-2.0-only
"""ELF files: headers, sections and the symbol table.

Native code decodes the whole symbol table at once. Whatever a damaged file claims, nothing outside of it is
read, and memory use stays a small multiple of its size.
"""

import struct
from collections.abc import Iterable
from mmap import mmap
from typing import NamedTuple

from kallsymsd.core.errors import InputError
from kallsymsd.elf import elfheader
from kallsymsd.elf.elfheader import Header
from kallsymsd.elf.native.symbols import Symbols

# Bytes of a symbol, by bits (System V ABI, chapter 4).
_SYMBOL_SIZES = {32: 16, 64: 24}
# Section indices that stand for no section, with their values in Symbols.sections.
UNDEFINED = 0
ABSOLUTE = 0xFFFFFFF1
COMMON = 0xFFFFFFF2


_TYPES = {
    0: "SHT_NULL",
    1: "SHT_PROGBITS",
    2: "SHT_SYMTAB",
    3: "SHT_STRTAB",
    4: "SHT_RELA",
    7: "SHT_NOTE",
    8: "SHT_NOBITS",
    9: "SHT_REL",
    18: "SHT_SYMTAB_SHNDX",
}


class Section:
    """A section header. Numbers are as in the file.

    ``type`` is the name in elf.h, such as "SHT_NOBITS", for types that matter here; else the number as text.
    """

    __slots__ = (
        "address",
        "alignment",
        "entry_size",
        "flags",
        "index",
        "info",
        "link",
        "name",
        "offset",
        "size",
        "type",
    )

    def __init__(self, index: int, name: bytes, header: tuple[int, ...]) -> None:
        """``header`` has the fields of elfheader.Header.section."""
        self.index = index
        self.name = name
        self.type = _TYPES.get(header[1]) or str(header[1])
        _, _, self.flags, self.address, self.offset, self.size = header[:6]
        self.link, self.info, self.alignment, self.entry_size = header[6:]


class Symbol(NamedTuple):
    """One symbol.

    value    its address
    size     in bytes
    section  as in Symbols.sections
    info     binding << 4 | type
    """

    value: int
    size: int
    section: int
    info: int


class ElfFile:
    """An ELF file in memory.

    bits        32 or 64
    big_endian  its byte order
    type        the name in elf.h, such as "ET_EXEC"; the number as text for other types
    machine     e_machine
    sections    all section headers, in index order
    names       index of the section with their names, 0 if there is none
    """

    __slots__ = ("_data", "_symbols", "big_endian", "bits", "machine", "names", "sections", "type")

    def __init__(self, data: memoryview, header: Header, sections: list[Section], names: int) -> None:
        self._data = data
        self._symbols: Symbols | None = None
        self.bits = header.bits
        self.big_endian = header.big_endian
        self.type = header.type
        self.machine = header.machine
        self.sections = sections
        self.names = names

    @classmethod
    def read(cls, data: bytes | memoryview | mmap) -> "ElfFile":
        """Read the headers. Contents are read when they are needed.

        ``data`` must not change while the result is in use. Raises InputError if it is no ELF file, or if its
        headers are damaged.
        """
        view = memoryview(data)
        header = elfheader.read(bytes(view[: elfheader.SIZE]))
        if not header.sections_at:
            return cls(view, header, [], 0)
        count, names = _extended(view, header)
        end = header.sections_at + count * header.section.size
        if end > len(view):
            raise InputError(b"damaged ELF file", detail=b"%d section headers reach beyond its end" % count)
        headers = list(header.section.iter_unpack(view[header.sections_at : end]))
        strings = b""
        if 0 < names < count:
            at, size = headers[names][4:6]
            strings = bytes(view[at : at + size])
        sections = [
            Section(index, _name(strings, each[0], index), each) for index, each in enumerate(headers)
        ]
        return cls(view, header, sections, names)

    @property
    def data(self) -> memoryview:
        """The whole file."""
        return self._data

    def section(self, name: bytes) -> Section | None:
        """The first section called ``name``."""
        return next((section for section in self.sections if section.name == name), None)

    def contents(self, section: Section) -> memoryview:
        """The bytes of a section, none for SHT_NOBITS. Raises InputError if they are not inside the file."""
        if section.type in ("SHT_NOBITS", "SHT_NULL"):
            return self._data[:0]
        if section.offset + section.size > len(self._data):
            raise InputError(
                b"damaged ELF file",
                detail=b"section %d (%b) reaches beyond its end" % (section.index, section.name),
            )
        return self._data[section.offset : section.offset + section.size]

    def symbols(self) -> Symbols:
        """The symbol table (the first section of type SHT_SYMTAB). The first call decodes it.

        Raises InputError if there is none, or if it is damaged.
        """
        if self._symbols is None:
            self._symbols = self._decode()
        return self._symbols

    def find(self, names: Iterable[bytes]) -> dict[bytes, Symbol]:
        """The symbols with exactly these names. The result omits names that are missing or undefined.

        If several symbols have the same name, a global or weak one takes precedence over local ones, then the
        first one in the table.
        """
        wanted = list(names)
        symbols = self.symbols()
        found = symbols.find(wanted)
        values, sizes = memoryview(symbols.values).cast("Q"), memoryview(symbols.sizes).cast("Q")
        sections = memoryview(symbols.sections).cast("I")
        return {
            name: Symbol(values[at], sizes[at], sections[at], symbols.infos[at])
            for name, at in zip(wanted, found, strict=True)
            if at
        }

    def _decode(self) -> Symbols:
        table = next((section for section in self.sections if section.type == "SHT_SYMTAB"), None)
        if table is None:
            raise InputError(b"no symbol table", detail=b"the ELF file has no section of type SHT_SYMTAB")
        if table.link >= len(self.sections) or self.sections[table.link].type != "SHT_STRTAB":
            raise InputError(b"damaged ELF file", detail=b"the symbol table has no string table")
        size = _SYMBOL_SIZES[self.bits]
        if table.entry_size != size or table.size % size:
            raise InputError(
                b"damaged ELF file",
                detail=b"the symbol table has %d bytes, its entries %d" % (table.size, table.entry_size),
            )
        strings = self.contents(self.sections[table.link])
        if not strings or strings[-1]:
            raise InputError(b"damaged ELF file", detail=b"the symbols' string table does not end in a zero")
        large = next(
            (
                section
                for section in self.sections
                if section.type == "SHT_SYMTAB_SHNDX" and section.link == table.index
            ),
            None,
        )
        return Symbols.decode(
            self.contents(table),
            self.contents(large) if large else b"",
            strings,
            wide=self.bits == 64,
            big_endian=self.big_endian,
        )


def _extended(data: memoryview, header: Header) -> tuple[int, int]:
    """Number of sections, and index of the section with their names.

    Numbers that are too large for the ELF header are in the first section header.
    """
    try:
        first = header.section.unpack_from(data, header.sections_at)
    except (struct.error, OverflowError) as error:
        raise InputError(b"damaged ELF file", detail=b"its section headers are beyond its end") from error
    return header.section_count or first[5], first[6] if header.names == elfheader.XINDEX else header.names


def _name(strings: bytes, at: int, index: int) -> bytes:
    end = strings.find(b"\0", at)
    if end < 0:
        if at == 0:
            return b""
        raise InputError(b"damaged ELF file", detail=b"section %d has no valid name" % index)
    return strings[at:end]
