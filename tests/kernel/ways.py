# SPDX-License-Identifier: GPL-2.0-only
"""The two ways into an unmodified kernel tree, and proof that they were taken."""

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from tests.kernel.trees import ObjectTree, clean_environment

CONTROL = [sys.executable, "-c", "import sys; from kallsymsd.ctl.main import main; sys.exit(main())"]
#: Goes before the command of make.
RUN = [*CONTROL, "run", "--"]


def control(*arguments: str, environment: Mapping[str, str]) -> str:
    """Run kallsymsctl; what it prints. AssertionError if it fails."""
    done = subprocess.run(
        [*CONTROL, *arguments],
        env={**clean_environment(), **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, f"kallsymsctl {arguments}: {done.stdout}{done.stderr}"
    return done.stdout


def made_here(tree: ObjectTree) -> bool:
    """Whether the tables that were linked last are ours; those of scripts/kallsyms include no file."""
    text, _ = last_tables(tree)
    return ".incbin" in text.read_text(errors="replace")


def last_tables(tree: ObjectTree) -> tuple[Path, Path]:
    """The .S and the .bin of the last pass."""
    found = sorted(tree.directory.glob(".tmp_vmlinux*kallsyms[1-9].S"))  # 6.1 and older
    found += sorted(tree.directory.glob(".tmp_vmlinux[1-9].kallsyms.S"))
    assert found, f"no assembly of tables in {tree.directory}"
    return found[-1], found[-1].with_suffix(".bin")


def left_behind(tree: ObjectTree) -> list[Path]:
    """What of ours stands in an object tree."""
    return [
        file
        for file in tree.directory.rglob("*")
        if file.name.endswith(".kallsyms.bin") or file.name == "GNUmakefile" or "kallsymsd" in file.name
    ]
