# SPDX-License-Identifier: GPL-2.0-only
"""What the tables of one kernel cost: the kernel's own tool, and each of our ways, in one run.

    python -m tests.bench [--rounds N] [--map NAME] [--json FILE]

The ways take turns, so that a machine that is slow for a while is slow for all of them. Needs the kernel's
own tool (tests/fetch-oracles) and gcc.
"""

import argparse
import json
import os
import platform
import shutil
import statistics
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from kallsyms_client import wire
from kallsymsd.core.dialects import OPTION_BITS
from kallsymsd.engine import cold

from . import maps, oracles
from .maps import RealMap
from .measure import Daemon, Sample, client, in_child, spawn

TOOL = "kernel's own tool"
TOOL_GCC = "kernel's own tool + gcc -c"

#: Name of a measurement to its samples.
Samples = dict[str, Sample]


@dataclass(frozen=True)
class Job:
    """What all measurements work on.

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
    def gcc(self) -> list[str]:
        """The compiler for the target, which only assembles."""
        return ["gcc", f"-m{self.bits}", "-c"]

    @property
    def client_arguments(self) -> list[str]:
        """The file form, which names all four files."""
        return ["--dialect", self.real_map.dialect, *self.flags, "vmlinux", "in.map", "out.S", "out.bin"]


def kernels_own_tool(job: Job) -> Samples:
    """scripts/kallsyms, and the assembling of what it prints."""
    tool = spawn([job.oracle.tool, *job.flags, "in.map"], job.directory, stdout=job.directory / "stock.S")
    gcc = spawn([*job.gcc, "-Iinclude", "-o", "stock.o", "stock.S"], job.directory)
    return {TOOL: tool, TOOL_GCC: Sample(tool.cpu + gcc.cpu, tool.wall + gcc.wall)}


def in_process(job: Job) -> Samples:
    """The library alone: map read, tables made, files written; interpreter and imports not counted."""

    def work() -> None:
        request = wire.BuildRequest(
            version="",
            dialect=job.real_map.dialect,
            options=sum(OPTION_BITS[option] for option in job.real_map.options),
            form=wire.INCBIN,
            bits=job.bits,
            bin_name=b"out.bin",
        )
        made = cold.build(request, job.real_map.path.read_bytes())
        (job.directory / "library.bin").write_bytes(made.binary)
        (job.directory / "library.S").write_bytes(made.text)

    return {"library, cold": in_child(work)}


def without_daemon(job: Job) -> Samples:
    """The client when there is no daemon: interpreter, imports and all."""
    return {"client without daemon": client(job.client_arguments, job.directory, {"KALLSYMSD": "off"})}


def with_daemon(job: Job) -> Samples:
    """A daemon that has never seen the map, and then one that has."""
    samples = {}
    with tempfile.TemporaryDirectory(prefix="kd-") as directory, Daemon(Path(directory)) as daemon:
        for name in ("daemon, cold", "daemon, hit"):
            before = daemon.cpu()
            asked = client(job.client_arguments, job.directory, daemon.environment)
            daemon.settle()
            share = daemon.cpu() - before
            samples[name] = Sample(asked.cpu + share, asked.wall)
            samples[f"{name}: daemon's share"] = Sample(share, asked.wall)
            samples[f"{name}: client's share"] = asked
            # Same content, new file: what a rebuild looks like.
            shutil.copy(job.real_map.path, job.directory / "again.map")
            (job.directory / "again.map").replace(job.real_map.path)
    return samples


def assembling(job: Job) -> Samples:
    """Assembling of our .S and .bin."""
    return {"gcc -c of our output": spawn([*job.gcc, "-o", "out.o", "out.S"], job.directory)}


def floor(job: Job) -> Samples:
    """What a Python program costs that does nothing."""
    return {"python3 -I -S -c pass": spawn([sys.executable, "-I", "-S", "-c", "pass"], job.directory)}


#: In the order of a round; each may use what those before it have written.
MEASUREMENTS: tuple[Callable[[Job], Samples], ...] = (
    kernels_own_tool,
    in_process,
    without_daemon,
    with_daemon,
    assembling,
    floor,
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


def medians(samples: dict[str, list[Sample]]) -> dict[str, Sample]:
    """The median CPU and the median wall time of each measurement."""
    return {
        name: Sample(
            statistics.median(sample.cpu for sample in runs),
            statistics.median(sample.wall for sample in runs),
        )
        for name, runs in samples.items()
    }


def as_table(title: str, rows: dict[str, Sample]) -> Table:
    """For a person."""
    table = Table(title=title)
    table.add_column("", no_wrap=True)
    for heading in ("CPU ms", "wall ms", "CPU : tool", "CPU : tool+gcc", "wall : tool", "wall : tool+gcc"):
        table.add_column(heading, justify="right")
    for name, row in rows.items():
        table.add_row(
            name,
            f"{row.cpu * 1e3:.1f}",
            f"{row.wall * 1e3:.1f}",
            f"{row.cpu / rows[TOOL].cpu:.4f}",
            f"{row.cpu / rows[TOOL_GCC].cpu:.4f}",
            f"{row.wall / rows[TOOL].wall:.4f}",
            f"{row.wall / rows[TOOL_GCC].wall:.4f}",
        )
    return table


def as_json(job: Job, rounds: int, rows: dict[str, Sample], samples: dict[str, list[Sample]]) -> str:
    """For a program: seconds, ratios and every single run, and where they were measured."""
    return json.dumps(
        {
            "map": job.real_map.name,
            "symbols": job.real_map.expected["num_syms"],
            "tool": f"linux-kbuild-{job.oracle.version}",
            "rounds": rounds,
            "machine": {
                "cpus": os.cpu_count(),
                "model": cpu_model(),
                "kernel": platform.release(),
                "python": platform.python_version(),
            },
            "measurements": {
                name: {
                    "cpu_seconds": row.cpu,
                    "wall_seconds": row.wall,
                    "cpu_to_tool": row.cpu / rows[TOOL].cpu,
                    "cpu_to_tool_and_gcc": row.cpu / rows[TOOL_GCC].cpu,
                    "wall_to_tool": row.wall / rows[TOOL].wall,
                    "wall_to_tool_and_gcc": row.wall / rows[TOOL_GCC].wall,
                    "runs": [[sample.cpu, sample.wall] for sample in samples[name]],
                }
                for name, row in rows.items()
            },
        },
        indent=1,
    )


def cpu_model() -> str:
    """What the kernel says of the processor."""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(": ")[2]
    return platform.machine()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench", description="Measure each way to the tables."
    )
    parser.add_argument("--rounds", type=int, default=7, help="runs of each measurement (default 7)")
    parser.add_argument("--map", choices=sorted(maps.EXPECTED), default="amd64-6.12.117-amd64")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all numbers there too")
    arguments = parser.parse_args()

    samples: dict[str, list[Sample]] = defaultdict(list)
    with tempfile.TemporaryDirectory(prefix="kallsymsd-bench-") as directory:
        job = prepare(Path(directory), arguments.map)
        for number in range(arguments.rounds):
            Console(stderr=True).print(f"round {number + 1} of {arguments.rounds}")
            for measurement in MEASUREMENTS:
                for name, sample in measurement(job).items():
                    samples[name].append(sample)
    rows = medians(samples)
    symbols = job.real_map.expected["num_syms"]
    title = f"{job.real_map.name}, {symbols} symbols, medians of {arguments.rounds} runs, {cpu_model()}"
    # A file or pipe has no width: print what the table needs.
    Console(width=None if sys.stdout.isatty() else 130).print(as_table(title, rows))
    if arguments.json:
        arguments.json.write_text(as_json(job, arguments.rounds, rows, samples) + "\n")


if __name__ == "__main__":
    main()
