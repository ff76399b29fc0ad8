# SPDX-License-Identifier: GPL-2.0-only
"""A linked kernel -> the text of its map, without reading what else is in the file."""

import struct
from collections.abc import Callable
from mmap import mmap

from kallsymsd.core.dialects import Dialect
from kallsymsd.core.elf import ElfFile
from kallsymsd.core.errors import InputError
from kallsymsd.core.nm import BINUTILS, system_map

#: Most bytes read of a file: the symbols of an amd64 kernel with everything in it have about 20 MB.
MAX_READ = 1 << 30
#: Largest file, in bytes; with all debugging information a kernel has about 1 GB.
MAX_FILE = 1 << 36
# Most section headers; a kernel has about 100.
_MAX_SECTIONS = 1 << 20

# elf.h: EI_CLASS and EI_DATA, types of sections, a section index that does not fit its field.
_CLASS64 = 2
_BIG_ENDIAN = 2
_SYMTAB = 2
_SYMTAB_SHNDX = 18
_XINDEX = 0xFFFF

#: Reads into the buffer from an offset of the file on; the number of bytes read.
Read = Callable[[memoryview, int], int]


class _Layout:
    """Where numbers stand in the headers, by bits: struct formats without their byte order.

    header   e_shoff, e_shentsize, e_shnum, e_shstrndx
    section  sh_type, sh_offset, sh_size, sh_link
    """

    __slots__ = ("header", "section")

    def __init__(self, header: str, section: str) -> None:
        self.header = header
        self.section = section


_LAYOUTS = {
    32: _Layout("32xI10xHHH", "4xI8xIII12x"),
    64: _Layout("40xQ10xHHH", "4xI16xQQI20x"),
}


def map_text(read: Read, size: int, dialect: Dialect, nm: int = BINUTILS) -> bytes:
    """The map of the linked kernel in a file of ``size`` bytes, as ``dialect``'s build makes it.

    ``nm`` says whose nm that build uses (kallsymsd.core.nm). An empty file has an empty map where the tool
    itself reads ELF. Raises InputError for what is no linked
    kernel, or has no symbols, and the OSError that ``read`` raises.
    """
    if not size and dialect.reads_elf:
        return b""
    elf = ElfFile.read(symbol_part(read, size))
    if elf.type not in ("ET_EXEC", "ET_DYN"):
        raise InputError(b"Invalid ELF type file", detail=b"it is %b, not linked" % elf.type.encode())
    return system_map(elf, dialect, nm)


def symbol_part(read: Read, size: int) -> mmap | bytes:
    """A file of ``size`` bytes with nothing but zeros where it is neither header nor symbols.

    Pages that nothing is read into take no memory. What the file claims is believed only as far as it goes:
    ElfFile finds what is wrong with it. Raises InputError for a file that is too large.
    """
    if size > MAX_FILE:
        raise InputError(b"not a linked kernel", detail=b"it has %d bytes, the most is %d" % (size, MAX_FILE))
    if not size:
        return b""
    part = mmap(-1, size)
    _Reader(read, part).read()
    return part


class _Reader:
    """Fills in what is needed."""

    def __init__(self, read: Read, part: mmap) -> None:
        self._read = read
        self._part = part
        self._left = MAX_READ

    def read(self) -> None:
        self._fill(0, 64)
        ident = self._part[:16]
        if ident[:4] != b"\x7fELF":
            return
        layout = _LAYOUTS[64 if ident[4:5] == bytes((_CLASS64,)) else 32]
        order = ">" if ident[5:6] == bytes((_BIG_ENDIAN,)) else "<"
        header, section = struct.Struct(order + layout.header), struct.Struct(order + layout.section)
        if len(self._part) < header.size:
            return
        start, entry, count, names = header.unpack_from(self._part)
        if entry != section.size or start + entry > len(self._part):
            return
        self._fill(start, entry)
        _, _, extended_count, extended_names = section.unpack_from(self._part, start)
        count = count or extended_count
        if start + count * entry > len(self._part) or count > _MAX_SECTIONS:
            raise InputError(b"damaged ELF file", detail=b"%d section headers" % count)
        self._fill(start, count * entry)
        sections = list(section.iter_unpack(self._part[start : start + count * entry]))
        wanted = {extended_names if names == _XINDEX else names}
        for index, (kind, _, _, link) in enumerate(sections):
            if kind in (_SYMTAB, _SYMTAB_SHNDX):
                wanted |= {index, link} if kind == _SYMTAB else {index}
        for index in wanted:
            if index < count:
                _, offset, length, _ = sections[index]
                self._fill(offset, length)

    def _fill(self, offset: int, length: int) -> None:
        """Read that part of the file, as far as there is one."""
        end = min(offset + length, len(self._part))
        self._left -= max(0, end - offset)
        if self._left < 0:
            raise InputError(b"not a linked kernel", detail=b"more than %d bytes of symbols" % MAX_READ)
        with memoryview(self._part) as view:
            while offset < end and (done := self._read(view[offset:end], offset)):
                offset += done
