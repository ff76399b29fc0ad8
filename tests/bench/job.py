# SPDX-License-Identifier: GPL-2.0-only
"""What all measurements work on."""

import platform
import sys
from dataclasses import dataclass
from pathlib import Path

from kallsymsd import __version__
from kallsymsd.core.dialects import OPTION_BITS
from kallsymsd.protocol import wire
from tests import maps, oracles
from tests.maps import RealMap


@dataclass(frozen=True)
class Job:
    """A map in a directory of its own.

    directory  where everything is written, and the working directory of all programs
    real_map   the map, in.map in the directory
    oracle     its kernel's own tool
    """

    directory: Path
    real_map: RealMap
    oracle: oracles.Oracle

    @property
    def flags(self) -> list[str]:
        """What the kernel's build passed to the tool."""
        return [f"--{option}" for option in self.real_map.options]

    @property
    def bits(self) -> int:
        """Word size of the target."""
        return int(self.real_map.expected["bits"])

    @property
    def symbols(self) -> int:
        """Entries in the tables."""
        return int(self.real_map.expected["num_syms"])

    @property
    def gcc(self) -> list[str]:
        """The compiler for the target, which only assembles."""
        return ["gcc", f"-m{self.bits}", "-c"]

    @property
    def client_arguments(self) -> list[str]:
        """The file form, which names all four files."""
        return ["--dialect", self.real_map.dialect, *self.flags, "vmlinux", "in.map", "out.S", "out.bin"]

    def request(self, tree: Path) -> wire.BuildRequest:
        """What the client would ask, were it run in the directory ``tree``."""
        return wire.BuildRequest(
            version=__version__,
            dialect=self.real_map.dialect,
            options=sum(OPTION_BITS[option] for option in self.real_map.options),
            form=wire.INCBIN,
            bits=self.bits,
            bin_name=b"out.bin",
            map_path=bytes(tree / "System.map"),
            tree=bytes(tree),
        )


def prepare(directory: Path, name: str) -> Job:
    """Put into ``directory`` what the measurements need."""
    real_map = maps.unpack(name, directory / "in.map")
    oracle = oracles.find(real_map.dialect)
    if oracle is None:
        sys.exit(oracles.missing(real_map.dialect))
    if not real_map.expected["little_endian"] or platform.machine() != "x86_64":
        sys.exit("bench: gcc must be able to assemble for the map's machine; use an x86 map on x86_64")
    (directory / "vmlinux").write_bytes(bytes.fromhex(real_map.expected["elf_header"]))
    header = directory / "include" / "asm" / "bitsperlong.h"
    header.parent.mkdir(parents=True)
    header.write_text(f"#define BITS_PER_LONG {real_map.expected['bits']}\n")
    return Job(directory, real_map, oracle)
