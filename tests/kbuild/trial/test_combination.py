# SPDX-License-Identifier: GPL-2.0-only
"""What belongs to a verdict on one link, and what does not (docs/kernel-trees.md)."""

from collections.abc import Callable
from pathlib import Path

import pytest

from kallsymsd.core.dialects import BY_NAME
from kallsymsd.kbuild.trial import combination
from kallsymsd.onelink.configuration import Configuration

_CONFIGURATION = """\
CONFIG_CC_VERSION_TEXT="gcc (Debian) 12.2.0"
CONFIG_LD_VERSION=24000
CONFIG_PAHOLE_VERSION=125
CONFIG_64BIT=y
CONFIG_DEBUG_INFO_BTF=y
CONFIG_LOCALVERSION="-one"
"""


class Build:
    """An object tree, and what kbuild says of it.

    environment  what the script gets
    dialect      of its tables
    options      of them
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.dialect, self.options = "v6.11", ["--all-symbols"]
        self.environment = {
            "SRCARCH": "x86",
            "CC": "gcc",
            "PAHOLE_FLAGS": "-j",
            "KBUILD_LDS": "vmlinux.lds",
            "KALLSYMSD_SCRIPT": "0123",
            "KALLSYMSD_RULES": "^__x",
            "KALLSYMSD_LD": str(directory / "ld"),
            "KALLSYMSD_LDFLAGS": "-z noexecstack",
            "NM": str(directory / "nm"),
            "HOME": "/home/one",
        }
        (directory / "include/config").mkdir(parents=True)
        self.put("include/config/auto.conf", _CONFIGURATION)
        self.put("vmlinux.lds", "SECTIONS { }\n")
        for program in ("ld", "nm"):
            self.put(program, f"#!/bin/sh\necho {program} 1\n")
            (directory / program).chmod(0o755)

    def put(self, name: str, text: str) -> None:
        """Write a file of the tree."""
        (self._directory / name).write_text(text)

    def key(self) -> str:
        return combination.key(Configuration(), BY_NAME[self.dialect], self.options, self.environment)


@pytest.fixture
def build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Build:
    """A tree that is the working directory."""
    monkeypatch.chdir(tmp_path)
    return Build(tmp_path)


@pytest.mark.parametrize(
    "change",
    [
        lambda build: build.environment.update(SRCARCH="arm64"),
        lambda build: build.environment.update(CC="clang"),
        lambda build: build.environment.update(PAHOLE_FLAGS="-j --btf_features=all"),
        lambda build: build.environment.update(KBUILD_AFLAGS="-fPIE"),
        lambda build: build.environment.update(KALLSYMSD_SCRIPT="0124"),
        lambda build: build.environment.update(KALLSYMSD_RULES="^__x ^__y"),
        lambda build: build.environment.update(KALLSYMSD_LDFLAGS="-z noexecstack --emit-relocs"),
        lambda build: build.put("ld", "#!/bin/sh\necho ld 2\n"),
        lambda build: build.put("nm", "#!/bin/sh\necho nm 2\n"),
        lambda build: build.put("vmlinux.lds", "SECTIONS { .text : { } }\n"),
        lambda build: setattr(build, "dialect", "v6.15"),
        lambda build: setattr(build, "options", []),
        *(
            lambda build, line=line, other=other: build.put(
                "include/config/auto.conf", _CONFIGURATION.replace(line, other)
            )
            for line, other in (
                ("12.2.0", "14.2.0"),
                ("24000", "24400"),
                ("125", "130"),
                ("CONFIG_64BIT=y\n", ""),
                ("CONFIG_DEBUG_INFO_BTF=y\n", "CONFIG_LTO_CLANG=y\n"),
            )
        ),
    ],
)
def test_what_belongs_to_it(build: Build, change: Callable[[Build], None]) -> None:
    before = build.key()
    change(build)
    assert build.key() != before


@pytest.mark.parametrize(
    "change",
    [
        lambda build: build.put("vmlinux.o", "other objects"),
        lambda build: build.environment.update(HOME="/home/other", MAKEFLAGS="-j4"),
        lambda build: build.put(
            "include/config/auto.conf", _CONFIGURATION.replace('"-one"', '"-other"') + "CONFIG_EXT4_FS=y\n"
        ),
    ],
)
def test_what_does_not(build: Build, change: Callable[[Build], None]) -> None:
    before = build.key()
    change(build)
    assert build.key() == before


def test_a_layout_that_cannot_be_read(build: Build) -> None:
    build.environment["KBUILD_LDS"] = "none.lds"
    with pytest.raises(FileNotFoundError):
        build.key()
