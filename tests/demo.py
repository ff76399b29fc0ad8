# SPDX-License-Identifier: GPL-2.0-only
"""First look: a real kernel's tables, made by the kernel's own tool and by ours.

Run it as tests/demo. It goes through what a developer does: a first build, the same build again, a function
that grew, a function more. The tables are compared with those of the real kernel, and every object
with one made by the kernel's own tool, where that and its assembler are to be had.
"""

import hashlib
import os
import platform
import random
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests import maps, objects, oracles
from tests.bench.edits import KernelMap, add, shift
from tests.measure import LAUNCH, Daemon, spawn

MAP = "amd64-6.12.117-amd64"
SEED = 1
CONTROL = "import sys; from kallsymsd.ctl.main import main; sys.exit(main())"

#: What a table may be compared with gives one of these, in the order of gravity.
SAME = "same"
UNKNOWN = "-"
DIFFERENT = "[red]different[/red]"


class Scene:
    """A directory with a real map, its kernel's ELF header and what the tools need.

    stock  the kernel's own tool; None where it, or an assembler for its output, is missing
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.real_map = maps.unpack(MAP, directory / "in.map")
        self.flags = [f"--{option}" for option in self.real_map.options]
        (directory / "vmlinux").write_bytes(bytes.fromhex(self.real_map.expected["elf_header"]))
        header = directory / "include" / "asm" / "bitsperlong.h"
        header.parent.mkdir(parents=True)
        header.write_text("#define BITS_PER_LONG 64\n")
        can_assemble = platform.machine() == "x86_64"
        self.stock = oracles.find(self.real_map.dialect) if can_assemble else None

    def ask(self, daemon: Daemon) -> tuple[float, str]:
        """Run the client; CPU seconds of client and daemon, and what it says with -v."""
        arguments = [
            *("-v", "--dialect", self.real_map.dialect, *self.flags),
            *("vmlinux", "in.map", "out.S", "out.bin"),
        ]
        command = ["sh", "-c", 'exec "$@" 2>said', "sh", sys.executable, "-I", "-S", "-c", LAUNCH, *arguments]
        before = daemon.cpu()
        asked = spawn(command, self.directory, environment=daemon.environment)
        daemon.settle()
        said = (self.directory / "said").read_text().strip().removeprefix("kallsyms: ")
        return asked.cpu + daemon.cpu() - before, said

    def run_stock(self) -> float:
        """Run the kernel's own tool; CPU seconds."""
        assert self.stock is not None
        return spawn(
            [self.stock.tool, *self.flags, "in.map"], self.directory, stdout=self.directory / "stock.S"
        ).cpu

    def assemble(self, name: str) -> float:
        """Make NAME.o of NAME.S; CPU seconds."""
        return spawn(["gcc", "-m64", "-c", "-Iinclude", "-o", f"{name}.o", f"{name}.S"], self.directory).cpu

    def same_object(self) -> str:
        """Compare the objects: sections, symbols, relocations."""
        ours, stock = (objects.read((self.directory / name).read_bytes()) for name in ("out.o", "stock.o"))
        return SAME if ours == stock else DIFFERENT

    def same_kernel(self) -> str:
        """Compare the tables with those of the real kernel."""
        binary = (self.directory / "out.bin").read_bytes()
        included = re.findall(
            r'^kallsyms_(\w+):\n\t\.incbin "out\.bin", (\d+), (\d+)$',
            (self.directory / "out.S").read_text(),
            re.MULTILINE,
        )
        digests = {
            table: hashlib.sha256(binary[int(start) : int(start) + int(length)]).hexdigest()
            for table, start, length in included
        }
        expected = {table: entry["sha256"] for table, entry in self.real_map.expected["tables"].items()}
        return SAME if digests == expected else DIFFERENT


def builds(first: bytes) -> Iterator[tuple[str, bytes]]:
    """What happens to a kernel, and its map then."""
    rng = random.Random(SEED)
    yield "first build", first
    yield "same again", first
    grown = shift(KernelMap.parse(first), rng)
    yield "function grew", grown.text()
    yield "function more", add(grown, 1, rng, iter([b"kallsymsd_demo_function"])).text()


def show(console: Console, scene: Scene, daemon: Daemon) -> bool:
    """Go through the builds and print a table; whether all comparisons were equal."""
    table = Table("build", "kallsyms -v", "kernel's tables", "stock object")
    for heading in ("ms", "stock ms"):
        table.add_column(heading, justify="right")
    original = scene.real_map.path.read_bytes()
    verdicts = set()
    with console.status("building ..."):
        for what, text in builds(original):
            scene.real_map.path.write_bytes(text)
            cpu, said = scene.ask(daemon)
            kernel = scene.same_kernel() if text == original else UNKNOWN
            stock, stock_cpu = UNKNOWN, UNKNOWN
            if scene.stock is not None:
                cpu += scene.assemble("out")
                stock_cpu = f"{(scene.run_stock() + scene.assemble('stock')) * 1e3:.0f}"
                stock = scene.same_object()
            table.add_row(what, said, kernel, stock, f"{cpu * 1e3:.0f}", stock_cpu)
            verdicts |= {kernel, stock}
    console.print(table)
    return DIFFERENT not in verdicts


def main() -> int:
    """Run it; the exit status is 1 if anything was not the same."""
    console = Console(width=None if sys.stdout.isatty() else 120, highlight=False)
    with tempfile.TemporaryDirectory(prefix="kd-") as directory:
        scene = Scene(Path(directory))
        expected = scene.real_map.expected
        console.print(
            f"The System.map of Debian's {expected['package'].removesuffix('-dbg')}, "
            f"{expected['num_syms']:,} symbols, goes through kallsyms and kallsymsd"
            + (f", and through scripts/kallsyms of {scene.stock.version}." if scene.stock else ".")
        )
        if scene.stock is None:
            console.print(
                f"Not compared with the kernel's own tool: {oracles.missing(scene.real_map.dialect)}"
            )
        private = scene.directory / "private"
        private.mkdir(mode=0o700)
        with Daemon(private) as daemon:
            equal = show(console, scene, daemon)
            console.print(
                "ms: CPU of client, daemon and gcc -c; stock ms: of scripts/kallsyms and gcc -c. "
                f"out.S has {(scene.directory / 'out.S').stat().st_size:,} bytes, "
                f"out.bin {(scene.directory / 'out.bin').stat().st_size:,}"
                + (
                    f"; the assembly of scripts/kallsyms {(scene.directory / 'stock.S').stat().st_size:,}."
                    if scene.stock
                    else "."
                )
            )
            console.print("\n$ kallsymsctl stats")
            sys.stdout.flush()
            subprocess.run(
                [sys.executable, "-c", CONTROL, "stats"],
                cwd=oracles.ROOT,
                env={**os.environ, **daemon.environment, "PYTHONPATH": os.fspath(oracles.ROOT / "client")},
                check=True,
            )
    return 0 if equal else 1


if __name__ == "__main__":
    sys.exit(main())
