# SPDX-License-Identifier: GPL-2.0-only
"""Measurements of programs: the kernel's own tool and each of our ways, from start to end."""

import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from kallsymsd.engine import cold
from tests.bench import linked
from tests.bench.job import Job
from tests.measure import Daemon, Sample, client, in_child, spawn

TOOL = "kernel's own tool"
TOOL_GCC = "kernel's own tool + gcc -c"

#: Name of a measurement to its samples.
Samples = dict[str, Sample]


def kernels_own_tool(job: Job) -> Samples:
    """scripts/kallsyms, and the assembling of what it prints."""
    tool = spawn([job.oracle.tool, *job.flags, "in.map"], job.directory, stdout=job.directory / "stock.S")
    gcc = spawn([*job.gcc, "-Iinclude", "-o", "stock.o", "stock.S"], job.directory)
    return {TOOL: tool, TOOL_GCC: Sample(tool.cpu + gcc.cpu, tool.wall + gcc.wall)}


def in_process(job: Job) -> Samples:
    """The library alone: map read, tables made, files written; interpreter and imports not counted."""

    def work() -> None:
        made = cold.build(job.request(job.directory), job.real_map.path.read_bytes())
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
    linked.measure,
    floor,
)
