# SPDX-License-Identifier: GPL-2.0-only
"""What the linker is about to read: the symbols of its input files.

Sizes of the kernel's tables depend on names and type letters only, and those are known before the link, from
the files that go into it (kallsymsd.onelink.prediction).
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

#: Sections with different names that a class number has room for.
MOST_CLASSES = 5000
_ABSOLUTE = b"*ABS*"
# Binding and type of a symbol make 12 classes of each section's (kallsymsd/elf/native/inputs.pyx).
_KINDS = 12


class Classes:
    """Numbers for the sections that symbols are in; a section's name counts up to a "+".

    ``___ksymtab+printk`` is of the class of ``___ksymtab``: kbuild makes a section for each exported symbol.
    """

    def __init__(self, names: Sequence[bytes] = ()) -> None:
        self._numbers = {name: number for number, name in enumerate(names or (_ABSOLUTE,))}

    @property
    def names(self) -> list[bytes]:
        """The sections' names in the order of their numbers; the first stands for absolute symbols."""
        return list(self._numbers)

    def number(self, section: bytes) -> int:
        """The number of a section's class. InputError when there are too many."""
        name = section.partition(b"+")[0]
        number = self._numbers.setdefault(name, len(self._numbers))
        if number >= MOST_CLASSES:
            raise InputError(b"more than %d differently named sections" % MOST_CLASSES)
        return number

    def describe(self, symbol_class: bytes) -> bytes:
        """The name of the section of a class of symbols, as in the first two bytes of a string."""
        kind = (symbol_class[0] - 1) * 255 + symbol_class[1] - 1
        return self.names[kind // _KINDS]


class Inputs:
    """The defined symbols of all input files.

    parts    of each file, in the order of the link; each string is two bytes for the symbol's class (section,
             binding, type) and its name
    classes  what the classes' sections are called
    """

    __slots__ = ("classes", "parts")

    def __init__(self, parts: tuple[Strings, ...], classes: Classes) -> None:
        self.parts = parts
        self.classes = classes

    @property
    def size(self) -> int:
        """Bytes taken."""
        return sum(strings.nbytes for strings in self.parts)


def read(file: ElfFile, classes: Classes) -> Strings:
    """The symbols of one file. InputError for a symbol table that contradicts itself."""
    numbers = array("H", [0])
    numbers.extend(classes.number(section.name) for section in file.sections[1:])
    strings = input_symbols(file.symbols(), numbers.tobytes())
    if strings is None:
        raise InputError(b"damaged ELF file", detail=b"its symbols' names take too much room")
    return strings
