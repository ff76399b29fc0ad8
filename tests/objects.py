# SPDX-License-Identifier: GPL-2.0-only
"""Assembling for the targets of the real maps, and what an object file holds."""

import io
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from elftools.elf.elffile import ELFFile
from elftools.elf.relocation import RelocationSection
from elftools.elf.sections import SymbolTableSection

from kallsymsd.core.target import Target

#: Assemblers by ELF machine, as Debian's binutils packages name them; the machine's own "as" is not asked,
#: for it may be another machine's.
ASSEMBLERS = {
    "x86_64": ("x86_64-linux-gnu-as", "--64"),
    "i386": ("x86_64-linux-gnu-as", "--32"),
    "s390x": ("s390x-linux-gnu-as", "-m64"),
}
TARGETS = {
    "x86_64": Target(64, big_endian=False),
    "i386": Target(32, big_endian=False),
    "s390x": Target(64, big_endian=True),
}


@dataclass(frozen=True)
class Section:
    """A section's header and contents."""

    type: str
    flags: int
    alignment: int
    content: bytes


@dataclass(frozen=True)
class ObjectFile:
    """All of an object that a linker looks at, in an order of its own.

    sections     by name, without the tables of symbols, strings and relocations
    symbols      (name, value, size, binding and type, section) in the order of the table
    relocations  (section, offset, type, symbol, addend)
    """

    sections: dict[str, Section]
    symbols: list[tuple[str, int, int, str, str]]
    relocations: list[tuple[str, int, int, str, int]]


def why_not(machine: str) -> str | None:
    """Why this machine cannot assemble for ``machine``; None if it can."""
    for program in (ASSEMBLERS[machine][0], "cpp"):
        if not shutil.which(program):
            return (
                f"no {program} to assemble for {machine} (Debian: apt install gcc binutils-s390x-linux-gnu)"
            )
    return None


def assemble(text: bytes, machine: str, directory: Path) -> ObjectFile:
    """Preprocess and assemble as kbuild does, in ``directory``, and read the object.

    The header that the kernel's own tool includes is taken from the target, as a kernel tree would.
    """
    header = directory / "include" / "asm" / "bitsperlong.h"
    header.parent.mkdir(parents=True, exist_ok=True)
    header.write_text(f"#define BITS_PER_LONG {TARGETS[machine].bits}\n")
    source, preprocessed = directory / "tables.S", directory / "tables.s"
    source.write_bytes(text)
    # -undef: no macro of this machine's own may touch a symbol's name.
    _run(
        ["cpp", "-undef", "-nostdinc", "-I", "include", "-x", "assembler-with-cpp", source, preprocessed],
        directory,
    )
    _run([*ASSEMBLERS[machine], "--fatal-warnings", "-o", "tables.o", preprocessed], directory)
    return read((directory / "tables.o").read_bytes())


def _run(command: list[str | Path], directory: Path) -> None:
    done = subprocess.run(
        command, cwd=directory, env={**os.environ, "LC_ALL": "C"}, capture_output=True, check=False
    )
    if done.returncode:
        raise AssertionError(f"{command[0]}: {done.stderr.decode(errors='replace')}")


def read(content: bytes) -> ObjectFile:
    """The parts of an object file."""
    elf = ELFFile(io.BytesIO(content))
    table = elf.get_section_by_name(".symtab")
    assert isinstance(table, SymbolTableSection)
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
