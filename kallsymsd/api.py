# SPDX-License-Identifier: GPL-2.0-only
"""What other programs import: make tables from a map or a linked kernel, or read a kernel's tables back.

    tables = kallsymsd.build("System.map", dialect="v6.12", options=["all-symbols"])
    tables.encode(kallsymsd.Target(64, big_endian=False))["token_table"]
    kallsymsd.read("vmlinux")[0]        # KernelSymbol(address=..., type="T", name=b"_stext")

docs/library.md shows more. Nothing here asks the daemon or remembers anything.
"""

import os
from collections.abc import Iterable
from os import PathLike

from kallsymsd.core import pipeline
from kallsymsd.core.dialects import DIALECTS, OPTION_BITS, find
from kallsymsd.core.tables import Tables
from kallsymsd.elf import nm, tablereader, vmlinux
from kallsymsd.elf.elffile import ElfFile
from kallsymsd.elf.tablereader import KernelSymbol
from kallsymsd.protocol.regular import read_regular

# Largest file, in bytes. A kernel with all debugging information has about 1 GB.
_MOST = 1 << 34
_ELF = b"\x7fELF"

Source = bytes | str | PathLike[str]


def build(source: Source, *, dialect: str, options: Iterable[str] = ("all-symbols",)) -> Tables:
    """The tables that scripts/kallsyms of a kernel release makes.

    source   a System.map or a linked kernel: its path, or its contents as bytes. From a linked kernel, the
             map is made first, as ``nm -n VMLINUX | scripts/mksysmap`` of that release prints it
    dialect  a kernel release, such as "v6.12", or a name that ``kallsyms --help`` lists
    options  options of scripts/kallsyms, named without dashes

    Raises InputError if the kernel's own tool would fail, ValueError for a dialect or option that does not
    exist, and OSError if a file cannot be read.
    """
    found = find(dialect)
    if found is None:
        raise ValueError(f"no dialect {dialect!r}, there are {', '.join(each.name for each in DIALECTS)}")
    bits = 0
    for option in options:
        if option not in found.options:
            raise ValueError(
                f"dialect {found.name} has no option {option!r}, only {', '.join(found.options)}"
            )
        bits |= OPTION_BITS[option]
    contents = _contents(source)
    if contents.startswith(_ELF):
        elf = ElfFile.read(contents)
        vmlinux.check_linked(elf)
        contents = nm.system_map(elf, found)
    return pipeline.build(contents, found, bits)


def read(source: Source) -> list[KernelSymbol]:
    """The symbols that the kallsyms tables of a linked kernel hold, in table order.

    ``source`` is the path or the contents of a vmlinux that has its symbol table. Raises InputError if the
    tables are missing or damaged, and OSError if the file cannot be read.
    """
    return tablereader.read(ElfFile.read(_contents(source)))


def _contents(source: Source) -> bytes:
    return source if isinstance(source, bytes) else read_regular(os.fspath(source), _MOST, follow=True)
