# SPDX-License-Identifier: GPL-2.0-only
"""A kernel in miniature: functions, variables, a linker script with the sections that matter here, and the
steps of scripts/link-vmlinux.sh with the kernel's own scripts/kallsyms.
"""

import random
from dataclasses import dataclass
from pathlib import Path

from kallsymsd.core.dialects import Dialect
from tests import oracles
from tests.onelink.machines import Machine, call
from tests.reference.tool import Outcome, run

_SCRIPT = """\
SECTIONS {{
    . = {base:#x};
    {head}
    .text : {{ _text = .; _stext = .; *(.text) _etext = .; }}
    .init.text : ALIGN(4096) {{ _sinittext = .; *(.init.text) _einittext = .; }}
    .rodata : ALIGN(4096) {{ __start_rodata = .; *(.rodata) *(.rodata.*) }}
    .notes : {{ __start_notes = .; *(.note.*) __stop_notes = .; }}
    .data : ALIGN(4096) {{ *(.data) }}
    {percpu}
    .bss : {{ *(.bss) }}
    _end = .;
    /DISCARD/ : {{ *(.note.GNU-stack) *(.note.gnu.property) *(.interp) }}
}}
"""

_PERCPU = ".data..percpu : ALIGN(4096) { __per_cpu_start = .; *(.data..percpu) __per_cpu_end = .; }"
_PERCPU_AT_ZERO = """\
    __percpu_load = ALIGN(4096);
    .data..percpu 0 : AT(__percpu_load) { __per_cpu_start = .; *(.data..percpu) __per_cpu_end = .; }
    . = __percpu_load + SIZEOF(.data..percpu);
"""

_WORDS = (
    "cpu",
    "irq",
    "page",
    "lock",
    "init",
    "queue",
    "dev",
    "file",
    "mount",
    "tick",
    "probe",
    "vma",
    "rcu",
)


@dataclass(frozen=True)
class Configuration:
    """How a kernel is built: dialect and options of scripts/kallsyms; "ld" or "ld.lld", and its flags."""

    dialect: Dialect
    options: tuple[str, ...]
    linker: str = "ld"
    flags: tuple[str, ...] = ("--build-id=sha1",)

    def map(self, machine: Machine, linked: Path) -> bytes:
        """The map of a linked file."""
        return machine.map(linked, "kallsyms_" if self.dialect.name in ("v6.4", "v6.5") else "")

    def tables(self, map_text: bytes) -> Outcome:
        """What the kernel's own scripts/kallsyms makes, or, where nobody packages it, the reference."""
        oracle = oracles.find(self.dialect.name) if self.dialect.name in oracles.SERIES else None
        if oracle is None:
            done = run(self.dialect.name, self.options, map_text)
        else:
            done = oracle.run(self.options, map_text)
        assert done.status == 0, done.stderr
        return done


@dataclass(frozen=True)
class Kernel:
    """One state of the sources.

    machine   that it is for
    growth    by how many bytes some of the functions are longer than in the state with 0: all behind moves
    head      whether code comes before _text, which is what moves then
    percpu0   whether per-cpu variables are linked at address 0, as on x86-64 until v6.14
    more      names of additional functions
    """

    machine: Machine
    growth: int = 0
    head: bool = False
    percpu0: bool = False
    more: tuple[str, ...] = ()

    def source(self) -> str:
        """Its only source file; assembly without instructions, so for every machine."""
        chance = random.Random(1)  # the same names in each state
        lines = ['\t.section .head.text, "ax"', *self._function("head_entry", 64 + self.growth)]
        for number in range(280):
            words = "_".join(chance.choices(_WORDS, k=chance.randint(1, 4)))
            section = chance.choices(
                (
                    '.text, "ax"',
                    '.init.text, "ax"',
                    '.data, "aw"',
                    '.bss, "aw", %nobits',
                    '.data..percpu, "aw"',
                ),
                (70, 8, 12, 6, 4),
            )[0]
            scope = chance.choice(("", "\t.globl {0}", "\t.weak {0}")).format(f"{words}_{number}")
            size = 16 * chance.randint(1, 40) + (self.growth if number % 47 == 0 else 0)
            lines += [f"\t.section {section}", scope, *self._function(f"{words}_{number}", size)]
        for name in self.more:
            lines += ['\t.section .text, "ax"', *self._function(name, 32)]
        lines += ['\t.section .rodata, "a"', "linux_banner:", '\t.asciz "in miniature"', "\t.balign 8"]
        word = ".quad" if self.machine.target.bits == 64 else ".long"
        lines += ['\t.section .data, "aw"', "\t.balign 8", "table:", f"\t{word} table, linux_banner"]
        lines += [
            '\t.section .debug_info, ""',
            '\t.ascii "where all functions are"',
            f"\t.long {self.growth}",
        ]
        return "\n".join(lines) + "\n"

    @staticmethod
    def _function(name: str, size: int) -> list[str]:
        return [f"{name}:", f"\t.skip {size}"]

    def script(self) -> str:
        """Its linker script."""
        head = ".head.text : { *(.head.text) }" if self.head else ""
        return _SCRIPT.format(
            base=self.machine.base, head=head, percpu=_PERCPU_AT_ZERO if self.percpu0 else _PERCPU
        )


class Tree:
    """An object tree in ``directory``: what a configuration makes of a kernel."""

    def __init__(self, kernel: Kernel, configuration: Configuration, directory: Path) -> None:
        self.kernel = kernel
        self.directory = directory
        self.configuration = configuration
        machine = kernel.machine
        self._command = [machine.program(configuration.linker), *machine.linker, *configuration.flags]
        directory.mkdir(parents=True)
        (directory / "kernel.S").write_text(kernel.source())
        (directory / "kernel.lds").write_text(kernel.script())
        self._object = machine.assemble(directory / "kernel.S")

    def link(self, name: str, tables: Path | None, *, strip_debug: bool = False) -> Path:
        """One link, with the object of the tables or none."""
        out = self.directory / name
        flags = ["--strip-debug"] if strip_debug else []
        last = [] if tables is None else [tables.name]
        call(
            [*self._command, *flags, "--script=kernel.lds", "-o", out, self._object.name, *last],
            self.directory,
        )
        return out

    def tables(self, map_text: bytes, name: str) -> Path:
        """The object that the kernel's own tool and the assembler make of a map."""
        source = self.directory / f"{name}.S"
        made = self.configuration.tables(map_text)
        source.write_bytes(made.stdout)
        (self.directory / "out.bin").write_bytes(made.binary)
        return self.kernel.machine.assemble(source)

    def first(self) -> Path:
        """The tables that come of the first link: with the right sizes, and addresses that are of no use."""
        linked = self.link(".tmp_vmlinux1", self._empty(), strip_debug=True)
        return self.tables(self.configuration.map(self.kernel.machine, linked), ".tmp_vmlinux1.kallsyms")

    def _empty(self) -> Path | None:
        """What the first link takes: since v6.11 tables of no symbols."""
        return self.tables(b"", ".tmp_vmlinux0.kallsyms") if self.configuration.dialect.empty else None

    def build(self) -> tuple[Path, Path]:
        """All links of a stock build; vmlinux and the object with its tables."""
        machine = self.kernel.machine
        tables, labels, step = self._empty(), b"", 0
        while True:
            step += 1
            linked = self.link(f".tmp_vmlinux{step}", tables, strip_debug=True)
            tables = self.tables(self.configuration.map(machine, linked), f".tmp_vmlinux{step}.kallsyms")
            # kallsymso_changed() of link-vmlinux.sh
            before, labels = labels, call([f"{machine.prefix}nm", "-n", tables], self.directory)
            if labels == before:
                break
            if step == 4:
                raise AssertionError("the layout does not come to rest")
        vmlinux = self.link("vmlinux", tables)
        # The script's own last check: else the oracle's tables are of another kernel.
        assert self.configuration.map(machine, vmlinux) == self.configuration.map(machine, linked)
        return vmlinux, tables
