# SPDX-License-Identifier: GPL-2.0-only
"""A user who has tried nothing yet, and tools compiled of a kernel's text."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import pytest

from tests import oracles
from tests.kbuild.onelink.program import BASE, why_not
from tests.kbuild.onelink.tree import Tree, create

#: Makes scripts/kallsyms of a text; None where that cannot be compiled.
Compile = Callable[[bytes], Path | None]


@pytest.fixture
def user(tmp_path: Path) -> dict[bytes, bytes]:
    """The environment of somebody with a cache directory of their own."""
    (tmp_path / "home").mkdir()
    return {b"HOME": bytes(tmp_path / "home")}


@pytest.fixture
def compiled(tmp_path: Path, unavailable: Callable[[str], NoReturn]) -> Compile:
    """Compiles texts of 6.12's scripts/kallsyms.c, one after the other into the same program."""
    if not shutil.which("gcc"):
        unavailable("no gcc (Debian: apt install gcc)")
    include = oracles.directory() / "linux-source-6.12/scripts/include"
    if not include.is_dir():
        unavailable(oracles.missing("v6.11"))

    def made(text: bytes) -> Path | None:
        path, program = tmp_path / "tool.c", tmp_path / "tool"
        path.write_bytes(text)
        done = subprocess.run(
            ["gcc", "-w", "-I", include, "-o", program, path], capture_output=True, check=False
        )
        return program if done.returncode == 0 else None

    return made


@pytest.fixture
def oracle_6_12(unavailable: Callable[[str], NoReturn]) -> oracles.Oracle:
    """The tool of 6.12."""
    return oracles.find("v6.11") or unavailable(oracles.missing("v6.11"))


@pytest.fixture
def tree(oracle_6_12: oracles.Oracle, tmp_path: Path, unavailable: Callable[[str], NoReturn]) -> Tree:
    """A kernel in miniature, in the state BASE, whose tool has an unknown text; nothing was tried."""
    if reason := why_not():
        unavailable(reason)
    tree = create(tmp_path / "tree", oracle_6_12, tmp_path)
    tree.put(BASE)
    return tree
