# SPDX-License-Identifier: GPL-2.0-only
"""Memory for requests is there before they come, and as much is kept as the largest map needs."""

import subprocess
import sys

from kallsymsd.engine.recentmaps import MapText
from kallsymsd.engine.trees import Trees
from kallsymsd.protocol.wire import ASM, BuildRequest

SMALL = b"ffffffff81000000 T _text\nffffffff81000010 t one\n"
LARGE = SMALL + b"".join(b"ffffffff8100%04x t f%d\n" % (16 * i, i) for i in range(2, 100))

# Faults while 48 MB are filled, with what the arguments say done before.
_PROGRAM = """
import resource, sys
from kallsymsd.core import _native
from kallsymsd.engine import memory
if "fit" in sys.argv: memory.fit(0)
if "touch" in sys.argv: memory.touch()
if "ready" in sys.argv: memory.fit(32 << 20); memory.prepare(32 << 20)
if "small" in sys.argv: memory.prepare(7 << 20)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(2): _native.touch_memory(48 << 20)
print((resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before) * resource.getpagesize() >> 20)
"""


def faults(*arguments: str) -> int:
    """Megabytes that were touched for the first time by filling 48 MB twice."""
    command = [sys.executable, "-c", _PROGRAM, *arguments]
    return int(subprocess.run(command, check=True, capture_output=True, timeout=60).stdout)


def test_what_was_touched_at_the_start_is_not_touched_for_the_first_time_again() -> None:
    assert faults() >= 90
    assert 45 <= faults("fit") <= 60
    assert faults("fit", "touch") <= 4


def test_after_a_cold_run_of_a_large_map_there_is_memory_for_the_next() -> None:
    assert faults("fit", "ready") <= 4
    assert 45 <= faults("fit", "small") <= 60  # for which there is enough from the start


def request(tree: bytes) -> BuildRequest:
    return BuildRequest(version="0.1.0", dialect="v6.11", options=1, form=ASM, tree=tree)


def test_the_size_of_the_largest_map_is_told_when_it_changes() -> None:
    told: list[int] = []
    trees = Trees(None, fit=told.append)
    trees.build(request(b"/a"), MapText(SMALL))
    trees.build(request(b"/a"), MapText(SMALL))
    trees.build(request(b"/b"), MapText(LARGE))
    trees.build(request(b"/a"), MapText(SMALL))
    assert told == [len(SMALL), len(LARGE)]
    assert trees.settle() == 0
    trees.forget(b"/b")
    assert trees.settle() == len(LARGE)
    assert told == [len(SMALL), len(LARGE), len(SMALL)]
    trees.forget(None)
    assert trees.settle() == len(SMALL)
    assert told == [len(SMALL), len(LARGE), len(SMALL), 0]


def test_a_map_that_is_no_map_is_not_remembered_as_the_largest() -> None:
    told: list[int] = []
    trees = Trees(None, fit=told.append)
    trees.build(request(b"/a"), MapText(SMALL))
    trees.build(request(b"/a"), MapText(LARGE + b"bad\n"))
    assert trees.settle() == len(LARGE) + 4
    assert told == [len(SMALL), len(LARGE) + 4, len(SMALL)]
