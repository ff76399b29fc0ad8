# SPDX-License-Identifier: GPL-2.0-only
"""A linked kernel -> the text of its map, without reading the rest of the file."""

from collections.abc import Callable
from mmap import mmap

from kallsymsd.core.dialects import Dialect
from kallsymsd.core.errors import InputError
from kallsymsd.elf import elfheader
from kallsymsd.elf.elffile import ElfFile
from kallsymsd.elf.nm import BINUTILS, system_map

#: Most bytes read of a file. The symbols of an amd64 kernel with everything built in take about 20 MB.
MAX_READ = 1 << 30
#: Largest file, in bytes. A kernel with all debugging information has about 1 GB.
MAX_FILE = 1 << 36
# Most section headers; a kernel has about 100.
_MAX_SECTIONS = 1 << 20

# Section types (elf.h).
_SYMTAB = 2
_SYMTAB_SHNDX = 18

#: Reads into the buffer from an offset in the file on. Returns the number of bytes read.
Read = Callable[[memoryview, int], int]


def map_text(read: Read, size: int, dialect: Dialect, nm: int = BINUTILS) -> bytes:
    """The map of the linked kernel in a file of ``size`` bytes, as ``dialect``'s build makes it.

    ``nm`` says which nm that build uses (kallsymsd.elf.nm). If the tool itself reads ELF, an empty file has
    an empty map. Raises InputError if the file is no linked kernel or has no symbols, and the OSError that
    ``read`` raises.
    """
    if not size and dialect.reads_elf:
        return b""
    return system_map(linked(read, size), dialect, nm)


def linked(read: Read, size: int) -> ElfFile:
    """The linked kernel in a file of ``size`` bytes, without the contents. Raises what map_text() raises."""
    elf = ElfFile.read(symbol_part(read, size))
    check_linked(elf)
    return elf


def check_linked(elf: ElfFile) -> None:
    """Raise InputError for an object file or any other file that is not linked."""
    if elf.type not in ("ET_EXEC", "ET_DYN"):
        raise InputError(b"Invalid ELF type file", detail=b"it is %b, not linked" % elf.type.encode())


def symbol_part(read: Read, size: int) -> mmap | bytes:
    """A file of ``size`` bytes, with zeros in place of everything except headers and symbols.

    Pages that nothing is read into take no memory. Nothing beyond the end of the file is read, whatever the
    headers claim; ElfFile reports such damage. Raises InputError for a file that is too large.
    """
    if size > MAX_FILE:
        raise InputError(b"not a linked kernel", detail=b"%d bytes; the limit is %d" % (size, MAX_FILE))
    if not size:
        return b""
    part = mmap(-1, size)
    _Reader(read, part).read()
    return part


class _Reader:
    """Fills in the needed parts of a file."""

    def __init__(self, read: Read, part: mmap) -> None:
        self._read = read
        self._part = part
        self._left = MAX_READ

    def read(self) -> None:
        self._fill(0, elfheader.SIZE)
        header = elfheader.read(self._part[: elfheader.SIZE])
        start, entry = header.sections_at, header.section.size
        if not start or start + entry > len(self._part):
            return
        self._fill(start, entry)
        first = header.section.unpack_from(self._part, start)
        count = header.section_count or first[5]
        if start + count * entry > len(self._part) or count > _MAX_SECTIONS:
            raise InputError(b"damaged ELF file", detail=b"%d section headers" % count)
        self._fill(start, count * entry)
        sections = list(header.section.iter_unpack(self._part[start : start + count * entry]))
        wanted = {first[6] if header.names == elfheader.XINDEX else header.names}
        for index, (_, kind, _, _, _, _, link, *_) in enumerate(sections):
            if kind in (_SYMTAB, _SYMTAB_SHNDX):
                wanted |= {index, link} if kind == _SYMTAB else {index}
        for index in wanted:
            if index < count:
                offset, length = sections[index][4:6]
                self._fill(offset, length)

    def _fill(self, offset: int, length: int) -> None:
        """Read this part of the file, as far as the file goes."""
        end = min(offset + length, len(self._part))
        self._left -= max(0, end - offset)
        if self._left < 0:
            raise InputError(b"not a linked kernel", detail=b"more than %d bytes of symbols" % MAX_READ)
        with memoryview(self._part) as view:
            while offset < end and (done := self._read(view[offset:end], offset)):
                offset += done
