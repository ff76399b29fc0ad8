# SPDX-License-Identifier: GPL-2.0-only
"""Fixtures of the hook's tests."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import pytest

from tests import oracles
from tests.kbuild.hook.miniature import Miniature, create
from tests.objects import why_not


@pytest.fixture(params=[("v6.11", "O="), ("v6.1.y", "in tree")], ids=" ".join)
def tree(request: pytest.FixtureRequest, tmp_path: Path, unavailable: Callable[[str], NoReturn]) -> Miniature:
    """A kernel in miniature of each oracle, one with an object tree of its own, one without."""
    dialect, place = request.param
    oracle = oracles.find(dialect) or unavailable(oracles.missing(dialect))
    reason = why_not("x86_64") or (None if shutil.which("make") else "no make (Debian: apt install make)")
    if reason:
        unavailable(reason)
    source = tmp_path / "source"
    return create(source, source if place == "in tree" else tmp_path / "objects", oracle)


@pytest.fixture
def stock(tree: Miniature) -> dict[str, bytes]:
    """What a build without us leaves; vmlinux is gone again."""
    done = tree.make()
    assert done.returncode == 0, done.stderr
    assert tree.tool_runs() == 1
    results = tree.results()
    (tree.objects / "vmlinux").unlink()
    return results
