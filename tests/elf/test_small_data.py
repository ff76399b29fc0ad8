# SPDX-License-Identifier: GPL-2.0-only
"""Letters of sections by machine, flag and name: what nm of binutils for that machine prints."""

from collections.abc import Callable
from typing import NoReturn

import pytest

from kallsymsd.core.dialects import SymbolFilter
from kallsymsd.core.errors import InputError
from kallsymsd.elf import nm
from kallsymsd.elf.elffile import ElfFile
from tests import elfs, nms

# Class, byte order and e_machine, by the prefix of binutils for it.
_MACHINES = {
    "alpha-linux-gnu": (64, False, 0x9026),
    "ia64-linux-gnu": (64, False, 50),
    "powerpc64-linux-gnu": (64, True, 21),
    "powerpc64le-linux-gnu": (64, False, 21),
    "mips-linux-gnu": (32, True, 8),
    "arm-linux-gnueabi": (32, False, 40),
    "aarch64-linux-gnu": (64, False, 183),
    "riscv64-linux-gnu": (64, False, 243),
    "s390x-linux-gnu": (64, True, 22),
    "x86_64-linux-gnu": (64, False, 62),
}
_NAMES = (
    *(b".data", b".sdata", b".sdata2", b".sdata.x", b".sbss", b".sbss.x", b".scommon", b".srdata", b".lit8"),
    *(b".small", b".got", b".ldata", b".lbss", b".rodata", b".tdata", b".gnu.linkonce.s.x"),
)
# SHF_GROUP and SHF_COMPRESSED would need contents that fit.
_BITS = (0, *(1 << bit for bit in (4, 5, 6, 7, 8, 10, *range(20, 32))))
_SECTIONS = [
    elfs.Section(name, kind, base | bit)
    for name in _NAMES
    for base in (elfs.ALLOC | elfs.WRITE, elfs.ALLOC, elfs.ALLOC | elfs.EXECINSTR, 0)
    for bit in _BITS
    for kind in (elfs.PROGBITS, elfs.NOBITS)
]


def _image(bits: int, machine: int, *, big_endian: bool, sections: list[elfs.Section]) -> bytes:
    symbols = [
        elfs.Symbol(b"s%d" % number, value=number, section=number, bind=number % 2)
        for number in range(1, len(sections) + 1)
    ]
    image = elfs.Image(
        bits, big_endian, machine, elfs.ET_EXEC, sections, sorted(symbols, key=lambda each: each.bind)
    )
    return image.encode()


@pytest.mark.parametrize("prefix", _MACHINES)
def test_letters(prefix: str, unavailable: Callable[[str], NoReturn]) -> None:
    program = f"{prefix}-nm"
    if reason := nms.why_not(program):
        unavailable(reason)
    bits, big_endian, machine = _MACHINES[prefix]
    image = _image(bits, machine, big_endian=big_endian, sections=_SECTIONS)
    printed = nms.listed(program, image).splitlines()
    assert len(printed) == len(_SECTIONS)
    everything = nm.filtered_map(ElfFile.read(image), nm.BINUTILS, SymbolFilter(types=""))
    assert everything.splitlines() == printed
    assert machine in nm.TRIED


@pytest.mark.parametrize(
    ("section", "refused"),
    [
        (elfs.Section(b".data", flags=elfs.ALLOC | elfs.WRITE), False),
        (elfs.Section(b".data", flags=elfs.ALLOC | elfs.WRITE | 0x10000000), True),
        (elfs.Section(b".debug", flags=0x80000000), False),  # SHF_EXCLUDE
        (elfs.Section(b".sdata", flags=elfs.ALLOC | elfs.WRITE), True),
        (elfs.Section(b".sbss", elfs.NOBITS, elfs.ALLOC | elfs.WRITE), True),
    ],
)
@pytest.mark.parametrize(
    "machine", [258, 113, 0xBAAB]
)  # LoongArch, Nios II, MicroBlaze before it had a number
def test_a_machine_that_nobody_has_looked_at(machine: int, section: elfs.Section, *, refused: bool) -> None:
    image = _image(64, machine, big_endian=False, sections=[section])
    read = ElfFile.read(image)
    assert nm.filtered_map(read, nm.LLVM, SymbolFilter(types=""))
    if refused:
        with pytest.raises(InputError, match="no map can be made") as caught:
            nm.filtered_map(read, nm.BINUTILS, SymbolFilter(types=""))
        assert section.name in caught.value.detail
    else:
        assert nm.filtered_map(read, nm.BINUTILS, SymbolFilter(types=""))
