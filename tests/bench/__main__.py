# SPDX-License-Identifier: GPL-2.0-only
"""What the tables of one kernel cost: the kernel's own tool, and each of our ways, in one run.

    python -m tests.bench [--rounds N] [--map NAME] [--json FILE] [--markdown FILE] [--plot FILE]

The ways take turns, so that a machine that is slow for a while is slow for all of them. Needs the kernel's
own tool (tests/fetch-oracles) and gcc; --plot also matplotlib.
"""

import argparse
import os
import random
import sys
import tempfile
from pathlib import Path

from rich.console import Console

from tests import maps
from tests.bench import day, floor, limits, linked, programs, scale, show
from tests.bench.edits import KernelMap, multiply
from tests.bench.job import prepare
from tests.bench.recorder import Recorder

#: Where names come from that a map does not have; the other one for the first of them.
_DONORS = ("amd64-6.1.192-amd64", "amd64-6.12.117-amd64")


def main() -> None:
    """Measure and print."""
    arguments = _arguments()
    recorder = Recorder((*day.ROWS, *scale.ROWS))
    with tempfile.TemporaryDirectory(prefix="kallsymsd-bench-") as name:
        directory = Path(name)
        job = prepare(directory, arguments.map)
        linked.write(job.real_map.path.read_bytes(), job.bits, directory / "linked")
        base = KernelMap.parse(job.real_map.path.read_bytes())
        other = next(donor for donor in _DONORS if donor != arguments.map)
        donor = KernelMap.parse(maps.unpack(other, directory / "donor.map").path.read_bytes())
        sizes = {times: multiply(base, times) for times in scale.SIZES}
        for number in range(arguments.rounds):
            Console(stderr=True).print(f"round {number + 1} of {arguments.rounds}, load {_load()}")
            for measurement in programs.MEASUREMENTS:
                for row, sample in measurement(job).items():
                    recorder.programs[row].append(sample)
            floor.measure(job, recorder)
            morning = day.Morning.prepare(base, donor, random.Random(number))
            day.measure(job, morning, recorder)
            scale.measure(job, sizes, donor, number, recorder)
    title = f"{job.real_map.name}, {job.symbols} symbols, {arguments.rounds} rounds, {show.cpu_model()}"
    # A file or pipe has no width: print what the table needs.
    console = Console(width=None if sys.stdout.isatty() else 140)
    for table in show.tables(title, recorder):
        console.print(table)
    console.print(limits.verdict(recorder), soft_wrap=True)
    if arguments.json:
        arguments.json.write_text(show.as_json(job, arguments.rounds, recorder) + "\n")
    if arguments.markdown:
        arguments.markdown.write_text(show.as_markdown(recorder))
    if arguments.plot:
        from tests.bench.plot import plot  # noqa: PLC0415  whoever wants no plot needs no matplotlib

        plot(arguments.plot, job.symbols, recorder)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench", description="Measure each way to the tables."
    )
    parser.add_argument("--rounds", type=int, default=7, help="runs of each measurement (default 7)")
    parser.add_argument("--map", choices=sorted(maps.EXPECTED), default="amd64-6.12.117-amd64")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all numbers there too")
    parser.add_argument(
        "--markdown", type=Path, metavar="FILE", help="write the tables of docs/performance.md there"
    )
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw the costs there, as SVG")
    return parser.parse_args()


def _load() -> str:
    return f"{os.getloadavg()[0]:.2f}"


if __name__ == "__main__":
    main()
