# SPDX-License-Identifier: GPL-2.0-only
"""What a rebuild costs, stock and by kallsymsctl run, in turns, in any object tree that is built already.

    python -m tests.kernel.measure OBJTREE [--rounds 16] [--parts 5] [--json FILE] [-- ARGUMENT-OF-MAKE...]

A round touches fs/ioctl.c and runs make vmlinux, the measure of the mail of February 2024. Further rounds
preload a small library into every program of the build, which tells what each used, so that the kallsyms part
of link-vmlinux.sh can be told from the rest. Both ways must give the same vmlinux in every round; it is built
with the KBUILD_BUILD_* variables of tests/kernel/trees.py.
"""

import argparse
import contextlib
import hashlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.kernel import parts, sources
from tests.kernel.trees import clean_environment
from tests.kernel.ways import RUN
from tests.measure import Daemon

STOCK, OURS = "stock", "kallsymsd"
DAEMON = "daemon"


@dataclass(frozen=True)
class Sample:
    """One make, in seconds; ``cpu`` counts all programs of it, and the daemon."""

    wall: float
    cpu: float


class Tree:
    """An object tree, built in turns by both ways."""

    def __init__(self, directory: Path, arguments: Sequence[str], daemon: Daemon) -> None:
        self.directory = directory
        self._arguments = arguments
        self._daemon = daemon
        self._touched = directory / "source" / sources.EDITED
        self._digest = ""

    def make(self, way: str, environment: Mapping[str, str] | None = None) -> tuple[Sample, float]:
        """Touch and make; the daemon's share of CPU seconds apart too."""
        self._touched.touch()
        command = [
            *(RUN if way == OURS else []),
            "make",
            f"-j{os.cpu_count()}",
            "-s",
            *self._arguments,
            "vmlinux",
        ]
        everything = {**clean_environment(), **self._daemon.environment, **(environment or {})}
        # The daemon watches the tree, and would compute when stock writes its maps.
        with self._daemon.stopped() if way == STOCK else contextlib.nullcontext():
            before, start = self._daemon.cpu(), time.monotonic()
            child = subprocess.Popen(command, cwd=self.directory, env=everything, stdin=subprocess.DEVNULL)
            _, status, usage = os.wait4(child.pid, 0)
            wall = time.monotonic() - start
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode:
            raise SystemExit(f"measure: {command}: exit status {child.returncode}")
        self._daemon.settle()
        share = self._daemon.cpu() - before if way == OURS else 0.0
        return Sample(wall, usage.ru_utime + usage.ru_stime + share), share

    def verify(self) -> None:
        """The kernel that stands there now is the one that stood there before."""
        digest = hashlib.sha256((self.directory / "vmlinux").read_bytes()).hexdigest()
        if self._digest not in ("", digest):
            raise SystemExit("measure: vmlinux differs from that of the round before")
        self._digest = digest


def main() -> None:
    """Measure and print."""
    options = _arguments()
    with tempfile.TemporaryDirectory(prefix="kd-") as name:
        scratch = Path(name)
        with Daemon(scratch) as daemon:
            daemon.environment["XDG_DATA_HOME"] = os.fspath(scratch / "data")
            tree = Tree(options.objtree, options.make, daemon)
            for way in (STOCK, OURS):  # what is left to do from other builds; and the daemon learns
                _say(f"warming up: {way}")
                tree.make(way)
                tree.verify()
            rounds = _rounds(tree, options.rounds)
            shares = _parts(tree, options.parts, scratch)
    print(f"{_title(options)}\n")
    print(_markdown(rounds, shares))
    if options.json:
        samples = {way: [vars(sample) for sample in taken] for way, taken in rounds.items()}
        options.json.write_text(json.dumps({"rounds": samples, "parts": shares}, indent=1) + "\n")


def _rounds(tree: Tree, number: int) -> dict[str, list[Sample]]:
    rounds: dict[str, list[Sample]] = {STOCK: [], OURS: []}
    for each in range(number):
        # Whoever comes second finds warm caches; so they change places.
        for way in (STOCK, OURS) if each % 2 else (OURS, STOCK):
            sample, _ = tree.make(way)
            tree.verify()
            rounds[way].append(sample)
        _say(
            f"round {each + 1} of {number}: "
            + ", ".join(f"{way} {rounds[way][-1].wall:.2f} s" for way in rounds)
        )
    return rounds


def _parts(tree: Tree, number: int, scratch: Path) -> dict[str, dict[str, list[float]]]:
    """CPU seconds of each part, and wall seconds of the kallsyms part, for each way."""
    library = parts.preload(scratch)
    found: dict[str, dict[str, list[float]]] = {STOCK: {}, OURS: {}}
    for each in range(number):
        for way, rows in found.items():
            log = scratch / f"{way}-{each}"
            _, share = tree.make(
                way, {"LD_PRELOAD": os.fspath(library), "KALLSYMSD_TEST_USAGE": os.fspath(log)}
            )
            tree.verify()
            programs = parts.read(log)
            measured = {**parts.cpu(programs), DAEMON: share}
            measured["kallsyms part, CPU"] = share + sum(measured.get(part, 0) for part in parts.KALLSYMS)
            measured["kallsyms part, wall"] = parts.wall(programs, set(parts.KALLSYMS) - {parts.SCRIPT})
            for row, seconds in measured.items():
                rows.setdefault(row, []).append(seconds)
        _say(f"parts {each + 1} of {number}")
    return found


def _markdown(rounds: dict[str, list[Sample]], shares: dict[str, dict[str, list[float]]]) -> str:
    lines = ["| median seconds | stock | kallsymsd | ratio |", "| --- | ---: | ---: | ---: |"]
    values: dict[str, Callable[[Sample], float]] = {"wall": lambda one: one.wall, "CPU": lambda one: one.cpu}
    for row, value in values.items():
        lines.append(
            _row(f"touch; make: {row}", *([value(one) for one in rounds[way]] for way in (STOCK, OURS)))
        )
    if not shares[STOCK]:  # --parts 0
        return "\n".join(lines)
    names = list(dict.fromkeys([*parts.KALLSYMS, DAEMON, parts.LINKS, parts.REST, *shares[STOCK]]))
    lines += [_row(name, *(shares[way].get(name, [0.0]) for way in (STOCK, OURS))) for name in names]
    return "\n".join(lines)


def _row(name: str, stock: list[float], ours: list[float]) -> str:
    before, now = statistics.median(stock or [0.0]), statistics.median(ours or [0.0])
    return (
        f"| {name} | {before:.3f} | {now:.3f} | {now / before:.2f} |"
        if before
        else f"| {name} | 0 | {now:.3f} | |"
    )


def _title(options: argparse.Namespace) -> str:
    symbols = sum(1 for _ in (options.objtree / "System.map").open())
    load = os.getloadavg()[0]
    return (
        f"{options.objtree}: {symbols} symbols, {options.rounds} and {options.parts} rounds, load {load:.1f}"
    )


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.kernel.measure", description=__doc__.splitlines()[0]
    )
    parser.add_argument("objtree", type=Path, help="an object tree that was made with make O=")
    parser.add_argument("--rounds", type=int, default=16, help="of touch and make (default 16)")
    parser.add_argument("--parts", type=int, default=5, help="with each program measured (default 5)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all numbers there too")
    parser.add_argument("make", nargs="*", metavar="ARGUMENT", help="of make: those the tree was built with")
    return parser.parse_intermixed_args()  # options may stand behind the object tree


if __name__ == "__main__":
    main()
