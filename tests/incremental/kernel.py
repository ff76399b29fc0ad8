# SPDX-License-Identifier: GPL-2.0-only
"""A program of a few thousand functions that is edited, compiled and linked like a kernel."""

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

FILES = 4
FUNCTIONS = 3000

PROGRAMS = ("gcc", "ld", "nm", "sed")
SUBSYSTEMS = ("acpi", "block", "crypto", "ext4", "irq", "mm", "net", "pci", "sched", "tcp", "usb", "vfs")
ACTIONS = ("add", "alloc", "free", "get", "init", "lookup", "put", "probe", "read", "remove", "set", "write")

SCRIPT = """\
SECTIONS {
    . = 0x1000000;
    .text : { _text = .; _stext = .; *(.text .text.*) _etext = .; }
    . = ALIGN(4096);
    .percpu : { __per_cpu_start = .; *(.percpu) __per_cpu_end = .; }
    . = ALIGN(4096);
    .init : { _sinittext = .; *(.init) _einittext = .; }
    . = ALIGN(4096);
    .data : { *(.data .data.*) }
    .bss : { *(.bss .bss.* COMMON) _end = .; }
    /DISCARD/ : { *(.comment .note .note.* .eh_frame) }
}
"""


def why_not() -> str | None:
    """Why this machine cannot build the program; None if it can."""
    missing = [program for program in PROGRAMS if not shutil.which(program)]
    return (
        f"no {' and no '.join(missing)} to link a program with (Debian: apt install gcc)" if missing else None
    )


@dataclass
class Function:
    """A function of the program.

    name     its name
    size     statements in its body
    before   what stands before its type
    aliased  has a second name at its address, which ranks by its underscores
    """

    name: str
    size: int
    before: str = ""
    aliased: bool = False

    @property
    def source(self) -> str:
        body = "".join(f"x = x * 3 + {step};" for step in range(self.size))
        alias = (
            f'extern int __{self.name}(int) __attribute__((alias("{self.name}")));\n' if self.aliased else ""
        )
        return f"{self.before}int {self.name}(int x) {{ {body} return x; }}\n{alias}"


class Kernel:
    """The sources, as a developer edits them; build() links them and prints the map.

    files    functions of each file
    statics  names of static variables in each file
    percpu   names of variables in the per-cpu section
    """

    def __init__(self, directory: Path) -> None:
        self.files: list[list[Function]] = [[] for _ in range(FILES)]
        self.statics = [[f"{word}_lock" for word in SUBSYSTEMS] for _ in range(FILES)]
        self.percpu = ["runqueues", "cpu_number", "softirq_stat"]
        for number in range(FUNCTIONS):
            subsystem = SUBSYSTEMS[number % len(SUBSYSTEMS)]
            action = ACTIONS[number // len(SUBSYSTEMS) % len(ACTIONS)]
            before = ("", "static __attribute__((used)) ", "__attribute__((weak)) ")[number // 7 % 3]
            if number % 61 == 0:
                before += '__attribute__((section(".init"))) '
            function = Function(f"{subsystem}_{action}_{number:x}", number % 3 + 1, before, number % 50 == 0)
            self.files[number % FILES].append(function)
        self._directory = directory
        self._compiled: dict[int, str] = {}
        (directory / "kernel.lds").write_text(SCRIPT)

    def build(self) -> bytes:
        """Compile what changed, link, and print the map as kbuild does."""
        for file in range(FILES):
            source = self._source(file)
            if self._compiled.get(file) != source:
                (self._directory / f"{file}.c").write_text(source)
                flags = ("-O0", "-ffunction-sections", "-ffreestanding", "-fno-pie", "-fno-stack-protector")
                self._run("gcc", "-c", *flags, "-fno-asynchronous-unwind-tables", f"{file}.c")
                self._compiled[file] = source
        self._run(
            "ld", "-T", "kernel.lds", "-e", "_text", "-o", "vmlinux", *(f"{file}.o" for file in range(FILES))
        )
        return self._run("sh", "-c", "nm -n vmlinux | sed '/ [aNUw] /d'")

    def _source(self, file: int) -> str:
        parts = [f"static int {name} __attribute__((used));\n" for name in self.statics[file]]
        if file == 0:
            parts += [f'long {name} __attribute__((section(".percpu"))) = 1;\n' for name in self.percpu]
        parts += [function.source for function in self.files[file]]
        return "".join(parts)

    def _run(self, *command: str) -> bytes:
        done = subprocess.run(
            command, cwd=self._directory, env={**os.environ, "LC_ALL": "C"}, capture_output=True, check=False
        )
        if done.returncode:
            raise AssertionError(f"{command[0]}: {done.stderr.decode(errors='replace')}")
        return done.stdout
