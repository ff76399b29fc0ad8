# SPDX-License-Identifier: GPL-2.0-only
"""Kernels in miniature as lists of symbols: assembled, joined by "ld -r" as kbuild joins vmlinux.o, linked.

The linker script has what decides whether and how a symbol comes into a map: sections of every kind of
letter, per-cpu variables, sections that are thrown away, exported symbols, symbols of the script's own.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from tests.onelink.machines import MACHINES, call

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

#: Sections that a symbol can be in, and their flags. The last two are discarded.
SECTIONS = {
    ".text": '"ax"',
    ".init.text": '"ax"',
    ".data": '"aw"',
    ".bss": '"aw", %nobits',
    ".rodata": '"a"',
    ".rodata.str1.1": '"aMS", %progbits, 1',
    ".data..percpu": '"aw"',
    ".initcall6.init": '"a"',
    ".discard.addressable": '"a"',
    ".exitcall.exit": '"a"',
}
#: Stands for a section where a symbol is absolute.
ABSOLUTE = "*ABS*"
BINDINGS = ("local", "globl", "weak")
TYPES = ("function", "object", "notype")

SCRIPT = """\
ENTRY(_text)
PHDRS
{
    text PT_LOAD FLAGS(5);
    percpu PT_LOAD FLAGS(6);
    data PT_LOAD FLAGS(6);
}
SECTIONS
{
    . = 0xffffffff81000000;
    .text : { _text = .; _stext = .; *(.text) _etext = .; } :text
    .init.text : ALIGN(4096) { _sinittext = .; *(.init.text) _einittext = .; }
    .rodata : ALIGN(4096) { __start_rodata = .; *(.rodata .rodata.*) }
    __ksymtab : { __start___ksymtab = .; *(SORT(___ksymtab+*)) __stop___ksymtab = .; }
    __ksymtab_strings : { *(__ksymtab_strings) }
    .notes : { *(.note.gnu.build-id) }
    .init.data : { *(.initcall*.init) }
    __percpu_load = ALIGN(4096);
    .data..percpu 0 : AT(__percpu_load) { __per_cpu_start = .; *(.data..percpu) __per_cpu_end = .; } :percpu
    . = __percpu_load + SIZEOF(.data..percpu);
    .data : ALIGN(4096) { *(.data) } :data
    .bss : ALIGN(4096) { *(.bss) }
    _end = .;
    /DISCARD/ : { *(.discard.*) *(.exitcall.exit) *(.note.GNU-stack) *(.note.gnu.property) }
}
"""

_MACHINE = MACHINES["x86_64"]


class Symbol(NamedTuple):
    """A definition: its name and size, where it is, and what it is."""

    name: str
    section: str = ".text"
    binding: str = "local"
    type: str = "function"
    size: int = 16

    def lines(self) -> Iterable[str]:
        """Assembly."""
        if self.binding != "local":
            yield f"\t.{self.binding} {self.name}"
        yield f"\t.type {self.name}, %{self.type}"
        if self.section == ABSOLUTE:
            yield f"\t.set {self.name}, {self.size}"
            return
        yield f"\t.section {self.section}, {SECTIONS[self.section]}"
        yield f"{self.name}:"
        yield f'\t.asciz "{"x" * self.size}"' if "S" in SECTIONS[self.section] else f"\t.skip {self.size}"
        yield f"\t.size {self.name}, . - {self.name}"


@dataclass(frozen=True)
class Program:
    """One state of the sources.

    files    of each source file its symbols
    exports  names of exported symbols; kbuild puts them into .vmlinux.export.o. None: no such file
    """

    files: tuple[tuple[Symbol, ...], ...]
    exports: tuple[str, ...] | None = ()
    debug: str = field(default="where all is")

    def with_symbols(self, *symbols: Symbol, file: int = 0) -> Program:
        """With more symbols at the begin of a file."""
        files = list(self.files)
        files[file] = (*symbols, *files[file])
        return Program(tuple(files), self.exports, self.debug)

    def without(self, *names: str) -> Program:
        """Without the symbols of these names."""
        files = tuple(tuple(symbol for symbol in file if symbol.name not in names) for file in self.files)
        return Program(files, self.exports, self.debug)

    def exporting(self, *names: str) -> Program:
        """With other exported symbols."""
        return Program(self.files, names, self.debug)

    def put(self, directory: Path) -> None:
        """Make vmlinux.o and .vmlinux.export.o in ``directory``."""
        objects = []
        for number, file in enumerate(self.files):
            lines = [line for symbol in file for line in symbol.lines()]
            lines += ['\t.section .debug_info, ""', f'\t.ascii "{self.debug}"']
            objects.append(_assemble(directory, f"file{number}", lines))
        call([f"{_MACHINE.prefix}ld", *_MACHINE.linker, "-r", "-o", "vmlinux.o", *objects], directory)
        if self.exports is None:
            (directory / ".vmlinux.export.o").unlink(missing_ok=True)
            return
        lines = []
        for name in self.exports:
            lines += ['\t.section "__ksymtab_strings", "aMS", %progbits, 1', f"__kstrtab_{name}:"]
            lines += [f'\t.asciz "{name}"', f'\t.section "___ksymtab+{name}", "a"']
            lines += [f"__ksymtab_{name}:", f"\t.long __kstrtab_{name} - ."]
        _assemble(directory, ".vmlinux.export", lines)

    def map(self, directory: Path, rules: str) -> bytes:
        """What nm and mksysmap, of which ``rules`` is the sed script, make of the file that ld links."""
        self.put(directory)
        return link(directory, ["vmlinux.o", *([] if self.exports is None else [".vmlinux.export.o"])], rules)


def link(directory: Path, objects: list[str], rules: str) -> bytes:
    """What nm and mksysmap, of which ``rules`` is the sed script, make of the file that ld links."""
    (directory / "vmlinux.lds").write_text(SCRIPT)
    (directory / "mksysmap").write_text(rules)
    linker = [f"{_MACHINE.prefix}ld", *_MACHINE.linker, "--script=vmlinux.lds", "--whole-archive"]
    call([*linker, "-o", "linked", *objects], directory)
    (directory / "linked.nm").write_bytes(call([f"{_MACHINE.prefix}nm", "-n", "linked"], directory))
    return call(["sed", "-f", "mksysmap", "linked.nm"], directory)


def why_not() -> str | None:
    """Why this machine cannot link it; None if it can."""
    if not shutil.which("sed"):
        return "no sed (Debian: apt install sed)"
    return _MACHINE.why_not("ld")


def _assemble(directory: Path, name: str, lines: list[str]) -> str:
    source = directory / f"{name}.s"
    source.write_text("\n".join(lines) + "\n")
    made = f"{name}.o"
    call([f"{_MACHINE.prefix}as", *_MACHINE.assembler, "-o", made, source.name], directory)
    return made


def _base() -> Program:
    """A symbol of each class in two files, names that kernels have more than once, and some more."""
    files: list[list[Symbol]] = [[], []]
    for section in (*SECTIONS, ABSOLUTE):
        for binding in BINDINGS:
            for kind in TYPES:
                word = section.strip(".*").replace(".", "_").lower()
                for number in range(2):
                    name = f"{word}_{binding}_{kind}_{number}"
                    files[number].append(Symbol(name, section, binding, kind))
    for file in files:
        file += [Symbol(f"__func__.{number}", ".rodata", type="object") for number in range(3)]
        file += [Symbol("init_once"), Symbol("state", ".data", type="object")]
    return Program((tuple(files[0]), tuple(files[1])), ("kmalloc", "kfree"))


#: What all states of these tests begin with.
BASE = _base()
