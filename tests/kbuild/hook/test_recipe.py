# SPDX-License-Identifier: GPL-2.0-only
"""Reading and editing the recipe of vmlinux and the script that it runs."""

import re
import subprocess
from pathlib import Path

import pytest

from kallsyms_client.failures import ClientError
from kallsymsd.kbuild.script.edit import edit, interpreter, quote
from kallsymsd.kbuild.script.recipe import find_link, rewrite

# As make hands them to the shell, from kbuild 6.12 and 6.1, with V=1 and without.
CALL = '/src/scripts/link-vmlinux.sh "ld" "-m elf_x86_64" "-z max-page-size=0x200000";  true'
# The one that is run is marked.
RECIPES = [
    f"set -e; exec >/dev/null;   trap 'rm -f vmlinux; kill -s INT $$' 2; @{CALL}; fixdep .d '{CALL}' > .cmd",
    f"set -e; echo '{CALL}'; @{CALL}; scripts/basic/fixdep .d vmlinux '{CALL}' > ./.vmlinux.cmd",
    f"set -e; printf '  %-7s %s\\n' \"it's\" \\' a\\;b; @{CALL}",
    f'# scripts/link-vmlinux.sh "ld"\nset -e; @{CALL}',
    f"if true; then @{CALL}; fi",
    f"(cd . && @{CALL})",
    f"true \\\n && @{CALL}",
]


@pytest.mark.parametrize("recipe", RECIPES)
def test_the_call_is_found(recipe: str) -> None:
    start = recipe.index("@")
    length = len("/src/scripts/link-vmlinux.sh")
    assert find_link(recipe.replace("@", "").encode()) == (start, start + length)


@pytest.mark.parametrize(
    "recipe",
    [
        "",
        f"echo '{CALL}'",
        f'echo "{CALL}"',
        f"echo {CALL}",
        f"{CALL}; {CALL}",
        f"sh {CALL}",
        f"{CALL} 'without its end",
        '/src/scripts/link-vmlinux.sh clean "x"',
        '/src/scripts/link-vmlinux.sh.old "ld"',
        '/src/my-scripts/link-vmlinux.sh "ld"',
        '"/src/scripts/link-vmlinux.sh" "ld"',
        f"# {CALL}",
        f"x=1 {CALL}",
    ],
)
def test_what_is_not_the_call(recipe: str) -> None:
    assert find_link(recipe.encode()) is None
    with pytest.raises(ClientError):
        rewrite(recipe.encode(), b"/hook/kallsyms", {})


@pytest.mark.parametrize("word", [b"", b"a b", b"it's", b"$x `y` \\", b"''", b"\xff\n"])
def test_a_shell_reads_quoted_words_back(word: bytes) -> None:
    done = subprocess.run(
        [b"/bin/sh", b"-c", b"printf %s " + quote(word)], capture_output=True, check=True, timeout=60
    )
    assert done.stdout == word


def test_calls_of_the_tool_get_another_program() -> None:
    script = b'#!/bin/sh\n# runs scripts/kallsyms\n\tscripts/kallsyms ${o} "${1}" > "${2}.S"\n'
    edited = edit(script, b"/my scripts/kallsyms")
    assert edited is not None
    before, word, after = (part.decode() for part in re.split(rb'("\$\(.*\)")', edited))
    assert f"{before}scripts/kallsyms{after}".encode() == script
    assert "'/my scripts/kallsyms'" in word


@pytest.mark.parametrize(
    ("mode", "runs"), [(0o500, "program"), (0o400, "scripts/kallsyms"), (0, "scripts/kallsyms")]
)
def test_a_program_that_cannot_be_run_by_then_is_not(tmp_path: Path, mode: int, runs: str) -> None:
    (tmp_path / "scripts").mkdir()
    for name in ("program", "scripts/kallsyms"):
        (tmp_path / name).write_text(f"#!/bin/sh\necho {name} $#\n")
        (tmp_path / name).chmod(0o700)
    (tmp_path / "program").chmod(mode)
    edited = edit(b'\tscripts/kallsyms "a b" ${none}\n', bytes(tmp_path / "program"))
    assert edited is not None
    done = subprocess.run(
        ["sh", "-euc", edited], cwd=tmp_path, env={"none": ""}, capture_output=True, check=True, timeout=60
    )
    assert done.stdout.decode() == f"{runs} 1\n"


@pytest.mark.parametrize(
    "script",
    [
        b"#!/bin/sh\n",
        b"true && scripts/kallsyms x\n",
        b"scripts/kallsyms a\nif scripts/kallsyms b; then true; fi\n",
        b"# scripts/kallsyms a\n",
        b"tool=scripts/kallsyms\n$tool a\n",
    ],
)
def test_scripts_that_are_not_known_are_left_alone(script: bytes) -> None:
    assert edit(script, b"/hook/kallsyms") is None


@pytest.mark.parametrize(
    ("first", "words"),
    [
        (b"#!/bin/sh\n", [b"/bin/sh"]),
        (b"#! /bin/bash -e\n", [b"/bin/bash", b"-e"]),
        (b"#!/usr/bin/env bash\n", []),
        (b"#!/bin/sh", []),
        (b"set -e\n", []),
    ],
)
def test_the_shell_of_a_script(first: bytes, words: list[bytes]) -> None:
    assert interpreter(first) == words
