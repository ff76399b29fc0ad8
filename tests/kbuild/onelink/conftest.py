# SPDX-License-Identifier: GPL-2.0-only
"""Trees in miniature, and what stock links make of each state of their sources."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import pytest

from tests import oracles
from tests.kbuild.onelink.program import BASE, Program, why_not
from tests.kbuild.onelink.tree import CONFIGURATION, Tree, create

#: What the tree's own script and tool make of a program, with the configuration given or the usual one.
Stock = Callable[..., tuple[bytes, bytes]]


@pytest.fixture(scope="session", params=sorted(oracles.SERIES))
def kernel(request: pytest.FixtureRequest, unavailable: Callable[[str], NoReturn]) -> oracles.Oracle:
    """Each kernel whose own tool there is: both shapes of the script."""
    if reason := why_not():
        unavailable(reason)
    return oracles.find(request.param) or unavailable(oracles.missing(request.param))


@pytest.fixture(scope="session")
def trees(tmp_path_factory: pytest.TempPathFactory) -> Callable[[oracles.Oracle], Tree]:
    """A tree of each kernel in which all was tried, linked in the state BASE, for others to begin with."""
    made: dict[str, Tree] = {}

    def linked(kernel: oracles.Oracle) -> Tree:
        if kernel.dialect not in made:
            directory = tmp_path_factory.mktemp("tree")
            tree = create(directory / "tree", kernel, directory)
            tree.put(BASE)
            tree.try_out()
            done = tree.link()
            assert (done.status, done.err, len(done.links)) == (0, "", 1)
            made[kernel.dialect] = tree
        return made[kernel.dialect]

    return linked


@pytest.fixture(scope="session")
def stocks(tmp_path_factory: pytest.TempPathFactory) -> Callable[[oracles.Oracle], Stock]:
    """Of each kernel what its own script and tool make; each state of the sources once."""
    made: dict[tuple[str, Program, tuple[str, ...]], tuple[bytes, bytes]] = {}

    def stock(kernel: oracles.Oracle) -> Stock:
        directory = tmp_path_factory.mktemp("stock")
        tree = create(directory / "tree", kernel, directory)

        def results(program: Program, configuration: tuple[str, ...] = CONFIGURATION) -> tuple[bytes, bytes]:
            key = (kernel.dialect, program, configuration)
            if key not in made:
                tree.put(program)
                tree.configure(*configuration)
                done = tree.stock()
                assert done.status == 0, done.err
                assert len(done.links) == 3
                assert done.own_tool > 0
                made[key] = tree.results()
            return made[key]

        return results

    return stock


@pytest.fixture
def stock(kernel: oracles.Oracle, stocks: Callable[[oracles.Oracle], Stock]) -> Stock:
    """The files vmlinux and System.map of a stock build."""
    return stocks(kernel)


@pytest.fixture
def fresh(kernel: oracles.Oracle, trees: Callable[[oracles.Oracle], Tree], tmp_path: Path) -> Tree:
    """A tree that was never linked, in the state BASE, of a kind that was tried in another one."""
    bring_verdicts(trees(kernel), tmp_path)
    tree = create(tmp_path / "fresh", kernel, tmp_path)
    tree.put(BASE)
    return tree


@pytest.fixture
def tree(kernel: oracles.Oracle, trees: Callable[[oracles.Oracle], Tree], tmp_path: Path) -> Tree:
    """A tree that was linked in the state BASE, so that the next link is predicted."""
    bring_verdicts(trees(kernel), tmp_path)
    shutil.copytree(trees(kernel).directory, tmp_path / "tree")
    return create(tmp_path / "tree", kernel, tmp_path)


@pytest.fixture
def untried(kernel: oracles.Oracle, tmp_path: Path) -> Tree:
    """A tree that was never linked, in the state BASE, of a user who has never built one."""
    tree = create(tmp_path / "untried", kernel, tmp_path)
    tree.put(BASE)
    return tree


def bring_verdicts(tree: Tree, home: Path) -> None:
    """Let the user whose home that is know what was tried in ``tree``."""
    cache = Path(tree.environment["HOME"], ".cache")
    shutil.copytree(
        cache,
        home / ".cache",
        dirs_exist_ok=True,
        ignore=lambda _, names: [name for name in names if name == "fallbacks"],
    )
