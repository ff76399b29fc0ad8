# SPDX-License-Identifier: GPL-2.0-only
"""kallsymsctl install, uninstall and list: the hook in one object tree, for every make."""

import json
import os
import shutil
import sys
from pathlib import Path

import pytest

from tests.kbuild.hook.miniature import Miniature, add_objects

OURS = ("GNUmakefile", ".kallsymsd.mk")


def present(tree: Miniature) -> set[Path]:
    """The files of ours in both trees."""
    paths = {directory / name for directory in (tree.source, tree.objects) for name in OURS}
    return {path for path in paths if path.exists()}


def install(tree: Miniature) -> None:
    done = tree.ctl("install")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def listed(tree: Miniature) -> str:
    """What the list says of the only tree that is in it."""
    done = tree.ctl("list")
    name, _, state = done.stdout.partition(": ")
    assert name == str(tree.objects)
    assert done.returncode == (0 if state.startswith("ok") else 1)
    return state.strip()


def test_plain_make_then_uses_the_client(tree: Miniature, stock: dict[str, bytes]) -> None:
    install(tree)
    done = tree.make()
    assert (done.returncode, done.stderr, tree.tool_runs()) == (0, "", 0)
    assert tree.results() == stock
    tree.edit()
    for where in (tree.objects, tree.source):
        (tree.objects / "vmlinux").unlink()
        done = tree.run("make", f"O={tree.objects}" if where == tree.source else "all=1", where=where)
        assert (done.returncode, done.stderr, tree.tool_runs()) == (0, "", 0)
    (tree.objects / "vmlinux").unlink()
    assert tree.run("make", where=tree.source, KBUILD_OUTPUT=str(tree.objects)).returncode == 0
    assert tree.tool_runs() == 0


def test_going_without_it_once_and_for_good(tree: Miniature, stock: dict[str, bytes]) -> None:
    install(tree)
    assert tree.make("-f", "Makefile").returncode == 0
    assert tree.tool_runs() == 1
    assert tree.make().stdout == ""  # nothing is linked again for it
    done = tree.ctl("uninstall")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert not present(tree)
    assert tree.make().stdout == ""
    assert tree.results() == stock
    assert tree.ctl("list").stdout == ""
    again = tree.ctl("uninstall")
    assert (again.returncode, again.stderr) == (
        1,
        f"kallsymsctl: {tree.objects}: the hook is not installed here\n",
    )


def test_installing_twice_changes_nothing(tree: Miniature) -> None:
    install(tree)
    before = {path: path.stat().st_mtime_ns for path in present(tree)}
    assert len(before) == (2 if tree.source == tree.objects else 3)
    install(tree)
    assert {path: path.stat().st_mtime_ns for path in present(tree)} == before
    assert listed(tree) == "ok"


def test_one_link_is_switched_on_and_off(tree: Miniature, stock: dict[str, bytes]) -> None:
    asked = (
        tree.objects / ".tmp_vmlinux.link"
    )  # what a link tells of itself when it is asked to be the only one
    for options, is_on in ((["--one-link"], True), ([], False)):
        assert tree.ctl("install", *options).returncode == 0
        assert listed(tree) == ("ok, one link" if is_on else "ok")
        assert tree.make().returncode == 0
        assert asked.exists() == is_on
        assert tree.results() == stock
        asked.unlink(missing_ok=True)
        assert tree.make().stdout == ""  # nothing is linked again for it
        (tree.objects / "vmlinux").unlink()
    done = tree.ctl("run", "--one-link", "make")
    assert (done.returncode, asked.exists()) == (0, True)


def test_cleaning_does_not_matter(tree: Miniature, stock: dict[str, bytes]) -> None:
    install(tree)
    assert tree.make("clean").returncode == 0
    assert tree.make().returncode == 0
    assert tree.tool_runs() == 0
    assert tree.results() == stock
    # Another release is checked out: kbuild makes its tool again.
    os.utime(tree.source / "scripts/kallsyms.c")
    tree.edit()
    assert tree.make().returncode == 0
    assert tree.tool_runs() == 0


def test_other_object_trees_are_not_touched(tree: Miniature, tmp_path: Path) -> None:
    other = Miniature(tree.source, tmp_path / "other", tree.environment)
    add_objects(other.source, other.objects)
    install(tree)
    for arguments, where in (([], other.objects), ([f"O={other.objects}"], tree.source)):
        assert tree.run("make", *arguments, where=where).returncode == 0
        assert other.tool_runs() == 1
        (other.objects / "vmlinux").unlink()
    install(other)
    assert tree.ctl("uninstall").returncode == 0
    assert tree.run("make", f"O={other.objects}", where=tree.source).returncode == 0
    assert other.tool_runs() == 0
    assert listed(other) == "ok"
    assert other.ctl("uninstall").returncode == 0
    assert not present(tree) | present(other)


def test_what_is_no_object_tree_is_refused(tree: Miniature, tmp_path: Path) -> None:
    done = tree.ctl("install", str(tmp_path))
    assert done.returncode == 1
    assert done.stderr == (
        f"kallsymsctl: {tmp_path}: is not a kernel's object tree: it lacks scripts/link-vmlinux.sh, "
        "scripts/kallsyms.c and Kbuild, and has no Makefile and link 'source' to a tree with these files; "
        "name another tree, or configure this one first\n"
    )
    assert tree.ctl("install", str(tmp_path / "none")).stderr.endswith(
        "none: No such file or directory; name a kernel's object tree\n"
    )
    assert tree.ctl("list").stdout == ""


@pytest.mark.parametrize("tree", [("v6.11", "O=")], ids=" ".join, indirect=True)
def test_a_tree_that_cannot_be_entered(tree: Miniature) -> None:
    """A loop of links, which stops root as well; a file; and a directory that is another user's."""
    parent = tree.source.parent
    (parent / "loop").symlink_to("loop")
    (parent / "file").touch()
    for name, why in (
        ("loop", "Too many levels of symbolic links"),
        ("loop/below", "Too many levels of symbolic links"),
        ("file", "Not a directory"),
    ):
        for verb, reported in (("install", name), ("uninstall", parent / name)):
            done = tree.ctl(verb, name, where=parent)
            assert (done.returncode, done.stderr) == (
                1,
                f"kallsymsctl: {reported}: {why}; name a kernel's object tree\n",
            )
    install(tree)
    moved = tree.objects.rename(parent / "moved")
    tree.objects.symlink_to(tree.objects)
    assert tree.ctl("list", where=parent).stdout == (
        f"{tree.objects}: the tree is missing: Too many levels of symbolic links\n"
    )
    tree.objects.unlink()
    moved.chmod(0)
    try:
        done = tree.run(
            *("setpriv", "--bounding-set=-all", "--inh-caps=-all", "--"),
            *(sys.executable, "-m", "kallsymsd.ctl.main", "install", str(moved)),
            where=parent,
        )
    finally:
        moved.chmod(0o700)
    assert (done.returncode, done.stderr) == (
        1,
        f"kallsymsctl: {moved}: Permission denied; name a kernel's object tree\n",
    )


@pytest.mark.parametrize("tree", [("v6.11", "in tree")], ids=" ".join, indirect=True)
def test_a_source_tree_may_not_be_what_is_meant(tree: Miniature) -> None:
    (tree.objects / ".config").unlink()
    done = tree.ctl("install")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == (
        f"note: {tree.source}: is not configured; for builds with O=DIR, run kallsymsctl install DIR\n"
    )


@pytest.mark.parametrize("name", OURS)
def test_files_of_others_are_not_overwritten(tree: Miniature, name: str) -> None:
    theirs = tree.objects / name
    theirs.write_text("include Makefile\n")
    done = tree.ctl("install")
    assert (done.returncode, done.stderr) == (
        1,
        f"kallsymsctl: {theirs}: was not written by kallsymsctl; move it away, or use kallsymsctl run\n",
    )
    assert theirs.read_text() == "include Makefile\n"
    assert present(tree) == {theirs}


def test_a_foreign_file_in_the_source_tree_limits_it(tree: Miniature) -> None:
    if tree.source == tree.objects:
        return
    theirs = tree.source / "GNUmakefile"
    theirs.write_text("include Makefile\n")
    done = tree.ctl("install")
    assert done.returncode == 0
    assert done.stdout == (
        f"note: {theirs}: was not written by kallsymsctl; start make in {tree.objects}, "
        "not with O= in the source tree\n"
    )
    assert listed(tree) == f"ok, works for make started here, not for make O= in {tree.source}"
    assert tree.make().returncode == 0
    assert tree.tool_runs() == 0
    assert tree.ctl("uninstall").returncode == 0
    assert present(tree) == {theirs}


def test_the_list_says_what_became_of_it(tree: Miniature) -> None:
    install(tree)
    makefile, switch = (tree.objects / name for name in OURS)
    ours = makefile.read_text()
    makefile.write_text("include Makefile\n")
    assert listed(tree) == "GNUmakefile was replaced; move it away and run kallsymsctl install again"
    makefile.unlink()
    assert listed(tree) == "GNUmakefile is missing; run kallsymsctl install again"
    makefile.write_text(ours)
    hook = next(Path(tree.environment["HOME"]).rglob("hook-*/sh")).parent
    shell = hook / "sh"
    text = shell.read_text()
    shell.write_text(text.replace(sys.executable, "/no/python"))
    assert listed(tree) == "/no/python is missing; install kallsymsd and run kallsymsctl install again"
    assert tree.make().returncode == 0
    assert tree.tool_runs() == 1
    shutil.rmtree(hook)
    assert listed(tree).startswith("the hook's files are missing (/")
    tree.edit()
    assert tree.make().returncode == 0
    assert tree.tool_runs() == 1
    install(tree)
    assert listed(tree) == "ok"
    switch.unlink()
    done = tree.ctl("list", "--json")
    assert json.loads(done.stdout) == [
        {
            "tree": str(tree.objects),
            "works": False,
            "one_link": False,
            "remark": ".kallsymsd.mk is missing; run kallsymsctl install again",
        }
    ]
    (tree.source / "Kbuild").unlink()
    assert listed(tree) == "no longer a kernel's object tree"
    shutil.rmtree(tree.objects)
    done = tree.ctl("list", where=tree.source.parent)
    assert done.stdout == f"{tree.objects}: the tree is missing: No such file or directory\n"
    assert tree.ctl("uninstall", str(tree.objects), where=tree.source.parent).returncode == 0
    assert tree.ctl("list", where=tree.source.parent).stdout == ""


def test_makefiles_of_the_tree_see_nothing_of_it(tree: Miniature) -> None:
    """Nor do those that it starts; what a target of another makefile is run with is what that asks for."""
    (tree.source / "look.mk").write_text(
        "SHELL := /bin/bash\n"
        "vmlinux: ; @[[ -d . ]] && echo '$(MAKE_RESTARTS)$(MAKEFILES)' '$(MAKEFILE_LIST)' '$(SHELL)' $$-\n"
    )
    makefile = tree.source / "Makefile"
    looks = (
        "$(info [$(firstword $(MAKEFILE_LIST))] $(words $(MAKEFILE_LIST)) [$(MAKEFILES)])\n"
        "look: ; @$(MAKE) -f $(srctree)/look.mk vmlinux\n"
    )
    makefile.write_text(makefile.read_text() + looks)
    outputs = [tree.make("look")]
    install(tree)
    outputs += [tree.make("look"), tree.ctl("run", "make", "look")]
    assert outputs[0].returncode == 0
    assert len({each.stdout + each.stderr for each in outputs}) == 1
    assert "[Makefile] " in outputs[0].stdout


def test_the_link_in_the_makefile_itself(tree: Miniature) -> None:
    """As in trees in miniature: no make is started for the link."""
    link = tree.source / "scripts/Makefile.vmlinux"
    top = f"export srctree := {tree.source}\n"
    (tree.objects / "Makefile").write_text(top + link.read_text())
    (tree.objects / "scripts").mkdir(exist_ok=True)
    (tree.objects / "scripts/kallsyms").write_text((tree.source / "tool").read_text())
    (tree.objects / "scripts/kallsyms").chmod(0o755)
    for command in (["make"], [sys.executable, "-m", "kallsymsd.ctl.main", "run", "make"]):
        done = tree.run(*command)
        assert (done.returncode, tree.tool_runs()) == (0, 1 if command == ["make"] else 0), done.stderr
        (tree.objects / "vmlinux").unlink()
    install(tree)
    done = tree.make()
    assert (done.returncode, done.stderr, tree.tool_runs()) == (0, "", 0)


def test_names_that_are_not_text(tree: Miniature, tmp_path: Path) -> None:
    objects = Path(os.fsdecode(os.fsencode(tmp_path) + b"/objects-\xff"))
    add_objects(tree.source, objects)
    other = Miniature(tree.source, objects, tree.environment)
    install(other)
    assert other.make().returncode == 0
    assert other.tool_runs() == 0
    assert other.ctl("list").stdout == f"{tmp_path}/objects-\\xff: ok\n"
