# SPDX-License-Identifier: GPL-2.0-only
"""One link instead of three: after every edit vmlinux and System.map are those of three links, byte for byte.

The object tree has one path in both, so the stock builds of all edits come first and are set aside. Each
build of ours starts from what the last one left, as a developer's does.
"""

import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from kallsymsd.core.dialects import BY_NAME
from kallsymsd.onelink import lastlink
from tests.kernel import edits, sources
from tests.kernel.checks import assert_same, boot_and_compare
from tests.kernel.conftest import Stock
from tests.kernel.edits import EDITS
from tests.kernel.trees import Linked, ObjectTree
from tests.kernel.ways import CONTROL
from tests.measure import Daemon

_ONE_LINK = [*CONTROL, "run", "--one-link", "--"]
_DIALECTS = {"6.1": "v6.1.y", "6.12": "v6.11"}
#: Seconds between two looks at what the link is doing; it takes some tenths of one.
_GLANCE = 0.002


@pytest.fixture(scope="module")
def series(
    stock: Stock, say: Callable[[str], None], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Linked]:
    """What three links make of each edit, and of the configuration changed after the last."""
    directory = tmp_path_factory.mktemp(f"series-{stock.series}")
    tree = stock.tree(say)
    tree.configure()
    tree.make("vmlinux")
    made = {}
    try:
        for edit in EDITS:
            edits.apply(stock.source, edit)
            tree.make("vmlinux")
            made[edit[0]] = tree.set_aside(directory / edit[0])
        edits.reconfigure(tree)
        tree.make("vmlinux")
        made["configuration"] = tree.set_aside(directory / "configuration")
    finally:
        sources.restore(stock.source, stock.series)
    return made


def test_every_edit(
    stock: Stock, series: dict[str, Linked], daemon: Daemon, say: Callable[[str], None], tmp_path: Path
) -> None:
    tree = stock.tree(say)
    tree.configure()
    config = tree.directory / ".config"
    wanted = config.read_text()
    tree.make("vmlinux")
    said = []

    def build(name: str) -> dict[str, object]:
        tree.make("vmlinux", before=_ONE_LINK, environment=daemon.environment)
        assert_same(tree.linked(), series[name])
        outcome: dict[str, object] = json.loads((tree.directory / ".tmp_vmlinux.link").read_text())
        said.append(f"{name} {outcome['links']}")
        return outcome

    try:
        for edit in EDITS:
            edits.apply(stock.source, edit)
            outcome = build(edit[0])
            if edit is EDITS[0]:  # such a tree was never met: the script links, and one link is tried
                assert (outcome["links"], str(outcome["reason"])[-32:]) == (
                    0,
                    "the same; it is done from now on",
                )
                (stock.source / sources.EDITED).touch()
                outcome = build(edit[0])
            assert outcome["links"] == 1, outcome
            if edit[0] in ("everything", "shift"):
                boot_and_compare(stock, tree.linked(), say, tmp_path)
        _mislead(tree, stock)
        (stock.source / sources.EDITED).touch()
        outcome = build(EDITS[-1][0])
        assert outcome["links"] == 2, "a wrong prediction was not noticed"
        assert outcome["predicted"]
        again = EDITS[-1][0]
        (tree.directory / ".tmp_vmlinux.inputs.new").symlink_to("/dev/full")
        (stock.source / sources.EDITED).touch()
        assert build(again)["links"] == 1, "a full disk, where nothing can be noted for the next link"
        (stock.source / sources.EDITED).touch()
        build(again)
        (stock.source / sources.EDITED).touch()
        with _as_soon_as(_is_patching, tree, _kill):
            assert build(again)["links"] == 0, "the script was not left to link by itself"
        edits.reconfigure(tree)
        assert build("configuration")["links"] in (1, 2)
        (stock.source / sources.EDITED).touch()
        with _as_soon_as(_is_patching, tree, lambda _: daemon.kill()):
            assert build("configuration")["links"] == 1, "the daemon is of no use after the prediction"
    finally:
        sources.restore(stock.source, stock.series)
        config.write_text(wanted)  # other tests take the tree as it stands
    say(f"{stock.series}: links: {', '.join(said)}")


def _mislead(tree: ObjectTree, stock: Stock) -> None:
    """Make the next prediction wrong: let the last map have had a symbol more."""
    inputs, _ = lastlink.predict_link(tree.directory, BY_NAME[_DIALECTS[stock.series]])
    text = (tree.directory / lastlink.MAP).read_bytes()
    line = text.splitlines(keepends=True)[-1]
    lastlink.note(tree.directory, inputs)
    lastlink.learn(tree.directory, text + line.replace(b"\n", b"_and_one_that_never_was\n"))


def _is_patching(tree: ObjectTree) -> int | None:
    """The process that looks at the linked file to overwrite its tables."""
    for process in Path("/proc").iterdir():
        if process.name.isdecimal():
            try:
                arguments = (process / "cmdline").read_bytes().split(b"\0")
                opened = (
                    (str(each.readlink()) for each in (process / "fd").iterdir())
                    if b"patch" in arguments
                    else ()
                )
                if f"{tree.directory}/.tmp_vmlinux1" in opened:
                    return int(process.name)
            except (FileNotFoundError, ProcessLookupError):  # it has ended, or closed a file
                continue
    return None


def _kill(process: int) -> None:
    os.kill(process, signal.SIGKILL)


@contextmanager
def _as_soon_as(
    seen: Callable[[ObjectTree], int | None], tree: ObjectTree, act: Callable[[int], None]
) -> Iterator[None]:
    """Beside what is done meanwhile: ``act`` once on the process that is ``seen``. It must be."""
    found: list[int] = []
    over = threading.Event()

    def look() -> None:
        while not found and not over.is_set():
            if process := seen(tree):
                act(process)
                found.append(process)
            time.sleep(_GLANCE)

    looking = threading.Thread(target=look)
    looking.start()
    try:
        yield
    finally:
        over.set()
        looking.join()
    assert found, "what was to be disturbed was never seen"
