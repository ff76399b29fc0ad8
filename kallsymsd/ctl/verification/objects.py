# SPDX-License-Identifier: GPL-2.0-only
"""Assembles tables, and compares what a linker sees in object files."""

import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from elftools.common.exceptions import ELFError
from elftools.elf.elffile import ELFFile
from elftools.elf.relocation import RelocationSection
from elftools.elf.sections import SymbolTableSection

from kallsymsd.ctl.command import CommandError
from kallsymsd.ctl.verification.programs import run

# Bytes shown of a difference.
_SHOWN = 8


class Section(NamedTuple):
    """A section's header and contents."""

    type: str
    flags: int
    alignment: int
    content: bytes


class ObjectFile(NamedTuple):
    """Everything in an object file that a linker uses.

    sections     by name, without symbol, string and relocation tables
    symbols      (name, value, size, binding and type, section), in the order of the table
    relocations  (section, offset, type, symbol, addend)
    """

    sections: dict[str, Section]
    symbols: list[tuple[str, int, int, str, str]]
    relocations: list[tuple[str, int, int, str, int]]


def assemble(source: Path, compiler: Sequence[str], bits: int) -> ObjectFile:
    """Preprocess and assemble ``source`` as kbuild does, in its directory, and read the object.

    The one header that the kernel's own tool includes is created for a target of ``bits`` bits.
    """
    directory = source.parent
    header = directory / "include" / "asm" / "bitsperlong.h"
    header.parent.mkdir(parents=True, exist_ok=True)
    header.write_text(f"#define BITS_PER_LONG {bits}\n", encoding="ascii")
    made = source.with_suffix(".o")
    # -undef: no predefined macro of this machine may change a symbol's name.
    flags = ["-D__ASSEMBLY__", "-undef", "-nostdinc", "-Iinclude", "-c", "-o", made.name, source.name]
    status, lines = run([*compiler, *flags], "name a compiler with --cc", where=directory)
    if status:
        raise CommandError(f"{' '.join(compiler)}: {lines[-1]}; name the kernel's compiler with --cc")
    return read(made.read_bytes())


def read(content: bytes) -> ObjectFile:
    """The parts of an object file."""
    try:
        return _read(ELFFile(io.BytesIO(content)))
    except ELFError as error:
        raise CommandError(f"the compiler made no ELF object: {error}") from error


def difference(ours: ObjectFile, theirs: ObjectFile) -> str:
    """The first difference between two objects, "" for none."""
    return next(_differences(ours, theirs), "")


def _differences(ours: ObjectFile, theirs: ObjectFile) -> Iterator[str]:
    for name in sorted(ours.sections.keys() ^ theirs.sections.keys()):
        yield f"section {name}: only in {'ours' if name in ours.sections else 'theirs'}"
    for name, section in ours.sections.items():
        other = theirs.sections.get(name, section)
        if section[:3] != other[:3]:
            yield f"section {name}: ours {_header(section)}, theirs {_header(other)}"
        if section.content != other.content:
            yield f"section {name}{_content(section.content, other.content, ours, name)}"
    for what, left, right in (
        ("symbol", ours.symbols, theirs.symbols),
        ("relocation", ours.relocations, theirs.relocations),
    ):
        for number in range(max(len(left), len(right))):
            pair = [str(each[number]) if number < len(each) else "none" for each in (left, right)]
            if pair[0] != pair[1]:
                yield f"{what} {number}: ours {pair[0]}, theirs {pair[1]}"


def _header(section: Section) -> str:
    return f"{section.type}, flags {section.flags:#x}, alignment {section.alignment}"


def _content(ours: bytes, theirs: bytes, where: ObjectFile, name: str) -> str:
    """The first difference between two contents of a section: its offset, and the symbol before it."""
    low, high = 0, min(len(ours), len(theirs))
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if ours[low:middle] == theirs[low:middle] else (low, middle - 1)
    before = [
        (value, symbol) for symbol, value, _, _, section in where.symbols if section == name and value <= low
    ]
    value, symbol = max(before, default=(0, ""))
    place = f" + {low:#x}" + (f" ({symbol} + {low - value:#x})" if symbol else "")
    shown = [each[low : low + _SHOWN].hex(" ") or "its end" for each in (ours, theirs)]
    return f"{place}: ours {shown[0]}, theirs {shown[1]}"


def _read(elf: ELFFile) -> ObjectFile:
    table = elf.get_section_by_name(".symtab")
    if not isinstance(table, SymbolTableSection):
        raise CommandError("the compiler made an object without symbols")
    names = [section.name for section in elf.iter_sections()]

    def place(index: int | str) -> str:
        return names[index] if isinstance(index, int) else index

    symbols = [
        (
            symbol.name,
            symbol["st_value"],
            symbol["st_size"],
            f"{symbol['st_info']['bind']} {symbol['st_info']['type']}",
            place(symbol["st_shndx"]),
        )
        for symbol in table.iter_symbols()
    ]
    sections, relocations = {}, []
    for section in elf.iter_sections():
        if isinstance(section, RelocationSection):
            target = names[section["sh_info"]]
            relocations += [
                (
                    target,
                    entry["r_offset"],
                    entry["r_info_type"],
                    table.get_symbol(entry["r_info_sym"]).name,
                    entry["r_addend"] if section.is_RELA() else 0,
                )
                for entry in section.iter_relocations()
            ]
        elif section["sh_type"] not in ("SHT_NULL", "SHT_SYMTAB", "SHT_STRTAB"):
            sections[section.name] = Section(
                section["sh_type"], section["sh_flags"], section["sh_addralign"], section.data()
            )
    return ObjectFile(sections, symbols, relocations)
