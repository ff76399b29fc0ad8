# SPDX-License-Identifier: GPL-2.0-only
"""Trees in miniature, and what stock links make of each state of their sources."""

from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import pytest

from tests import oracles

from .program import BASE, Program, why_not
from .tree import CONFIGURATION, Tree, create

Stock = Callable[[Program], tuple[bytes, bytes]]


@pytest.fixture(scope="session", params=sorted(oracles.SERIES))
def kernel(request: pytest.FixtureRequest, unavailable: Callable[[str], NoReturn]) -> oracles.Oracle:
    """Each kernel whose own tool there is: both shapes of the script."""
    if reason := why_not():
        unavailable(reason)
    return oracles.find(request.param) or unavailable(oracles.missing(request.param))


@pytest.fixture(scope="session")
def stock(kernel: oracles.Oracle, tmp_path_factory: pytest.TempPathFactory) -> Stock:
    """vmlinux and System.map as the tree's own script and tool make them, each state once."""
    tree = create(tmp_path_factory.mktemp("stock"), kernel, tmp_path_factory.mktemp("state"))
    made: dict[Program, tuple[bytes, bytes]] = {}

    def results(program: Program) -> tuple[bytes, bytes]:
        if program not in made:
            tree.put(program)
            done = tree.stock()
            assert done.status == 0, done.err
            assert len(done.links) == 3
            made[program] = tree.results()
        return made[program]

    return results


@pytest.fixture
def fresh(kernel: oracles.Oracle, tmp_path: Path) -> Tree:
    """A tree that was never linked, in the state BASE."""
    tree = create(tmp_path / "tree", kernel, tmp_path)
    tree.put(BASE)
    return tree


@pytest.fixture
def tree(fresh: Tree) -> Tree:
    """A tree that was linked in the state BASE, so that the next link is foretold."""
    done = fresh.link()
    assert (done.status, done.err) == (0, "")
    return fresh


__all__ = ["CONFIGURATION"]
