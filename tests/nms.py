# SPDX-License-Identifier: GPL-2.0-only
"""nm, and what the kernel's scripts/mksysmap makes of its output: oracles for maps made from ELF files."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from tests import oracles

#: nm of binutils by ELF machine and class, as Debian's packages name it.
BINUTILS = {
    "x86_64": "x86_64-linux-gnu-nm",
    "i386": "x86_64-linux-gnu-nm",
    "s390x": "s390x-linux-gnu-nm",
    "s390": "s390x-linux-gnu-nm",
    "arm": "arm-linux-gnueabi-nm",
}
#: For MIPS, whose common symbols and small data have letters that no kernel needs.
MIPS = "mips-linux-gnu-nm"
LLVM = "llvm-nm"
# Kernel builds sort in the C locale, and take their messages as they come.
_ENVIRONMENT = {"PATH": os.environ["PATH"], "LC_ALL": "C"}


def why_not(program: str) -> str | None:
    """Why ``program`` cannot be asked; None if it can."""
    if shutil.which(program):
        return None
    packages = "llvm binutils-arm-linux-gnueabi binutils-s390x-linux-gnu binutils-mips-linux-gnu"
    return f"no {program} (Debian: apt install {packages})"


def listed(program: str, image: bytes) -> bytes:
    """What ``nm -n`` prints for an ELF file."""
    with tempfile.NamedTemporaryFile(prefix="nm-", suffix=".elf") as file:
        file.write(image)
        file.flush()
        return subprocess.run(
            [program, "-n", file.name], env=_ENVIRONMENT, capture_output=True, check=True
        ).stdout


def filtered(script: str | Path, lines: bytes) -> bytes:
    """What is left of lines of ``nm -n``; ``script`` is for sed: its text, or a file with it."""
    command = ["-f", str(script)] if isinstance(script, Path) else ["-e", script]
    return subprocess.run(
        ["sed", *command], input=lines, env=_ENVIRONMENT, capture_output=True, check=True
    ).stdout


def kernels_map(dialect: str, program: str, image: bytes, directory: Path) -> bytes | None:
    """The map that the mksysmap of ``dialect``'s kernel makes of an ELF file; None without that script."""
    oracle = oracles.find(dialect)
    if oracle is None:
        return None
    script = oracle.tool.parent / "mksysmap"
    if not script.read_bytes().startswith(b"#!/bin/sh"):
        return filtered(script, listed(program, image))
    vmlinux, made = directory / "vmlinux", directory / "System.map"
    vmlinux.write_bytes(image)
    subprocess.run(
        ["sh", script, vmlinux, made], env={**_ENVIRONMENT, "NM": program}, capture_output=True, check=False
    )
    return made.read_bytes()
