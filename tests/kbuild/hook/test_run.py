# SPDX-License-Identifier: GPL-2.0-only
"""kallsymsctl run: the same kernel, linked with the client in place of scripts/kallsyms."""

from pathlib import Path

import pytest

from tests.kbuild.hook.miniature import Miniature


def tables(tree: Miniature) -> Path:
    """What only the client leaves."""
    return tree.objects / ".tmp_vmlinux1.kallsyms.bin"


def files(directory: Path) -> set[Path]:
    return {path for path in directory.rglob("*") if not path.name.startswith(".tmp_")}


def test_the_kernel_is_the_same_and_the_tool_did_not_run(tree: Miniature, stock: dict[str, bytes]) -> None:
    before = files(tree.source) | files(tree.objects)
    done = tree.ctl("run", "make")
    assert (done.returncode, done.stderr) == (0, "")
    assert tree.results() == stock
    assert tree.tool_runs() == 0
    assert tables(tree).exists()
    assert (files(tree.source) | files(tree.objects)) - before == {tree.objects / "vmlinux"}


@pytest.mark.parametrize(
    "arguments",
    [
        ["V=1"],
        ["-s"],
        ["-j2"],
        ["-k", "vmlinux"],
        ["SHELL=/bin/bash"],
        ["SHELL=/bin/bash -eu"],
        ["SHELL=dash", "MAKEFILES="],
        ["-e", "-j1"],
        ["--", "vmlinux"],
        ["-r", "-R", "--warn-undefined-variables"],
    ],
    ids=" ".join,
)
def test_however_make_is_called(tree: Miniature, stock: dict[str, bytes], arguments: list[str]) -> None:
    done = tree.ctl("run", "--", "make", *arguments)
    assert done.returncode == 0, done.stderr
    assert tree.results() == stock
    assert tree.tool_runs() == 0


@pytest.mark.parametrize(
    "head",
    [
        "SHELL := /bin/bash",
        "override SHELL = $(or $(NONE),bash -eu)",
        "vmlinux: SHELL := /bin/bash -u",
        "SHELL := /bin/bash\n.SHELLFLAGS := -eu -o pipefail -c",
        "SHELL := /bin/bash\nvmlinux: export x = 1\n.ONESHELL:",
        "SHELL := /bin/bash\n.SHELLFLAGS = -eu -o pipefail -c\n.ONESHELL:\n.POSIX:",
    ],
)
def test_the_shell_that_the_kernels_makefile_asks_for(
    tree: Miniature, stock: dict[str, bytes], head: str
) -> None:
    """It runs the recipe of the link too, in which it is needed here; and the hook acts."""
    makefile = tree.source / "scripts/Makefile.vmlinux"
    text = makefile.read_text()
    options = "*pipefail*" if "pipefail" in head else "*"
    needs = f"set -e; words=(a b); [[ $${{words[1]}} = b && $$SHELLOPTS = {options} ]];"
    assert "set -e;" in text
    makefile.write_text(f"{head}\n" + text.replace("set -e;", needs))
    done = tree.ctl("run", "make")
    assert (done.returncode, done.stderr, tree.tool_runs()) == (0, "", 0)
    assert tree.results() == stock
    assert tree.make().stdout == ""


@pytest.mark.parametrize(
    "head", ["SHELL := ./shell", "vmlinux: .SHELLFLAGS := -ec", ".SHELLFLAGS = -e -c 'eval \"$$0\"'"]
)
def test_shells_that_the_hook_does_not_know(tree: Miniature, stock: dict[str, bytes], head: str) -> None:
    (tree.objects / "shell").write_text('#!/bin/sh\n[ "$1" = -c ] && exec /bin/sh "$@"\n')
    (tree.objects / "shell").chmod(0o755)
    makefile = tree.source / "scripts/Makefile.vmlinux"
    makefile.write_text(f"{head}\n" + makefile.read_text())
    done = tree.ctl("run", "make")
    assert (done.returncode, done.stderr) == (0, "")
    assert tree.results() == stock


def test_started_in_the_source_tree(tree: Miniature, stock: dict[str, bytes]) -> None:
    done = tree.ctl("run", "make", f"O={tree.objects}", where=tree.source)
    assert done.returncode == 0, done.stderr
    assert tree.results() == stock
    assert tree.tool_runs() == 0


def test_kernels_from_6_15_on_link_a_file_of_another_name(tree: Miniature, stock: dict[str, bytes]) -> None:
    scripts = tree.source / "scripts"
    for name, changes in {
        "Makefile.vmlinux": [
            (
                "vmlinux: $(srctree)",
                "vmlinux: vmlinux.unstripped\n\tcp $< $@\nvmlinux.unstripped: $(srctree)",
            ),
            ('$(LDFLAGS_vmlinux)";', '$(LDFLAGS_vmlinux)" "$@";'),
        ],
        "link-vmlinux.sh": [("$# -eq 3", "$# -eq 4"), (".kallsyms.o vmlinux\n", '.kallsyms.o "$4"\n')],
    }.items():
        text = (scripts / name).read_text()
        for old, new in changes:
            assert old in text
            text = text.replace(old, new)
        (scripts / name).write_text(text)
    done = tree.ctl("run", "make")
    assert (done.returncode, done.stderr, tree.tool_runs()) == (0, "", 0)
    assert (tree.objects / "vmlinux.unstripped").read_bytes() == stock["vmlinux"]
    assert tree.results()["vmlinux"] == stock["vmlinux"]


def test_nothing_is_linked_again_with_it_or_without(tree: Miniature) -> None:
    outputs = []
    for hooked in (False, True, False):
        done = tree.ctl("run", "make") if hooked else tree.make()
        assert done.returncode == 0, done.stderr
        outputs.append(done.stdout)
    assert "LINK" in outputs[0]
    assert outputs[1:] == ["", ""]
    tree.edit()
    assert "LINK" in tree.ctl("run", "make").stdout
    assert tree.make().stdout == ""
    assert tree.tool_runs() == 1


def test_other_targets_are_as_ever(tree: Miniature, stock: dict[str, bytes]) -> None:
    for arguments in (["help"], ["nothing-of-this-name"], ["-n", "clean"], ["-p", "-n", "help"]):
        without, within = tree.make(*arguments), tree.ctl("run", "--", "make", *arguments)
        assert without.returncode == within.returncode
        assert without.stderr == within.stderr
        if "-p" not in arguments:
            assert without.stdout == within.stdout
    assert tree.ctl("run", "make").returncode == 0
    assert tree.ctl("run", "make", "clean").returncode == 0
    assert not tables(tree).exists()
    assert tree.ctl("run", "make").returncode == 0
    assert tree.results() == stock


def test_makefiles_of_the_user_are_read_too(tree: Miniature, stock: dict[str, bytes], tmp_path: Path) -> None:
    (tmp_path / "own.mk").write_text("$(info read)\n")
    done = tree.ctl("run", "make", MAKEFILES=str(tmp_path / "own.mk"))
    assert "read\n" in done.stdout
    assert tree.results() == stock
    assert tree.tool_runs() == 0


def test_verify_compares_with_the_trees_own_tool(tree: Miniature, stock: dict[str, bytes]) -> None:
    done = tree.ctl("run", "make", KALLSYMSD="verify")
    assert (done.returncode, done.stderr) == (0, "")
    assert tree.results() == stock
    assert tree.tool_runs() == 1


def test_a_map_that_is_refused_ends_the_build_as_the_tool_ends_it(tree: Miniature) -> None:
    (tree.objects / "kernel.map").write_bytes(b"no symbol\n")
    without, within = tree.make(), tree.ctl("run", "make")
    assert (without.returncode, tree.tool_runs()) == (2, 1)
    assert (within.returncode, tree.tool_runs()) == (2, 0)
    first = without.stderr.splitlines()[0]
    assert within.stderr.startswith(first)
    assert not (tree.objects / "vmlinux").exists()


def test_statuses_are_those_of_the_command(tree: Miniature, tmp_path: Path) -> None:
    assert tree.ctl("run", "sh", "-c", "exit 5").returncode == 5
    missing = tree.ctl("run", "no-such-program")
    assert (missing.returncode, missing.stderr) == (
        127,
        "kallsymsctl: no-such-program: No such file or directory\n",
    )
    assert tree.ctl("run", str(tmp_path)).returncode == 126
    none = tree.ctl("run")
    assert (none.returncode, none.stderr) == (
        1,
        "kallsymsctl: run: no command given; try: kallsymsctl run make\n",
    )
