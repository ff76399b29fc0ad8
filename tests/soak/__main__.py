# SPDX-License-Identifier: GPL-2.0-only
"""python -m tests.soak --minutes 10: eight clients in four trees, while daemon and clients are killed.

In the first half of the time the daemon is killed again and again; the second half shows whether what it
holds stays level. All the time somebody asks too much of it. Exit status 1 and lines that say why if a byte
is wrong, a client fails or a figure grows.
"""

import argparse
import os
import random
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

from kallsymsd.engine.recentmaps import MOST_ANSWERS
from tests.client.conftest import elf
from tests.soak.builder import Builder
from tests.soak.daemon import Daemon, Level
from tests.soak.nuisance import Nuisance
from tests.soak.trees import Tree

_TREES = 4
_CLIENTS = 8
# What a level process may vary by: clients connected at one moment and not at the other, arenas.
_MORE_DESCRIPTORS = 40
_MORE_THREADS = 2
_MORE_RSS = 1.25
# KiB that a daemon of these trees holds while it answers all clients; how many do so at once is chance.
_BUSY_RSS = 160 * 1024
# Seconds until what was asked last is answered.
_SETTLED = 1.0


def soak(directory: Path, seconds: float, seed: int, *, symbols: int, versions: int) -> list[str]:
    """Soak for so long; what went wrong. Prints figures."""
    environment = {
        "PATH": os.defpath,
        "HOME": str(directory),
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
        "XDG_RUNTIME_DIR": str(directory),
        "XDG_CACHE_HOME": str(directory / "cache"),
        "CI": "true",  # clients start no daemons of their own
    }
    rng = random.Random(seed)
    trees = [
        Tree(directory / f"tree{number}", rng.randrange(1 << 30), symbols=symbols, versions=versions)
        for number in range(_TREES)
    ]
    for tree in trees:
        (tree.path / "vmlinux").write_bytes(elf())
    builders = [
        Builder(trees[number % _TREES], number // _TREES, environment, rng.randrange(1 << 30))
        for number in range(_CLIENTS)
    ]
    nuisance = Nuisance(trees, environment, rng.randrange(1 << 30))
    daemon = Daemon(environment, directory / "log", rng.randrange(1 << 30))
    daemon.start()
    calm, end = threading.Event(), threading.Event()
    threads = [
        threading.Thread(target=run, args=(end,)) for run in (*(each.run for each in builders), nuisance.run)
    ]
    tormentor = threading.Thread(target=daemon.torment, args=(calm,))
    for thread in (*threads, tormentor):
        thread.start()
    try:
        end.wait(seconds / 2)
        calm.set()
        tormentor.join()
        daemon.start()
        end.wait(seconds / 4)
        middle = _level(daemon, nuisance)
        end.wait(seconds / 4)
        last = _level(daemon, nuisance)
    finally:
        calm.set()
        end.set()
        for thread in (*threads, tormentor):
            thread.join()
    failures = [line for each in builders for line in each.failures] + nuisance.failures
    # One or two for each answer in memory; all there can be are no leak.
    descriptors = 2 * (_CLIENTS * versions + MOST_ANSWERS)
    failures += _grown(middle, last, descriptors)
    status = daemon.stop()
    if status != 0:
        failures.append(f"the daemon ended with status {status}")
    if "Traceback" in (directory / "log").read_text():
        failures.append(f"the daemon's log has a traceback:\n{(directory / 'log').read_text()}")
    counted = sum((each.counted for each in builders), Counter[str]())
    print(f"seed {seed}, {seconds:.0f} s, {_CLIENTS} clients in {_TREES} trees of {symbols} symbols")
    print("clients:", ", ".join(f"{name} {count}" for name, count in sorted(counted.items())))
    print("nuisances:", ", ".join(f"{name} {count}" for name, count in sorted(nuisance.counted.items())))
    print("daemon:", ", ".join(f"{name} {count}" for name, count in daemon.kills.items()))
    print(f"held, at three quarters: {middle}, at the end: {last}")
    return failures


def _level(daemon: Daemon, nuisance: Nuisance) -> Level:
    """What the daemon holds when nobody asks too much of it, and what that took has been given back."""
    with nuisance.pause:
        time.sleep(_SETTLED)
        return daemon.level()


def _grown(middle: Level, last: Level, descriptors: int) -> list[str]:
    grown = []
    if last.descriptors > max(middle.descriptors, descriptors) + _MORE_DESCRIPTORS:
        grown.append(f"descriptors grew from {middle.descriptors} to {last.descriptors}")
    if last.threads > middle.threads + _MORE_THREADS:
        grown.append(f"threads grew from {middle.threads} to {last.threads}")
    if last.rss_kib > max(middle.rss_kib, _BUSY_RSS) * _MORE_RSS:
        grown.append(f"memory grew from {middle.rss_kib} to {last.rss_kib} KiB")
    return grown


def main() -> int:
    """Run one soak; the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 30))
    parser.add_argument("--symbols", type=int, default=10_000)
    parser.add_argument("--versions", type=int, default=40, help="of each tree's map")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="soak-") as directory:
        failures = soak(
            Path(directory),
            options.minutes * 60,
            options.seed,
            symbols=options.symbols,
            versions=options.versions,
        )
    for line in failures:
        print(line, file=sys.stderr)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
