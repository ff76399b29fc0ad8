# SPDX-License-Identifier: GPL-2.0-only
"""Trees with a random small edit: hooked links make what stock ones make, or both fail.

How many is a matter of HYPOTHESIS_PROFILE: hundreds in CI, ten thousand by hand (docs/testing.md). Of a
failing example the seed is printed; KALLSYMSD_FIRST_EXAMPLE begins with it.
"""

import os
import random
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from kallsymsd.core.dialects import Dialect, exact
from kallsymsd.kbuild.trial import tooltrial
from kallsymsd.kbuild.trial.verdicts import DIFFERENT
from tests import maps
from tests.kbuild.onelink.tree import Tree
from tests.kbuild.trial.conftest import Compile
from tests.kbuild.trial.edits import edited

pytestmark = [pytest.mark.oracle, pytest.mark.timeout(0)]

Source = Callable[..., bytes]

#: Examples of each kind.
EXAMPLES = {"dev": 10, "ci": 150}.get(os.environ.get("HYPOTHESIS_PROFILE", "dev"), 10_000)
FIRST = int(os.environ.get("KALLSYMSD_FIRST_EXAMPLE", "0"))
_SCRIPT = "scripts/link-vmlinux.sh"
# What a kernel's script gives to the tool.
_OPTIONS = (("all-symbols", "absolute-percpu"), ("all-symbols",), ())


class _Copies:
    """Copies of a tree, always at the same place."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        tree.patience = 30.0
        self._kept = tree.directory.with_name("kept")
        shutil.copytree(tree.directory, self._kept)
        self._home = Path(tree.environment["HOME"], ".cache")

    def fresh(self, script: bytes, tool: Path | None = None) -> Tree:
        """The tree as it was at the beginning, but for its script, and its tool if that is given."""
        shutil.rmtree(self._tree.directory)
        shutil.copytree(self._kept, self._tree.directory)
        (self._tree.directory / _SCRIPT).write_bytes(script)
        if tool is not None:
            shutil.copy(tool, self._tree.directory / "scripts/kallsyms")
            (self._tree.directory / "scripts/kallsyms.c").write_bytes(tool.with_suffix(".c").read_bytes())
        return self._tree

    def forget(self) -> None:
        """Nothing was tried."""
        shutil.rmtree(self._home, ignore_errors=True)


def _same(copies: _Copies, seed: int, script: bytes, tool: Path | None, links: int) -> None:
    """Link as stock, and so often as a hooked build, the one after the other."""
    copies.forget()
    tree = copies.fresh(script, tool)
    try:
        stock = tree.stock()
    except subprocess.TimeoutExpired:
        return
    expected = tree.results() if stock.status == 0 and _has_results(tree) else None
    copies.fresh(script, tool)
    for _ in range(links):
        ours = tree.link()
        made = tree.results() if ours.status == 0 and _has_results(tree) else None
        assert made == expected, (seed, stock, ours)


def _has_results(tree: Tree) -> bool:
    return all((tree.directory / name).is_file() for name in (tree.made, "System.map"))


def test_edits_of_the_script(tree: Tree) -> None:
    copies = _Copies(tree)
    script = (tree.directory / _SCRIPT).read_bytes()
    for seed in range(FIRST, FIRST + EXAMPLES):
        _same(copies, seed, edited(script, random.Random(seed)), None, 1 if seed % 4 else 2)


def test_edits_of_the_tool(tree: Tree, source: Source, compiled: Compile) -> None:
    copies = _Copies(tree)
    script = (tree.directory / _SCRIPT).read_bytes()
    text = source("v6.11")
    for seed in range(FIRST, FIRST + EXAMPLES):
        tool = compiled(edited(text, random.Random(seed)))
        if tool is not None:
            _same(copies, seed, script, tool, 3)


def test_tools_that_pass_the_trial_make_the_same_of_real_maps(
    source: Source, compiled: Compile, real_maps: list[bytes]
) -> None:
    """What an edit changes shows in a probe, or in the first real map, before any other is made wrong."""
    text = source("v6.11")
    trusted = 0
    for seed in range(FIRST, FIRST + EXAMPLES):
        other = edited(text, random.Random(seed))
        tool = compiled(other)
        if tool is None:
            continue
        verdict = tooltrial.tried(other, os.fsencode(tool))
        if verdict.result == DIFFERENT:
            continue
        trusted += 1
        dialect = exact(verdict.dialect)
        used = [options for options in _OPTIONS if set(options) <= set(dialect.options)]
        first, *others = (
            [_makes_the_same(tool, dialect, options, map_text) for options in used] for map_text in real_maps
        )
        is_same = not all(first) or all(map(all, others))
        assert is_same or _is_random(other, tool), seed
    assert trusted


def _makes_the_same(tool: Path, dialect: Dialect, options: tuple[str, ...], map_text: bytes) -> bool:
    theirs = tooltrial.theirs(os.fsencode(tool), options, map_text)
    return theirs == tooltrial.ours(dialect, options, map_text)


def _is_random(text: bytes, tool: Path) -> bool:
    """Whether a tool does something else each time: it compares an address of its own, say."""
    return any(tooltrial.tried(text, os.fsencode(tool)).result == DIFFERENT for _ in range(20))


@pytest.fixture(scope="module")
def real_maps(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    """Parts of the real maps: 4,800 lines of each, some of them neighbours."""
    made = []
    for name in maps.EXPECTED:
        path = tmp_path_factory.mktemp("maps") / f"{name}.map"
        lines = maps.unpack(name, path).path.read_bytes().splitlines(keepends=True)
        middle = len(lines) // 2
        made.append(b"".join((*lines[:2500], *lines[middle : middle + 1500], *lines[-800:])))
    return made
