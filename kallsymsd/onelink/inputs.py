# SPDX-License-Identifier: GPL-2.0-only
"""The symbols of the linker's input files.

The sizes of the kernel's tables depend only on names and type letters, which the input files determine before
the link (kallsymsd.onelink.prediction).
"""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING

from kallsymsd.core.errors import InputError
from kallsymsd.elf.native.inputs import input_symbols

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kallsymsd.core.native.strings import Strings
    from kallsymsd.elf.elffile import ElfFile

#: Limit on the number of section names, given by the size of a class number.
MOST_CLASSES = 5000
_ABSOLUTE = b"*ABS*"
# Binding and type divide the symbols of a section into 12 classes (kallsymsd/elf/native/inputs.pyx).
_KINDS = 12


class Classes:
    """Numbers for the sections of symbols; a "+" in a section's name and everything after it is ignored.

    ``___ksymtab+printk`` has the number of ``___ksymtab``: kbuild makes a section for each exported symbol.
    """

    def __init__(self, names: Sequence[bytes] = ()) -> None:
        self._numbers = {name: number for number, name in enumerate(names or (_ABSOLUTE,))}

    @property
    def names(self) -> list[bytes]:
        """The section names in the order of their numbers; the first stands for absolute symbols."""
        return list(self._numbers)

    def number(self, section: bytes) -> int:
        """The number of a section. InputError if there are too many."""
        name = section.partition(b"+")[0]
        number = self._numbers.setdefault(name, len(self._numbers))
        if number >= MOST_CLASSES:
            raise InputError(b"more than %d differently named sections" % MOST_CLASSES)
        return number

    def describe(self, symbol_class: bytes) -> bytes:
        """The section name of a class of symbols, given as the first two bytes of a string."""
        kind = (symbol_class[0] - 1) * 255 + symbol_class[1] - 1
        return self.names[kind // _KINDS]


class Inputs:
    """The defined symbols of all input files.

    parts    symbols of each file, in link order; each string is two bytes for the symbol's class (section,
             binding, type) and its name
    classes  section names of the classes
    """

    __slots__ = ("classes", "parts")

    def __init__(self, parts: tuple[Strings, ...], classes: Classes) -> None:
        self.parts = parts
        self.classes = classes

    @property
    def size(self) -> int:
        """Memory used, in bytes."""
        return sum(strings.nbytes for strings in self.parts)


def read(file: ElfFile, classes: Classes) -> Strings:
    """The symbols of one file. InputError if its symbol table is inconsistent."""
    numbers = array("H", [0])
    numbers.extend(classes.number(section.name) for section in file.sections[1:])
    strings = input_symbols(file.symbols(), numbers.tobytes())
    if strings is None:
        raise InputError(b"damaged ELF file", detail=b"its symbol names are too long")
    return strings
