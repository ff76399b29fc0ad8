# SPDX-License-Identifier: GPL-2.0-only
"""Trees in which an older version installed the hook, with a make fragment in MAKEFILES."""

from pathlib import Path

from kallsymsd.kbuild.hook.hookedtrees import _MAKEFILE_TEXT
from tests.kbuild.hook import older
from tests.kbuild.hook.miniature import Miniature


def test_trees_that_have_the_hook_of_an_older_version(tree: Miniature, stock: dict[str, bytes]) -> None:
    """It works until the next install(), alone and with "kallsymsctl run", which adds nothing."""
    assert tree.ctl("run", "true").returncode == 0
    old = older.install(tree, next(Path(tree.environment["HOME"]).rglob("hook-*/kallsyms")))
    registry = old.parent / "trees"
    registry.mkdir()
    (registry / "0").symlink_to(tree.objects)
    assert tree.ctl("list").stdout == f"{tree.objects}: ok\n"
    for hooked in (False, True):
        done = tree.ctl("run", "make") if hooked else tree.make()
        assert (done.returncode, done.stderr, tree.tool_runs()) == (0, "", 0)
        assert tree.results() == stock
        (tree.objects / "vmlinux").unlink()
    # Of two object trees one is installed again, and has written the file of the source tree.
    (tree.objects / "GNUmakefile").write_text(_MAKEFILE_TEXT)
    (tree.source / "GNUmakefile").write_text(_MAKEFILE_TEXT)
    done = tree.run("make", f"O={tree.objects}", where=tree.source)
    assert (done.returncode, done.stderr, tree.tool_runs()) == (0, "", 0)
    assert tree.results() == stock
    assert tree.ctl("install").returncode == 0
    assert "MAKEFILES" not in (tree.objects / ".kallsymsd.mk").read_text()
    assert tree.make().stdout == ""  # nothing is linked again for it
    assert (old / "hook.mk").exists()
    (tree.objects / "vmlinux").unlink()
    done = tree.make()
    assert (done.returncode, done.stderr, tree.tool_runs()) == (0, "", 0)


def test_a_new_switch_beside_an_older_makefile(tree: Miniature, stock: dict[str, bytes]) -> None:
    """The source tree could not be written to when the hook was installed again."""
    assert tree.ctl("run", "true").returncode == 0
    older.install(tree, next(Path(tree.environment["HOME"]).rglob("hook-*/kallsyms")))
    old = (tree.source / "GNUmakefile").read_text()
    assert tree.ctl("install").returncode == 0
    (tree.source / "GNUmakefile").write_text(old)
    done = tree.run("make", f"O={tree.objects}", where=tree.source)
    assert (done.returncode, done.stderr, tree.tool_runs()) == (0, "", 0)
    assert tree.results() == stock


def test_two_hooks_at_once(tree: Miniature, stock: dict[str, bytes]) -> None:
    """That of a tree and that of the command need not be the same: the first does it, and once."""
    assert tree.ctl("install").returncode == 0
    other = str(tree.source.parent / "other-data")
    makes = ("make", f"O={tree.objects}") if tree.source != tree.objects else ("make",)
    for data in ("", other):
        done = tree.ctl("run", "--", *makes, where=tree.source, XDG_DATA_HOME=data)
        assert (done.returncode, done.stderr, tree.tool_runs()) == (0, "", 0)
        assert tree.results() == stock
        (tree.objects / "vmlinux").unlink()
