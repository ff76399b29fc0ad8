# SPDX-License-Identifier: GPL-2.0-only
"""Assemblers and linkers of several machines, and how they are called."""

import functools
import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from kallsymsd.core.target import Target

#: Stands for an LLD of release 17 or newer, whatever it is called here. Its digests are not those of 14.
NEW_LLD = "ld.lld>=17"
# What a tool may take; tests are not timed, a hanging linker is to be seen.
_PATIENCE = 120


@dataclass(frozen=True)
class Machine:
    """A machine that there are binutils for.

    name       as the tests call it
    prefix     of the programs' names in Debian's packages
    assembler  flags
    linker     flags
    target     class and byte order
    base       where its kernel begins
    package    that the programs are in
    """

    name: str
    prefix: str
    assembler: tuple[str, ...]
    linker: tuple[str, ...]
    target: Target
    base: int
    package: str

    def program(self, linker: str) -> str:
        """A linker's program: "ld.lld", NEW_LLD, or "ld" for that of binutils."""
        if linker == NEW_LLD:
            return _new_lld() or linker
        return linker if linker == "ld.lld" else f"{self.prefix}ld"

    def why_not(self, linker: str) -> str | None:
        """Why this machine's programs cannot be called here; None if they can."""
        for program in (f"{self.prefix}as", self.program(linker), "cpp", f"{self.prefix}nm"):
            if not shutil.which(program):
                package = {"ld.lld": "lld", NEW_LLD: "lld-19"}.get(program, self.package)
                return f"no {program} (Debian: apt install {package})"
        return None

    def assemble(self, source: Path) -> Path:
        """Preprocess and assemble a .S, as kbuild does, in its directory; the object beside it."""
        header = source.parent / "include" / "asm" / "bitsperlong.h"
        header.parent.mkdir(parents=True, exist_ok=True)
        header.write_text(f"#define BITS_PER_LONG {self.target.bits}\n")
        preprocessed = source.with_suffix(".s")
        # -undef: no macro of the machine that tests run on may touch a symbol's name.
        flags = ["-undef", "-nostdinc", "-I", "include", "-x", "assembler-with-cpp"]
        call(["cpp", *flags, source, preprocessed], source.parent)
        made = source.with_suffix(".o")
        call(
            [f"{self.prefix}as", *self.assembler, "--fatal-warnings", "-o", made, preprocessed], source.parent
        )
        return made

    def map(self, linked: Path, dropped: str) -> bytes:
        """What nm and mksysmap make of a file, without the rules for names that no program here has.

        ``dropped`` begins the names of the last object's symbols where mksysmap drops these.
        """
        text = call([f"{self.prefix}nm", "-n", linked], linked.parent).decode()
        prefixes = [dropped] if dropped else []
        kept = []
        width = self.target.bits // 4
        for line in text.splitlines(keepends=True):
            kind, name = line[width + 1], line[width + 3 :]
            # "$": the marks of data in code on ARM; ".L": the labels of distances on RISC-V
            if kind not in ("a", "N", "U", "w") and not name.startswith(("$", ".L", *prefixes)):
                kept.append(line)
        return "".join(kept).encode()


@functools.cache
def _new_lld() -> str | None:
    """The program of an LLD that NEW_LLD can stand for, the usual one or the newest."""
    numbered = {
        path.name
        for directory in os.get_exec_path()
        for path in Path(directory).glob("ld.lld-*")
        if path.name[7:].isdecimal()
    }
    for program in ("ld.lld", *sorted(numbered, key=lambda name: -int(name[7:]))):
        if shutil.which(program):
            said = call([program, "--version"], Path.cwd()).decode()
            release = re.search(r"LLD (\d+)\.", said)
            if release and int(release[1]) >= 17:
                return program
    return None


def call(command: list[str | Path], directory: Path) -> bytes:
    """Run a program that must succeed, in the C locale; its standard output."""
    done = subprocess.run(
        command,
        cwd=directory,
        env={**os.environ, "LC_ALL": "C"},
        capture_output=True,
        check=False,
        timeout=_PATIENCE,
    )
    if done.returncode:
        raise AssertionError(f"{command[0]}: {done.stderr.decode(errors='replace')}")
    return done.stdout


MACHINES = {
    machine.name: machine
    for machine in (
        Machine(
            name="x86_64",
            prefix="x86_64-linux-gnu-",
            assembler=("--64",),
            linker=("-m", "elf_x86_64"),
            target=Target(64, big_endian=False),
            base=0xFFFFFFFF81000000,
            package="binutils-x86-64-linux-gnu",
        ),
        Machine(
            name="i386",
            prefix="x86_64-linux-gnu-",
            assembler=("--32",),
            linker=("-m", "elf_i386"),
            target=Target(32, big_endian=False),
            base=0xC1000000,
            package="binutils-x86-64-linux-gnu",
        ),
        Machine(
            name="s390x",
            prefix="s390x-linux-gnu-",
            assembler=("-m64",),
            linker=("-m", "elf64_s390"),
            target=Target(64, big_endian=True),
            base=0x100000,
            package="binutils-s390x-linux-gnu",
        ),
        Machine(
            name="aarch64",
            prefix="aarch64-linux-gnu-",
            assembler=(),
            linker=("-m", "aarch64linux"),
            target=Target(64, big_endian=False),
            base=0xFFFF800080000000,
            package="binutils-aarch64-linux-gnu",
        ),
        Machine(
            name="arm",
            prefix="arm-linux-gnueabi-",
            assembler=(),
            linker=("-m", "armelf_linux_eabi"),
            target=Target(32, big_endian=False),
            base=0xC0008000,
            package="binutils-arm-linux-gnueabi",
        ),
        Machine(
            name="riscv64",
            prefix="riscv64-linux-gnu-",
            assembler=(),
            linker=("-m", "elf64lriscv"),
            target=Target(64, big_endian=False),
            base=0xFFFFFFFF80000000,
            package="binutils-riscv64-linux-gnu",
        ),
    )
}
