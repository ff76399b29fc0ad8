# SPDX-License-Identifier: GPL-2.0-only
"""Maps of several times the symbols: what a first build and rebuilds cost the daemon.

A virtual machine may give free memory back to its host, and then pays six times as much for touching it again
as otherwise. Which requests would pay that depends on what ran in the seconds before. So each finds memory
that another process has just used and given back, as between the compiler runs of a build.
"""

import random
import subprocess
import sys
import tempfile
from pathlib import Path

from kallsymsd.protocol.wire import ADDRESSES, COLD, INCREMENTAL
from tests.bench import edits
from tests.bench.edits import KernelMap
from tests.bench.job import Job
from tests.bench.recorder import Recorder
from tests.bench.tree import Tree
from tests.measure import Daemon

#: Times the symbols of the real map.
SIZES = (1, 2, 5, 10)
#: Bytes of such memory for each byte of the map; map, state, answer and what is stored take up to nine.
MEMORY_TIMES = 10
#: Symbols changed in each size.
CHANGED = 100

FIRST = "cold"
MOVED = "addresses only, after the cold run"
EDITED = f"{CHANGED} symbols"
MOVED_LATER = "addresses only, after the edits"
WAYS = (FIRST, MOVED, EDITED, MOVED_LATER)


def row(way: str, times: int) -> str:
    """Name of the row for ``way``, one of WAYS, with so many times the symbols."""
    return f"x{times}: {way}"


#: Rows of requests in the order of display.
ROWS = tuple(row(way, times) for way in WAYS for times in SIZES)


def measure(job: Job, maps: dict[int, KernelMap], donor: KernelMap, seed: int, recorder: Recorder) -> None:
    """Build a tree of each size, and rebuild it after edits."""
    for times, base in maps.items():
        rng = random.Random(seed)
        names = edits.new_names(base, donor, rng)
        now = edits.shift(base, rng)
        builds = [(FIRST, COLD, base.text()), (MOVED, ADDRESSES, now.text())]
        for edit in edits.EDITS.values():
            now = edit(now, CHANGED, rng, names)
            builds.append((EDITED, INCREMENTAL, now.text()))
        builds.append((MOVED_LATER, ADDRESSES, edits.shift(now, rng).text()))
        with (
            tempfile.TemporaryDirectory(prefix="kd-") as directory,
            Daemon(Path(directory), watch=False) as daemon,
        ):
            tree = Tree(job, daemon, Path(directory))
            for way, made, text in builds:
                _bring_memory(MEMORY_TIMES * len(text))
                recorder.request(row(way, times), tree.rebuild(text), {made})


def _bring_memory(size: int) -> None:
    """Have the machine hold ``size`` bytes of free memory that need not come from its host."""
    program = f"from kallsymsd.core.native import allocator; allocator.touch_memory({size})"
    subprocess.run([sys.executable, "-c", program], check=True)
