# SPDX-License-Identifier: GPL-2.0-only
"""kallsymsctl patch: what it prints applies, and the patched tree links the same kernel."""

import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import pytest

from tests.kbuild.hook.miniature import Miniature


def test_the_patched_tree_links_the_same(
    tree: Miniature, stock: dict[str, bytes], tmp_path: Path, unavailable: Callable[[str], NoReturn]
) -> None:
    if not shutil.which("git"):
        unavailable("no git (Debian: apt install git)")
    printed = tree.ctl("patch", "--print", where=tree.source)
    assert (printed.returncode, printed.stderr) == (0, "")
    assert (
        tree.ctl("patch", "--print", "--srctree", str(tree.source), where=tmp_path).stdout == printed.stdout
    )
    (tmp_path / "a.patch").write_text(printed.stdout)
    environment = {"GIT_CEILING_DIRECTORIES": str(tmp_path)}
    done = tree.run("git", "apply", str(tmp_path / "a.patch"), where=tree.source, **environment)
    assert (done.returncode, done.stderr) == (0, "")
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "kallsyms").write_text(f'#!/bin/sh\nexec {sys.executable} -m kallsyms_client "$@"\n')
    (programs / "kallsyms").chmod(0o755)
    done = tree.make(PATH=f"{programs}{os.pathsep}{os.environ['PATH']}")
    assert (done.returncode, done.stderr, tree.tool_runs()) == (0, "", 0)
    assert tree.results() == stock
    assert (tree.objects / ".tmp_vmlinux1.kallsyms.bin").exists()


@pytest.mark.parametrize(
    ("name", "text", "why"),
    [
        ("scripts/kallsyms.c", "", "scripts/kallsyms.c: is not recognized; use kallsymsctl run or install"),
        (
            "scripts/link-vmlinux.sh",
            "#!/bin/sh\n",
            "with a map, so it cannot be patched; use kallsymsctl run or install",
        ),
        ("scripts/link-vmlinux.sh", None, "No such file or directory; name a kernel's source tree"),
    ],
)
def test_where_there_is_no_patch(tree: Miniature, name: str, text: str | None, why: str) -> None:
    path = tree.source / name
    path.unlink()
    if text is not None:
        path.write_text(text)
    done = tree.ctl("patch", "--print", where=tree.source)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("kallsymsctl: ")
    assert done.stderr.endswith(f"{why}\n")
