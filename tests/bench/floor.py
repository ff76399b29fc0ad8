# SPDX-License-Identifier: GPL-2.0-only
"""What the machine takes for what requests have to do, however good the program: the floor of the figures."""

import mmap
import os
import time

from kallsymsd.core.native import allocator
from kallsymsd.engine import cold
from tests.bench.job import Job
from tests.bench.recorder import Recorder

TOUCH = "floor: 64 MB of memory touched for the first time"
QUIET = "floor: 256 MB in huge pages touched after 3 s of quiet, when a host may have them back"
READ = "floor: the map read into memory at hand"
WRITE = "floor: an answer written to a new memory file, and freed"
COPY = "floor: 43 MB copied, as much as ten times the symbols' strings are"

FASTEST = "floor: a loop that needs no memory, fastest of 20"
SLOWEST = "floor: a loop that needs no memory, slowest of 20"

_TOUCHED = 64 << 20
_TOUCHED_LATER = 256 << 20
_PAGE = 4096
_QUIET = 3.0
_COPIED = 43 * 10**6
_TURNS = 100_000
_LOOPS = 20


def measure(job: Job, recorder: Recorder) -> None:
    """Do each of these things alone."""
    text = job.real_map.path.read_bytes()
    made = cold.build(job.request(job.directory), text)
    answer = made.text + made.binary
    memory = bytearray(text)
    strings, room = bytearray(b"\1" * _COPIED), bytearray(b"\2" * _COPIED)
    after_quiet = _touched_after_quiet()
    begin = time.process_time()
    allocator.touch_memory(_TOUCHED)  # malloc keeps nothing of that, unless told otherwise as in the daemon
    touched = time.process_time()
    source = os.open(job.real_map.path, os.O_RDONLY | os.O_CLOEXEC)
    os.preadv(source, [memory], 0)
    os.close(source)
    read = time.process_time()
    descriptor = os.memfd_create("floor")
    os.write(descriptor, answer)
    os.close(descriptor)
    written = time.process_time()
    room[:] = strings
    copied = time.process_time()
    loops = [_loop() for _ in range(_LOOPS)]
    for row, seconds in (
        (TOUCH, touched - begin),
        (QUIET, after_quiet),
        (READ, read - touched),
        (WRITE, written - read),
        (COPY, copied - written),
        (FASTEST, min(loops)),
        (SLOWEST, max(loops)),
    ):
        recorder.amounts[row].append(seconds)


def _touched_after_quiet() -> float:
    """CPU seconds; small free blocks stay with the machine, so huge pages are asked for."""
    time.sleep(_QUIET)
    with mmap.mmap(-1, _TOUCHED_LATER, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as memory:
        memory.madvise(mmap.MADV_HUGEPAGE)
        begin = time.process_time()
        memory[::_PAGE] = bytes(_TOUCHED_LATER // _PAGE)
        return time.process_time() - begin


def _loop() -> float:
    """CPU seconds of a fixed number of turns: how fast the core is, which others may share."""
    begin = time.process_time()
    for _ in range(_TURNS):
        pass
    return time.process_time() - begin
