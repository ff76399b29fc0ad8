# SPDX-License-Identifier: GPL-2.0-only
"""ELF files: headers, sections and the symbol table.

pyelftools reads the headers; the symbol table is decoded natively, all entries at once. Whatever a damaged
file claims, nothing outside of it is read, and memory stays a small multiple of its size.
"""

import io
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from mmap import mmap
from typing import IO, NamedTuple, cast

from elftools.elf.elffile import ELFFile
from elftools.elf.enums import ENUM_SH_TYPE_BASE

from kallsymsd.core import _native
from kallsymsd.core.errors import InputError

# sizeof() of header, section header and symbol by bits (System V ABI, chapters 4 and 5).
_SIZES = {32: (52, 40, 16), 64: (64, 64, 24)}
# Section indices that name no section: SHN_LORESERVE to SHN_HIRESERVE. In columns they are moved to the
# top of the 32 bits, so that they are no section of a file with more than 65,280 of them.
UNDEFINED = 0
ABSOLUTE = 0xFFFFFFF1
COMMON = 0xFFFFFFF2


# Elf32_Shdr and Elf64_Shdr. Struct takes 1 µs for what pyelftools takes 20, and an object file with 12,000
# exported symbols has 25,000 sections.
_SECTION = {32: "10I", 64: "2I4Q2I2Q"}
_TYPES = {number: name for name, number in ENUM_SH_TYPE_BASE.items() if name != "_default_"}


@dataclass(slots=True)
class Section:
    """A section header; numbers as in the file, ``type`` as in elf.h: "SHT_NOBITS", or a number as text."""

    index: int
    name: bytes
    type: str
    flags: int
    address: int
    offset: int
    size: int
    link: int
    info: int
    alignment: int
    entry_size: int


class Symbols(NamedTuple):
    """The entries of a symbol table as columns in this machine's byte order, the empty first one included.

    values, sizes  u64
    names          u32: where each name begins in ``strings``
    infos          u8: binding << 4 | type
    sections       u32: index of the section, beyond 65,280 too; or UNDEFINED, ABSOLUTE, COMMON ...
    strings        all names, a zero behind each; every entry of ``names`` is inside
    """

    values: bytes
    sizes: bytes
    names: bytes
    infos: bytes
    sections: bytes
    strings: memoryview


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
    type        as in elf.h, such as "ET_EXEC"; a number as text if elf.h has none
    machine     as in elf.h, such as "EM_X86_64"
    sections    all section headers, in order of index
    names       index of the section with their names, 0 without
    """

    __slots__ = ("_data", "_symbols", "big_endian", "bits", "machine", "names", "sections", "type")

    def __init__(self, data: memoryview, header: ELFFile, sections: list[Section]) -> None:
        self._data = data
        self._symbols: Symbols | None = None
        self.bits = header.elfclass
        self.big_endian = not header.little_endian
        self.type = str(header["e_type"])
        self.machine = str(header["e_machine"])
        self.sections = sections
        self.names = header.get_shstrndx() if sections else 0

    @classmethod
    def read(cls, data: bytes | memoryview | mmap) -> "ElfFile":
        """Read the headers; contents are looked at where they are asked for.

        ``data`` must not change as long as the result is used. Raises InputError if it is no ELF file, or
        headers are damaged.
        """
        view = memoryview(data)
        try:
            return _read(view)
        except InputError:
            raise
        except Exception as error:
            # pyelftools raises ELFError, but also what its callees happen to raise.
            raise InputError(b"damaged ELF file", detail=_one_line(error)) from error

    @property
    def data(self) -> memoryview:
        """The whole file."""
        return self._data

    def section(self, name: bytes) -> Section | None:
        """The first section called ``name``."""
        return next((section for section in self.sections if section.name == name), None)

    def contents(self, section: Section) -> memoryview:
        """The bytes of a section, none for SHT_NOBITS; InputError if they are not inside the file."""
        if section.type in ("SHT_NOBITS", "SHT_NULL"):
            return self._data[:0]
        if section.offset + section.size > len(self._data):
            raise InputError(
                b"damaged ELF file",
                detail=b"section %d (%b) reaches beyond its end" % (section.index, section.name),
            )
        return self._data[section.offset : section.offset + section.size]

    def symbols(self) -> Symbols:
        """The symbol table (the first section of type SHT_SYMTAB), decoded at the first call.

        Raises InputError if there is none, or if it is damaged.
        """
        if self._symbols is None:
            self._symbols = self._decode()
        return self._symbols

    def find(self, names: Iterable[bytes]) -> dict[bytes, Symbol]:
        """The symbols with these exact names, those left out that are not there or undefined.

        Of several with one name a global or weak one comes before local ones, then the first of the table.
        """
        wanted = list(names)
        symbols = self.symbols()
        found = _native.find_symbols(wanted, symbols.names, symbols.infos, symbols.sections, symbols.strings)
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
        size = _SIZES[self.bits][2]
        if table.entry_size != size or table.size % size:
            raise InputError(
                b"damaged ELF file",
                detail=b"a symbol table of %d bytes with entries of %d" % (table.size, table.entry_size),
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
        values, sizes, names, infos, sections, problem = _native.decode_symbols(
            self.contents(table),
            self.contents(large) if large else b"",
            len(strings),
            self.bits == 64,
            self.big_endian,
        )
        if problem:
            raise InputError(b"damaged ELF file", detail=b"symbol %d: %b" % problem)
        return Symbols(values, sizes, names, infos, sections, strings)


def _read(data: memoryview) -> ElfFile:
    stream = cast("IO[bytes]", _Stream(data))
    if bytes(data[:4]) != b"\x7fELF":
        raise InputError(b"not an ELF file", detail=b"its first four bytes are not 7f 45 4c 46")
    elf = ELFFile(stream)
    bits = elf.elfclass
    header_size, section_size, _ = _SIZES[bits]
    if elf["e_ehsize"] != header_size:
        raise InputError(b"damaged ELF file", detail=b"a header of %d bytes" % elf["e_ehsize"])
    count = 0
    if elf["e_shoff"]:
        if elf["e_shentsize"] != section_size:
            raise InputError(b"damaged ELF file", detail=b"section headers of %d bytes" % elf["e_shentsize"])
        count = elf.num_sections()
        if elf["e_shoff"] + count * section_size > len(data):
            raise InputError(b"damaged ELF file", detail=b"%d section headers reach beyond its end" % count)
    return ElfFile(data, elf, _sections(data, elf, count) if count else [])


def _sections(data: memoryview, elf: ELFFile, count: int) -> list[Section]:
    """Section headers with their names."""
    layout = struct.Struct((">" if not elf.little_endian else "<") + _SECTION[elf.elfclass])
    start = elf["e_shoff"]
    headers = list(layout.iter_unpack(data[start : start + count * layout.size]))
    strings = b""
    names = elf.get_shstrndx()
    if 0 < names < count:
        at, size = headers[names][4:6]
        strings = bytes(data[at : at + size])
    return [
        Section(index, _name(strings, header[0], index), _TYPES.get(header[1]) or str(header[1]), *header[2:])
        for index, header in enumerate(headers)
    ]


def _name(strings: bytes, at: int, index: int) -> bytes:
    end = strings.find(b"\0", at)
    if end < 0:
        if at == 0:
            return b""
        raise InputError(b"damaged ELF file", detail=b"section %d has no name" % index)
    return strings[at:end]


def _one_line(error: Exception) -> bytes:
    text = " ".join(str(error).split()) or type(error).__name__
    return text.encode("ascii", "backslashreplace")


class _Stream(io.RawIOBase):
    """A read-only file of ``data`` without a copy, for pyelftools."""

    def __init__(self, data: memoryview) -> None:
        super().__init__()
        self._data = data
        self._at = 0

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """As of any file; before the start is an error."""
        self._at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: len(self._data)}[whence]
        return self._at

    def tell(self) -> int:
        """Where the next read begins."""
        return self._at

    def read(self, size: int = -1) -> bytes:
        """At most ``size`` bytes."""
        end = len(self._data) if size < 0 else self._at + size
        part = bytes(self._data[self._at : end])
        self._at += len(part)
        return part
