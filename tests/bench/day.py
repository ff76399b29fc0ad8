# SPDX-License-Identifier: GPL-2.0-only
"""One tree's day: its first build, all kinds of rebuilds, restarts of the daemon, further trees beside it."""

import random
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from kallsymsd.protocol.wire import ADDRESSES, COLD, HIT, INCREMENTAL
from tests.bench import edits
from tests.bench.edits import KernelMap
from tests.bench.job import Job
from tests.bench.recorder import Recorder
from tests.bench.tree import Tree
from tests.measure import Daemon

FIRST = "cold"
AGAIN = "same content again, new file"
MOVED = "addresses only, after a cold run"
MOVED_LATER = "addresses only, after an incremental run"
FOUND = "found by hash on disk after a restart"
LOADED = "state from disk after a restart, 1 symbol"
AHEAD = "made ahead: addresses only"
AHEAD_EDITED = "made ahead: 10 symbols"
WRITE_COLD = "after a cold run: answer"
WRITE_LATER = "every 10 s at most: answer and state"
ONE_TREE = "resident, one tree after its day"
FURTHER_TREE = "resident, each further tree"
PEAK = "peak, with all trees"
MEMORY_FILES = "memory files, with all trees"
STARTED = "start of the daemon, memory touched"
RESTING = "resident, daemon just started"

#: Symbols changed; the last number is far from what a developer does and shows where the curve goes.
COUNTS = (1, 10, 100, 1000, 5000)
#: Counts above this one change in one way only, for want of new names.
_ALL_EDITS = 1000
_FURTHER_TREES = 3
#: Symbols changed, and seconds that a daemon has before it is asked, where it works ahead.
_AHEAD_COUNT = 10
_AHEAD_PAUSE = 0.5
_ANY = frozenset({COLD, INCREMENTAL, ADDRESSES})
_STANDING = "table standing"
_MOVED = "tokens moved"


def symbols_row(count: int, *, moved: bool) -> str:
    """Name of the row for requests with ``count`` symbols changed."""
    return f"{count:,} symbol{'s' * (count > 1)}, {_MOVED if moved else _STANDING}"


def edit_row(count: int, edit: str) -> str:
    """Name of the row for one kind of edit of ``count`` symbols."""
    return f"{count:,} symbol{'s' * (count > 1)} {edit}"


def rows_of(count: int) -> Iterator[str]:
    """Names of all rows for requests with ``count`` symbols changed."""
    yield from (symbols_row(count, moved=moved) for moved in (False, True))
    yield from (edit_row(count, way) for way in edits.EDITS)


def _edits() -> Iterator[tuple[int, str]]:
    """The edits of a day, in their order: how many symbols change, in which way."""
    for count in COUNTS:
        for way in edits.EDITS if count <= _ALL_EDITS else ("renamed",):
            yield count, way


#: Rows of requests in the order of display.
ROWS = (
    FIRST,
    AGAIN,
    FOUND,
    LOADED,
    MOVED,
    MOVED_LATER,
    AHEAD,
    AHEAD_EDITED,
    *(symbols_row(count, moved=moved) for count in COUNTS for moved in (False, True)),
    *(edit_row(count, way) for count, way in _edits()),
)


@dataclass(frozen=True)
class Morning:
    """What a day begins with. All maps are made before the daemon starts, whose clock they would use up.

    base   the real map
    moved  the same with other addresses
    edited maps with symbols changed, each against the one before: how many, in which way
    last   again with other addresses
    one    that with one symbol renamed
    others for each further tree: its first map and one with ten symbols renamed
    """

    base: bytes
    moved: bytes
    edited: list[tuple[int, str, bytes]]
    last: bytes
    one: bytes
    others: list[tuple[bytes, bytes]]

    @classmethod
    def prepare(cls, base: KernelMap, donor: KernelMap, rng: random.Random) -> "Morning":
        """The maps of a day, which ``rng`` decides."""
        names = edits.new_names(base, donor, rng)
        now = edits.shift(base, rng)
        moved = now.text()
        edited = []
        for count, way in _edits():
            now = edits.EDITS[way](now, count, rng, names)
            edited.append((count, way, now.text()))
        now = edits.shift(now, rng)
        one = edits.rename(now, 1, rng, names).text()
        return cls(base.text(), moved, edited, now.text(), one, list(_others(base, rng, names)))


def _others(base: KernelMap, rng: random.Random, names: Iterator[bytes]) -> Iterator[tuple[bytes, bytes]]:
    for _ in range(_FURTHER_TREES):
        first = edits.rename(edits.shift(base, rng), 10, rng, names)
        yield first.text(), edits.rename(edits.shift(first, rng), 10, rng, names).text()


def measure(job: Job, morning: Morning, recorder: Recorder) -> None:
    """Live through a day."""
    with tempfile.TemporaryDirectory(prefix="kd-") as name:
        directory = Path(name)
        tree = directory / "tree"
        tree.mkdir()
        with Daemon(directory, watch=False) as daemon:
            recorder.amounts[STARTED].append(daemon.cpu())
            recorder.amounts[RESTING].append(daemon.memory())
            _work(Tree(job, daemon, tree), morning, recorder)
            _save(daemon, recorder)
            alone = daemon.memory()
            recorder.amounts[ONE_TREE].append(alone)
            for number, (first, second) in enumerate(morning.others):
                beside = directory / f"tree-{number}"
                beside.mkdir()
                other = Tree(job, daemon, beside)
                other.rebuild(first)
                other.rebuild(second)
            recorder.amounts[FURTHER_TREE].append((daemon.memory() - alone) / len(morning.others))
            recorder.amounts[PEAK].append(daemon.peak())
            recorder.amounts[MEMORY_FILES].append(daemon.memory_files())
        _ahead(job, morning, recorder)
        for row, text, made in ((FOUND, morning.last, HIT), (LOADED, morning.one, INCREMENTAL)):
            with Daemon(directory, watch=False) as daemon:
                recorder.request(row, Tree(job, daemon, tree).rebuild(text), {made})


def _work(tree: Tree, morning: Morning, recorder: Recorder) -> None:
    """The builds of a day, in a daemon that has just started."""
    cold = tree.rebuild(morning.base)
    recorder.request(FIRST, cold, {COLD})
    recorder.amounts[WRITE_COLD].append(cold.after)
    recorder.request(MOVED, tree.rebuild(morning.moved), {ADDRESSES})
    recorder.request(AGAIN, tree.rebuild(morning.moved), {HIT})
    for count, way, text in morning.edited:
        request = tree.rebuild(text)
        # Above an eighth of its symbols, a small map may well be cheaper to do again.
        recorder.request(edit_row(count, way), request, {INCREMENTAL, COLD})
        moved = request.how.kept < request.how.steps
        recorder.request(symbols_row(count, moved=moved), request, {INCREMENTAL, COLD})
    recorder.request(MOVED_LATER, tree.rebuild(morning.last), {ADDRESSES})
    recorder.request(AGAIN, tree.rebuild(morning.last), {HIT})


def _ahead(job: Job, morning: Morning, recorder: Recorder) -> None:
    """The same with a daemon that watches the tree and has a while before it is asked."""
    with tempfile.TemporaryDirectory(prefix="kd-") as name, Daemon(Path(name)) as daemon:
        tree = Tree(job, daemon, Path(name))
        tree.rebuild(morning.base)
        texts = [text for count, _, text in morning.edited if count == _AHEAD_COUNT]
        for text in (morning.moved, texts[0]):
            request = tree.rebuild(text, pause=_AHEAD_PAUSE)
            if request.precomputed:
                recorder.request(AHEAD if request.how.made == ADDRESSES else AHEAD_EDITED, request, _ANY)


def _save(daemon: Daemon, recorder: Recorder) -> None:
    """What the daemon writes when some seconds have passed."""
    before = daemon.cpu()
    daemon.await_save()
    recorder.amounts[WRITE_LATER].append(daemon.cpu() - before)
