# SPDX-License-Identifier: GPL-2.0-only
"""A kernel compiled through ccache: it hands out no old object for a .S whose .bin has changed."""

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import pytest

from kallsymsd.ctl.verification import objects
from tests.client.conftest import MAP, Kallsyms, elf


@pytest.fixture
def ccache(tmp_path: Path, unavailable: Callable[[str], NoReturn]) -> Callable[..., str]:
    """The program, with a cache of its own; what it prints."""
    if not shutil.which("ccache") or not shutil.which("gcc"):
        unavailable("no ccache or gcc: apt install ccache gcc")
    environment = {**os.environ, "CCACHE_DIR": str(tmp_path / "ccache"), "CCACHE_CONFIGPATH": os.devnull}

    def run(*arguments: str, cwd: Path = tmp_path) -> str:
        done = subprocess.run(
            ["ccache", *arguments], cwd=cwd, env=environment, capture_output=True, check=True
        )
        return done.stdout.decode()

    return run


def test_an_s_whose_bin_has_changed_is_another_object(kallsyms: Kallsyms, ccache: Callable[..., str]) -> None:
    kallsyms.write("vmlinux", elf())
    made = []
    # Another address: offsets of the same size, so that the .S need not change with its .bin.
    for number, map_text in enumerate((MAP, MAP.replace(b"ffffffff81000010", b"ffffffff81000018"))):
        kallsyms.write("in.map", map_text)
        assert kallsyms("vmlinux", "in.map", f"{number}.S", "out.bin").status == 0
        # Always the first .S: what it says in a comment of its .bin must not be what saves us.
        subprocess.run(["gcc", "-c", "-o", "plain.o", "0.S"], cwd=kallsyms.here, check=True)
        expected = objects.read((kallsyms.here / "plain.o").read_bytes())
        for _ in range(2):
            ccache("gcc", "-c", "-o", "cached.o", "0.S", cwd=kallsyms.here)
            assert objects.read((kallsyms.here / "cached.o").read_bytes()) == expected
        made.append(expected)
    assert made[0] != made[1]


def test_it_says_why_it_keeps_none(kallsyms: Kallsyms, ccache: Callable[..., str]) -> None:
    kallsyms.write("vmlinux", elf())
    kallsyms.write("in.map", MAP)
    assert kallsyms("vmlinux", "in.map", "out.S", "out.bin").status == 0
    for _ in range(2):
        ccache("gcc", "-c", "-o", "out.o", "out.S", cwd=kallsyms.here)
    counters = dict(line.split("\t") for line in ccache("--print-stats").splitlines())
    assert counters["unsupported_code_directive"] == "2"
    assert counters["direct_cache_hit"] == counters["preprocessed_cache_hit"] == "0"
