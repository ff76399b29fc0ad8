# SPDX-License-Identifier: GPL-2.0-only
"""What builds kernels among other things, in miniature: it sees nothing of the hook; its kernel has it."""

import shlex
from pathlib import Path

import pytest

from tests.kbuild.hook.miniature import Miniature

# Each has, in the manner of its model, a list of makefiles that it finds its directory by, a shell that its
# recipes need, a target called vmlinux, and a kernel among its packages.
_BUILDROOT = {
    "Makefile": """\
SHELL := /bin/bash
ifneq ("$(origin O)", "command line")
O := $(CURDIR)/output
endif
TOPDIR := $(patsubst %/,%,$(dir $(abspath $(firstword $(MAKEFILE_LIST)))))
ifneq ($(filter-out Makefile,$(MAKEFILE_LIST))$(MAKEFILES),)
$(error the list is $(MAKEFILE_LIST))
endif
unexport CDPATH
export TOPDIR
all: world
include package/pkg-generic.mk
include linux/linux.mk
world: $(TARGETS)
.PHONY: all world
""",
    "package/pkg-generic.mk": """\
pkgname = $(lastword $(subst /, ,$(dir $(lastword $(MAKEFILE_LIST)))))
define generic-package
$(O)/build/$(1)/.stamp_built: ; mkdir -p $$(@D) && { $$($(2)_BUILD_CMDS); } |& tee $$(@D)/log; \\
	test $$$${PIPESTATUS[0]} = 0 && touch $$@
TARGETS += $(O)/build/$(1)/.stamp_built vmlinux
endef
""",
    "linux/linux.mk": """\
LINUX_BUILD_CMDS = [[ -d $(KERNEL) ]] && $(MAKE) -j2 HOSTCC=gcc -C $(KERNEL) vmlinux
$(eval $(call generic-package,$(call pkgname),LINUX))
vmlinux: $(O)/build/linux/.stamp_built
	@set -o pipefail; names=($@ none); [[ -f $(KERNEL)/$${names[0]} ]] |& cat
""",
}
_OPENWRT = {
    "Makefile": """\
TOPDIR := ${CURDIR}
LC_ALL := C
export TOPDIR LC_ALL
world:
ifneq ($(OPENWRT_BUILD),1)
  _SINGLE = export MAKEFLAGS=$(space);
  override OPENWRT_BUILD := 1
  export OPENWRT_BUILD
  include $(TOPDIR)/include/toplevel.mk
else
  include include/target.mk
endif
""",
    "include/toplevel.mk": """\
SHELL := /usr/bin/env bash
SUBMAKE := umask 022; $(MAKE)
ifneq ($(words $(MAKEFILE_LIST)),2)
$(error more than two: $(MAKEFILE_LIST))
endif
%:: ; @export MAKEFLAGS= ;$(SUBMAKE) -r -s $@ OPENWRT_BUILD=1
""",
    "include/target.mk": """\
SHELL := /usr/bin/env bash
.SHELLFLAGS := -o pipefail -c
INCLUDE_DIR := $(dir $(lastword $(MAKEFILE_LIST)))
world: vmlinux
	@[[ $(words $(MAKEFILE_LIST)) = 2 && $(INCLUDE_DIR) = include/ ]]
vmlinux: target/linux/compile
	@cp $(KERNEL)/vmlinux bin-vmlinux && declare -A sums=([x]=$$(cksum < bin-vmlinux | cut -d' ' -f1)) && \\
	[[ $${sums[x]} ]]
target/linux/compile:
	+$(MAKE) -C $(KERNEL) HOSTCFLAGS=-O2 V='' vmlinux |& cat
.PHONY: world vmlinux target/linux/compile
""",
}
_DEBIAN = {
    "debian/rules": """\
#!/usr/bin/make -f
SHELL := bash -e
.NOTPARALLEL:
.DELETE_ON_ERROR:
RULES := $(firstword $(MAKEFILE_LIST))
DEB_DIR := $(dir $(RULES))
build: build-arch
build-arch: vmlinux
	@[[ -f $(DEB_DIR)stamps/vmlinux ]]
binary: build
	$(MAKE) -f $(DEB_DIR)rules.real binary_kernel PACKAGE=linux
vmlinux:
	mkdir -p $(DEB_DIR)stamps
	+shopt -s extglob; $(MAKE) -f $(DEB_DIR)rules.real build_kernel |& cat; exit $${PIPESTATUS[0]}
	touch $(DEB_DIR)stamps/$@
.PHONY: build build-arch binary vmlinux
""",
    "debian/rules.real": """\
SHELL := /bin/bash -e
include $(dir $(lastword $(MAKEFILE_LIST)))rules.defs
build_kernel: ; +env -u MAKEFLAGS DEB_BUILD_OPTIONS=parallel=2 $(MAKE) -C $(KERNEL) vmlinux
binary_kernel: vmlinux.unstripped
vmlinux.unstripped: SHELL = /bin/bash -o pipefail
vmlinux.unstripped: ; cp $(KERNEL)/vmlinux $@ && [[ -s $@ ]] |& cat
.PHONY: build_kernel binary_kernel
""",
    "debian/rules.defs": "STAMPS := stamps\n",
}
_RECURSIVE = {
    "top.mk": """\
SHELL := /bin/dash
here := $(CURDIR)/$(firstword $(MAKEFILE_LIST))
all: ; $(MAKE) SHELL=/bin/bash -f $(dir $(here))middle/Makefile -C middle KERNEL=$(KERNEL)
""",
    "middle/Makefile": """\
export SHELL
$(if $(filter 1,$(words $(MAKEFILE_LIST))),,$(error $(MAKEFILE_LIST)))
vmlinux: ; [[ $$SHELL ]] && $(MAKE) -rR -f $(CURDIR)/../last -C $(KERNEL)/..
""",
    "last": """\
.ONESHELL:
.SHELLFLAGS = -eu -o pipefail -c
vmlinux:
	@words=(vmlinux "a b")
	cd $(KERNEL)
	exec $(MAKE) -f Makefile $${words[0]}
""",
}
_WRAPPERS = {
    "Buildroot": (_BUILDROOT, "make"),
    "Buildroot, make -f": (_BUILDROOT, "make -f Makefile --warn-undefined-variables world"),
    "OpenWrt": (_OPENWRT, "make"),
    "OpenWrt, a target": (_OPENWRT, "make -j2 vmlinux"),
    "Debian": (_DEBIAN, "debian/rules binary"),
    "Debian, make -f": (_DEBIAN, "make -f debian/rules build"),
    "recursive": (_RECURSIVE, "make -f top.mk"),
}


@pytest.mark.parametrize("tree", [("v6.11", "O="), ("v6.11", "in tree")], ids=" ".join, indirect=True)
@pytest.mark.parametrize("name", _WRAPPERS)
def test_a_wrapper(tree: Miniature, stock: dict[str, bytes], tmp_path: Path, name: str) -> None:
    files, command = _WRAPPERS[name]
    outputs = []
    for hooked in (False, True):
        outer = tmp_path / f"outer-{hooked}"
        for path, text in files.items():
            (outer / path).parent.mkdir(parents=True, exist_ok=True)
            (outer / path).write_text(text)
            (outer / path).chmod(0o755)
        (tree.objects / "vmlinux").unlink(missing_ok=True)
        words = shlex.split(command)
        variables = {"KERNEL": str(tree.objects)}
        if hooked:
            done = tree.ctl("run", "--", *words, where=outer, **variables)
        else:
            done = tree.run(*words, where=outer, **variables)
        assert (done.returncode, tree.tool_runs()) == (0, 0 if hooked else 1), done.stdout + done.stderr
        assert tree.results() == stock
        outputs.append((done.stdout + done.stderr).replace(str(outer), ""))
    assert sorted(outputs[0].splitlines()) == sorted(outputs[1].splitlines())


@pytest.mark.parametrize("tree", [("v6.11", "in tree")], ids=" ".join, indirect=True)
def test_debian_rules_in_the_kernels_own_directory(tree: Miniature, stock: dict[str, bytes]) -> None:
    """As in a source tree with packaging of its own: what is built beside the kernel has its own shell."""
    for path, text in _DEBIAN.items():
        (tree.source / path).parent.mkdir(exist_ok=True)
        (tree.source / path).write_text(text)
        (tree.source / path).chmod(0o755)
    done = tree.ctl("run", "--", "debian/rules", "binary", KERNEL=str(tree.objects))
    assert (done.returncode, tree.tool_runs()) == (0, 0), done.stderr
    assert tree.results() == stock
    assert (tree.source / "vmlinux.unstripped").read_bytes() == stock["vmlinux"]


@pytest.mark.parametrize("tree", [("v6.11", "O=")], ids=" ".join, indirect=True)
def test_an_installed_tree_within_a_wrapper(tree: Miniature, stock: dict[str, bytes], tmp_path: Path) -> None:
    assert tree.ctl("install").returncode == 0
    for path, text in _BUILDROOT.items():
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text(text)
    done = tree.run("make", where=tmp_path, KERNEL=str(tree.objects))
    assert (done.returncode, tree.tool_runs()) == (0, 0), done.stderr
    assert tree.results() == stock
