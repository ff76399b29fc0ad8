# SPDX-License-Identifier: GPL-2.0-only
"""Assembling for the targets of the real maps."""

import os
import shutil
import subprocess
from pathlib import Path

from kallsymsd.core.target import Target
from kallsymsd.ctl.verification.objects import ObjectFile, read

__all__ = ["ASSEMBLERS", "TARGETS", "ObjectFile", "assemble", "read", "why_not"]

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
