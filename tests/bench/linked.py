# SPDX-License-Identifier: GPL-2.0-only
"""The way from a linked kernel to its map: nm and mksysmap, and ours."""

from pathlib import Path

from kallsymsd.core.dialects import BY_NAME
from kallsymsd.elf import nm
from kallsymsd.elf.elffile import ElfFile
from tests import elfs, nms
from tests.bench.job import Job
from tests.measure import Sample, in_child, spawn

NM_SED = "nm -n | mksysmap"
OURS = "library, ELF to map"

# Section flags and binding that give each letter.
_SECTIONS = {
    b"t": elfs.Section(b".text", flags=elfs.ALLOC | elfs.EXECINSTR),
    b"d": elfs.Section(b".data", flags=elfs.ALLOC | elfs.WRITE),
    b"r": elfs.Section(b".rodata"),
    b"b": elfs.Section(b".bss", elfs.NOBITS, elfs.ALLOC | elfs.WRITE),
}


def _symbol(line: bytes) -> elfs.Symbol:
    address, letter, name = line.split(b" ", 2)
    value = int(address, 16)
    if letter in b"VW":
        kind = elfs.OBJECT if letter == b"V" else elfs.FUNC
        return elfs.Symbol(name, value, 1, elfs.WEAK, kind)
    bind = elfs.GLOBAL if letter.isupper() else elfs.LOCAL
    if letter == b"A":
        return elfs.Symbol(name, value, elfs.ABS, bind)
    return elfs.Symbol(name, value, list(_SECTIONS).index(letter.lower()) + 1, bind)


def write(text: bytes, bits: int, path: Path) -> None:
    """An ELF file at ``path`` whose map is ``text``."""
    symbols = [_symbol(line) for line in text.splitlines()]
    # Locals before globals, each in no order: by object file, as linkers leave them, is kinder to caches.
    symbols.sort(key=lambda symbol: (symbol.bind != elfs.LOCAL, symbol.value * 0x9E3779B1 % (1 << 32)))
    machine = elfs.EM_X86_64 if bits == 64 else elfs.EM_386
    image = elfs.Image(bits, machine=machine, sections=list(_SECTIONS.values()), symbols=symbols)
    path.write_bytes(image.encode())


def measure(job: Job) -> dict[str, Sample]:
    """Both ways on the file ``linked``; they must agree."""
    program, script = nms.BINUTILS["x86_64"], job.oracle.tool.parent / "mksysmap"
    made = job.directory / "nm.map"
    if script.read_bytes().startswith(b"#!/bin/sh"):
        command = ["sh", "-c", f"NM={program} sh {script} linked nm.map"]
    else:
        command = ["sh", "-c", f"{program} -n linked | sed -f {script} > nm.map"]
    samples = {NM_SED: spawn(command, job.directory, environment={"LC_ALL": "C"})}

    def work() -> None:
        elf = ElfFile.read((job.directory / "linked").read_bytes())
        (job.directory / "ours.map").write_bytes(nm.system_map(elf, BY_NAME[job.real_map.dialect]))

    samples[OURS] = in_child(work)
    if (job.directory / "ours.map").read_bytes() != made.read_bytes():
        raise RuntimeError("the map made from the ELF file is not that of nm and mksysmap")
    return samples
