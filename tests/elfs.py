# SPDX-License-Identifier: GPL-2.0-only
"""ELF files written as asked for, with whatever symbols no linker would make."""

import struct
from dataclasses import dataclass, field, replace

EM_386, EM_MIPS, EM_S390, EM_ARM, EM_X86_64 = 3, 8, 22, 40, 62
ET_EXEC, ET_DYN = 2, 3
PROGBITS, SYMTAB, STRTAB, NOTE, NOBITS, SYMTAB_SHNDX = 1, 2, 3, 7, 8, 18
WRITE, ALLOC, EXECINSTR, TLS = 1, 2, 4, 0x400
LOCAL, GLOBAL, WEAK, UNIQUE = 0, 1, 2, 10
NOTYPE, OBJECT, FUNC, SECTION, FILE, COMMON_TYPE, TLS_TYPE, IFUNC = 0, 1, 2, 3, 4, 5, 6, 10
UNDEF, ABS, COMMON, XINDEX = 0, 0xFFF1, 0xFFF2, 0xFFFF
LORESERVE = 0xFF00


@dataclass(frozen=True)
class Section:
    """A section; its contents are zeros unless given."""

    name: bytes
    type: int = PROGBITS
    flags: int = ALLOC
    content: bytes = bytes(8)
    link: int = 0
    entry_size: int = 0


@dataclass(frozen=True)
class Symbol:
    """A symbol; ``section`` is an index of Image.sections + 1, or a reserved one (ABS ...).

    large  ``section`` is a true index even where a reserved one has the same number
    """

    name: bytes
    value: int = 0
    section: int = 1
    bind: int = LOCAL
    type: int = NOTYPE
    size: int = 0
    large: bool = False


@dataclass(frozen=True)
class Image:
    """An ELF file; ``encode()`` puts .symtab, .strtab and .shstrtab behind the given sections."""

    bits: int = 64
    big_endian: bool = False
    machine: int = EM_X86_64
    type: int = ET_EXEC
    sections: list[Section] = field(default_factory=lambda: [Section(b".text", flags=ALLOC | EXECINSTR)])
    symbols: list[Symbol] = field(default_factory=list)

    def encode(self) -> bytes:
        """The bytes of the file."""
        mask = 0xFFFFFFFF if self.bits == 32 else 0xFFFFFFFFFFFFFFFF
        strings = _Strings()
        symbols = [Symbol(b"", section=UNDEF), *self.symbols]
        # As an assembler does it: the table of large indices is there only if one is needed.
        large = any(symbol.large or LORESERVE <= symbol.section < 1 << 16 < self._count for symbol in symbols)
        table, indices = bytearray(), bytearray()
        for symbol in symbols:
            extended = symbol.large or symbol.section > XINDEX
            section = XINDEX if extended else symbol.section
            name, info = strings.add(symbol.name), symbol.bind << 4 | symbol.type
            value, size = symbol.value & mask, symbol.size & mask
            if self.bits == 64:
                table += self._pack("IBBHQQ", name, info, 0, section, value, size)
            else:
                table += self._pack("IIIBBH", name, value, size, info, 0, section)
            indices += self._pack("I", symbol.section if extended else 0)
            large = large or extended
        index = len(self.sections) + 1
        entry = 24 if self.bits == 64 else 16
        sections = [
            Section(b"", 0, 0, b""),
            *self.sections,
            Section(b".symtab", SYMTAB, 0, bytes(table), link=index + 1, entry_size=entry),
            Section(b".strtab", STRTAB, 0, bytes(strings.data)),
        ]
        if large:
            sections.append(Section(b".symtab_shndx", SYMTAB_SHNDX, 0, bytes(indices), index, 4))
        return self._file(sections)

    @property
    def _count(self) -> int:
        return len(self.sections) + 4

    def _pack(self, layout: str, *numbers: int) -> bytes:
        return struct.pack((">" if self.big_endian else "<") + layout, *numbers)

    def _file(self, sections: list[Section]) -> bytes:
        names = _Strings()
        sections = [*sections, Section(b".shstrtab", STRTAB, 0, b"")]
        offsets_of_names = [names.add(section.name) for section in sections]
        sections[-1] = replace(sections[-1], content=bytes(names.data))
        wide = self.bits == 64
        header_size, section_size = (64, 64) if wide else (52, 40)
        contents, headers = bytearray(), bytearray()
        many = len(sections) >= LORESERVE
        for number, (section, name) in enumerate(zip(sections, offsets_of_names, strict=True)):
            contents += bytes(-len(contents) % 8)
            size, link = len(section.content), section.link
            if number == 0 and many:
                size, link = len(sections), len(sections) - 1
            headers += self._pack(
                "IIQQQQIIQQ" if wide else "IIIIIIIIII",
                name,
                section.type,
                section.flags,
                0,
                header_size + len(contents) if number else 0,
                size,
                link,
                1 if section.type == SYMTAB else 0,
                1 if number else 0,
                section.entry_size,
            )
            if section.type != NOBITS:
                contents += section.content
        contents += bytes(-len(contents) % 8)
        ident = b"\x7fELF" + bytes([2 if wide else 1, 2 if self.big_endian else 1, 1]) + bytes(9)
        header = ident + self._pack(
            "HHIQQQIHHHHHH" if wide else "HHIIIIIHHHHHH",
            self.type,
            self.machine,
            1,
            0,
            0,
            header_size + len(contents),
            0,
            header_size,
            0,
            0,
            section_size,
            0 if many else len(sections),
            XINDEX if many else len(sections) - 1,
        )
        return header + bytes(contents) + bytes(headers)


class _Strings:
    """A string table in the making; equal strings stand in it once."""

    def __init__(self) -> None:
        self.data = bytearray(b"\0")
        self._places = {b"": 0}

    def add(self, text: bytes) -> int:
        """Where ``text`` begins."""
        if text not in self._places:
            self._places[text] = len(self.data)
            self.data += text + b"\0"
        return self._places[text]
