# SPDX-License-Identifier: GPL-2.0-only
"""Makefiles that are no kernel's: whatever they look at, they see it as without the hook.

Each is run by "kallsymsctl run" and without; all that is printed must be the same, and so must the status.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.client.conftest import PYTHONPATH

_ENVIRONMENT = {"PATH": os.environ["PATH"], "PYTHONPATH": PYTHONPATH, "CI": "1", "LC_ALL": "C"}
_CONTROL = [sys.executable, "-m", "kallsymsd.ctl.main", "run", "--"]

# What is asked while the file is read, when recipes are expanded, and by the shell. "value" does not expand.
_LOOKS = """\
$(info list [$(MAKEFILE_LIST)] [$(firstword $(MAKEFILE_LIST))] [$(lastword $(MAKEFILE_LIST))])
$(info count $(words $(MAKEFILE_LIST)) origin $(origin MAKEFILE_LIST) $(flavor MAKEFILE_LIST))
$(info files [$(value MAKEFILES)] $(origin MAKEFILES) flags [$(MFLAGS)] [$(GNUMAKEFLAGS)])
$(info shell [$(SHELL)] $(origin SHELL) [$(value .SHELLFLAGS)] $(origin .SHELLFLAGS) $(flavor .SHELLFLAGS))
$(info path [$(if $(value GPATH),$(GPATH))] [$(VPATH)] goal [$(.DEFAULT_GOAL)] files $(wildcard *))
vmlinux vmlinux.unstripped other:
	@echo '$@ [$(MAKEFILE_LIST)] [$(MAKEFILES)] [$(MAKEFLAGS)] [$(SHELL)] [$(.SHELLFLAGS)]'
	@echo "$$0 $$# $$- $$SHELL $$MAKEFILES $$MAKEFLAGS $$MAKELEVEL" '$(origin SHELL) $(origin .SHELLFLAGS)'
all: vmlinux vmlinux.unstripped other
.PHONY: all vmlinux vmlinux.unstripped other
"""
_BASH = "@set -o pipefail; words=(a b); [[ -d / ]] && echo $${words[1]} |& cat\n"


def same(
    directory: Path, *command: str, said: bool = False, **variables: str
) -> subprocess.CompletedProcess[str]:
    """Run a command without the hook and with it, which makes no difference; the result.

    ``said``: but that a line says that a recipe is not known.
    """
    done = [
        subprocess.run(
            [*added, *command],
            cwd=directory,
            env={**_ENVIRONMENT, "HOME": str(directory.parent), **variables},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        for added in ([], _CONTROL)
    ]
    stock, hooked = ((each.returncode, each.stdout, each.stderr) for each in done)
    line = "kallsymsd: the recipe of vmlinux is not recognized; this link uses the kernel's own tool\n"
    assert hooked[2].count(line) == said
    assert hooked[:2] == stock[:2]
    # What a shell traces of both ends of a pipe comes in any order.
    assert sorted(hooked[2].replace(line, "").splitlines()) == sorted(stock[2].splitlines())
    return done[1]


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """A directory for makefiles; the hook lies elsewhere."""
    path = tmp_path / "outer"
    path.mkdir()
    return path


@pytest.mark.parametrize(
    "arguments",
    [
        "",
        "all",
        "vmlinux",
        "-j1 all",
        "-n all",
        "-q other",
        "-rR all",
        "-s -k all",
        "-e all",
        "-C . all",
        "SHELL=/bin/bash all",
        ".SHELLFLAGS=-ec all",
        "MAKEFILES= all",
        "--warn-undefined-variables vmlinux",
        "--no-builtin-rules nothing-of-this-name",
    ],
)
def test_what_makefiles_look_at(directory: Path, arguments: str) -> None:
    (directory / "Makefile").write_text(_LOOKS)
    assert same(directory, "make", *arguments.split()).stdout
    (directory / "Makefile").rename(directory / "foo.mk")
    assert "foo.mk" in same(directory, "make", "-f", "foo.mk", *arguments.split()).stdout


def test_what_makefiles_look_at_is_told_apart(directory: Path) -> None:
    """The fragment of older versions is seen by all of this."""
    (directory / "hook.mk").write_text("vmlinux: private override SHELL := /bin/bash\n")
    (directory / "Makefile").write_text(_LOOKS)
    outputs = [
        subprocess.run(
            ["make", "all"], cwd=directory, env={**_ENVIRONMENT, **added}, capture_output=True, check=True
        ).stdout.splitlines()
        for added in ({}, {"MAKEFILES": "hook.mk"})
    ]
    different = {number for number, lines in enumerate(zip(*outputs, strict=True)) if lines[0] != lines[1]}
    assert {0, 1, 2, 5, 6} <= different


def test_a_makefile_finds_itself(directory: Path) -> None:
    (directory / "settings").touch()
    (directory / "sub").mkdir()
    here = "HERE := $(dir $(abspath $(firstword $(MAKEFILE_LIST))))\n"
    (directory / "Makefile").write_text(
        f"{here}all:\n\t@test -f $(HERE)settings\n\t@$(MAKE) -C sub -f ../x.mk\n"
    )
    (directory / "x.mk").write_text(f"{here}include y.mk\nall: ; @echo $(HERE) $(words $(MAKEFILE_LIST))\n")
    (directory / "sub/y.mk").touch()
    done = same(directory, "make", "--no-print-directory")
    assert (done.returncode, done.stdout) == (0, f"{directory}/ 2\n")
    assert same(directory, "make", "-f", str(directory / "Makefile"), "-C", "sub").returncode == 2


def test_files_of_the_user_in_the_variable_makefiles(directory: Path) -> None:
    (directory / "own.mk").write_text("$(info own [$(MAKEFILE_LIST)])\nown: ; @echo own\n")
    (directory / "Makefile").write_text(_LOOKS)
    for value in ("own.mk", " own.mk ", "own.mk none.mk", "own.mk own.mk"):
        assert "own [" in same(directory, "make", MAKEFILES=value).stdout


@pytest.mark.parametrize("value", ["", "a b:c", "$(info seen)x", "$(HOME)"])
def test_a_variable_of_that_name_keeps_its_value(directory: Path, value: str) -> None:
    (directory / "Makefile").write_text("all: ; @echo '[$(GPATH)]'; $(MAKE) -s -f sub.mk\n")
    (directory / "sub.mk").write_text("all: ; @echo '[$(GPATH)]'\n")
    same(directory, "make", "-s", GPATH=value)
    same(directory, "make", "-s", f"GPATH={value}")
    same(directory, *_CONTROL, "make", "-s", GPATH=value)


@pytest.mark.parametrize(
    "head",
    [
        "SHELL := /bin/bash",
        "SHELL = $(or $(NONE),/bin/bash)",
        "override SHELL := bash",
        "export SHELL := /bin/bash",
        "SHELL := /bin/bash -eu",
        "SHELL := /usr/bin/env bash",
        "$(goal): SHELL := /bin/bash",
        "$(goal): private SHELL = bash",
        "vm%: SHELL = bash",
        "$(goal): export SHELL = bash",
        "SHELL := /bin/bash\n.SHELLFLAGS := -eu -o pipefail -c",
        "SHELL := bash\n$(goal): .SHELLFLAGS = -o pipefail -ec",
        "SHELL := /bin/bash\n.ONESHELL:",
        "SHELL := /bin/bash\n.SHELLFLAGS = -ec\n.ONESHELL:\n.POSIX:",
        "SHELL := /bin/bash\n.EXPORT_ALL_VARIABLES:",
        "unexport GPATH\nGPATH :=\nSHELL := /bin/bash",
    ],
)
def test_the_shell_that_a_makefile_asks_for(directory: Path, head: str) -> None:
    """With and without a kernel around it, whose variables are in the environment."""
    text = f"goal ?= vmlinux\n{head}\n$(goal): ; {_BASH}next: ; @echo '$(SHELL) $(.SHELLFLAGS)' $$-\n"
    (directory / "Makefile").write_text(text)
    kernel = directory.parent / "kernel"
    (kernel / "scripts").mkdir(parents=True)
    (kernel / "scripts/link-vmlinux.sh").touch()
    for goal in ("vmlinux", "vmlinux.unstripped"):
        for done in (
            same(directory, "make", goal=goal),
            same(directory, "make", "-k", goal, "next", goal=goal, srctree=str(kernel)),
        ):
            assert done.returncode == 0
            assert done.stdout.startswith("b\n")


@pytest.mark.parametrize("shell", ["/bin/bash", "bash", "/bin/bash -x"])
def test_the_shell_of_the_command_line(directory: Path, shell: str) -> None:
    (directory / "Makefile").write_text(f"vmlinux: ; {_BASH}")
    done = same(directory, "make", f"SHELL={shell}")
    assert (done.returncode, done.stdout) == (0, "b\n")
    assert same(directory, "make").returncode == 2  # a shell that has no arrays


def test_shells_that_are_none(directory: Path) -> None:
    (directory / "shell").write_text('#!/bin/sh\necho "$@"\nexit 5\n')
    (directory / "shell").chmod(0o755)
    for shell, flags in (("./shell", "-x -c"), (sys.executable, "-c"), ("./none", "-c")):
        text = f"SHELL := {shell}\n.SHELLFLAGS := {flags}\nvmlinux: ; @print('a', 'b')\n"
        (directory / "Makefile").write_text(text)
        assert same(directory, "make").stdout.strip() in {"-x -c print('a', 'b')", "a b", ""}


@pytest.mark.parametrize(
    "recipe",
    [
        "echo $$- $$0 $$#; set -o pipefail; false | true",
        "echo 'scripts/link-vmlinux.sh \"x\"' $$- $$0; set -o pipefail; false | true",
        '$(SHELL) $< "ld"; [[ -f $< ]]',
        "-false | true; echo $$?; exit 3",
        "@no-such-program; words=(a b); echo $${words[1]}",
        "$(info $(SHELL) $(shell echo $$0))true;",
    ],
)
@pytest.mark.parametrize("head", ["", ".ONESHELL:", ".SHELLFLAGS := -eu -o pipefail -c"])
def test_a_rule_that_only_looks_like_the_link(directory: Path, recipe: str, head: str) -> None:
    """The shell and the flags are those of the makefile even where the hook acts, which it does here."""
    (directory / "scripts").mkdir()
    (directory / "scripts/link-vmlinux.sh").write_text("echo linked by ${BASH:-another} $1\n")
    for shell in ("/bin/bash", "bash -eu", "/bin/sh"):
        text = f"{head}\nSHELL := {shell}\nsrctree := .\nvmlinux: scripts/link-vmlinux.sh ; {recipe}\n"
        (directory / "Makefile").write_text(text)
        if " " in shell and head == ".ONESHELL:":
            continue  # make looks for a program of this name
        for arguments in ([], ["-s"], ["-n"], ["-i"]):
            said = '"' in recipe and "-n" not in arguments
            same(directory, "make", *arguments, said=said)
