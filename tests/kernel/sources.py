# SPDX-License-Identifier: GPL-2.0-only
"""Kernel sources, and what this machine needs to build and boot them.

KALLSYMSD_KERNEL_SOURCES  where linux-source-6.1 and linux-source-6.12 are unpacked; only read
KALLSYMSD_KERNEL_CACHE    where everything is built, and kept for the next run (default .cache/kernel; 10 GB)
"""

import os
import shutil
import subprocess
from pathlib import Path

from tests.oracles import ROOT

CACHE = Path(os.environ.get("KALLSYMSD_KERNEL_CACHE") or ROOT / ".cache" / "kernel").absolute()
SOURCES = Path(os.environ.get("KALLSYMSD_KERNEL_SOURCES") or CACHE / "sources").absolute()

SERIES = ("6.1", "6.12")

#: A file that every configuration compiles; the one that the mail of February 2024 touches for its measure.
EDITED = "fs/ioctl.c"
FUNCTION = """
int kallsymsd_proof_function(int number);
int kallsymsd_proof_function(int number)
{
	return number + 1;
}
"""

#: What is run, and the Debian package it comes in.
_PACKAGES = {
    "make": "make",
    "gcc": "gcc",
    "ld": "binutils",
    "bc": "bc",
    "flex": "flex",
    "bison": "bison",
    "perl": "perl",
    "qemu-system-x86_64": "qemu-system-x86",
    "/bin/busybox": "busybox-static",
    "/usr/include/libelf.h": "libelf-dev",
}


def why_not(series: str) -> str | None:
    """Why this machine cannot build and boot kernels of a series, and what to do about it; None if it can."""
    packages = [
        package
        for name, package in _PACKAGES.items()
        if not (Path(name).exists() if name.startswith("/") else shutil.which(name))
    ]
    if packages:
        return f"kernels need: apt-get install {' '.join(packages)}"
    if not _unpacked(series).joinpath("Makefile").is_file():
        return f"no kernel source {_unpacked(series)}: run tests/kernel/fetch-sources {SOURCES}"
    return None


def _unpacked(series: str) -> Path:
    return SOURCES / f"linux-source-{series}"


def editable(series: str) -> Path:
    """A source tree that may be edited, at the same path in every run.

    It is made of symbolic links, but for the file that is edited: a second or two instead of 1.5 GB.
    """
    origin, tree = _unpacked(series), CACHE / series / "source"
    if (tree / "Makefile").resolve() != (origin / "Makefile").resolve():
        shutil.rmtree(tree, ignore_errors=True)
        tree.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run(["cp", "-as", origin, tree], check=True)
    restore(tree, series)
    return tree


def restore(tree: Path, series: str) -> None:
    """Undo what was edited; a file that stands as it was keeps its time."""
    text = (_unpacked(series) / EDITED).read_text()
    file = tree / EDITED
    if file.is_symlink():
        file.unlink()  # writing would go through it, to the source that is only read
    if not file.exists() or file.read_text() != text:
        file.write_text(text)


def add_function(tree: Path) -> None:
    """Add a function to the file that is edited."""
    file = tree / EDITED
    file.write_text(file.read_text() + FUNCTION)
