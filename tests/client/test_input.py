# SPDX-License-Identifier: GPL-2.0-only
"""Maps that are none, without a daemon."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.client.conftest import MAP, Kallsyms, elf
from tests.oracles import Oracle
from tests.reference import tool


@pytest.mark.oracle
def test_a_missing_map_is_reported_as_the_kernels_tool_does(kallsyms: Kallsyms, oracle: Oracle) -> None:
    theirs = oracle.run_command(["/no/such.map"])
    run = kallsyms("--dialect", oracle.dialect, "/no/such.map")
    assert (run.status, run.out, run.err) == (theirs.status, b"", theirs.stderr)


def test_a_directory_is_reported_as_newer_tools_do(kallsyms: Kallsyms) -> None:
    run = kallsyms("--dialect=v6.11", ".")
    assert (run.status, run.out, run.err) == (1, b"", b"read_symbol: Is a directory\n")
    # Tools up to v6.4 never end here.
    run = kallsyms("--dialect=v6.1", "/")
    assert (run.status, run.out, run.err) == (1, b"", b"/: Is a directory\n")


@pytest.mark.parametrize("dialect", ["v6.1.y", "v6.11"])
def test_a_map_from_a_pipe_gives_the_same(kallsyms: Kallsyms, dialect: str) -> None:
    run = kallsyms("--dialect", dialect, "--all-symbols", "-v", "/dev/stdin", stdin=MAP * 5000)
    assert (run.status, run.out) == (0, tool.run(dialect, ["all-symbols"], MAP * 5000).stdout)
    assert run.err.startswith(b"kallsyms: cold: 25000 symbols, ")
    assert run.err.endswith(b" ms (in-process: the input is not a regular file)\n")


def test_a_map_is_read_from_its_start_wherever_the_descriptor_stands(kallsyms: Kallsyms) -> None:
    with (kallsyms.here / "in.map").open("rb") as in_map:
        os.lseek(in_map.fileno(), 40, os.SEEK_SET)
        code = "import sys; sys.argv[:] = ['kallsyms', '--dialect=v6.11', '--all-symbols', '/dev/stdin']\n"
        code += "from kallsyms_client.main import main; sys.exit(main())"
        done = subprocess.run(
            [sys.executable, "-c", code],
            stdin=in_map,
            env=kallsyms.environment,
            capture_output=True,
            check=True,
        )
    assert done.stdout == tool.run("v6.11", ["all-symbols"], MAP).stdout


@pytest.mark.parametrize("line", [b"ffffffff81000000\n", b"zz T x\n", b"\n", b"ff  T x\n"])
def test_a_malformed_line_ends_with_the_tools_own_words(kallsyms: Kallsyms, line: bytes) -> None:
    kallsyms.write("in.map", MAP + line + MAP)
    kallsyms.write("vmlinux", elf())
    for arguments in (["--dialect=v6.11", "in.map"], ["vmlinux", "in.map", "out.S", "out.bin"]):
        run = kallsyms(*arguments)
        assert (run.status, run.out) == (1, b"")
        assert run.err.startswith(b"line format error")
        assert run.err.count(b"\n") == 1
    assert not list(kallsyms.here.glob("*out*"))


def test_an_overlong_name_is_dropped_with_a_warning(kallsyms: Kallsyms) -> None:
    text = MAP + b"ffffffff81000030 t " + b"x" * 512 + b"\n"
    kallsyms.write("in.map", text)
    theirs = tool.run("v6.11", ["all-symbols"], text)
    run = kallsyms("--dialect=v6.11", "--all-symbols", "in.map")
    assert (run.status, run.out, run.err) == (0, theirs.stdout, theirs.stderr)
    assert b"too long for kallsyms (512 >= 512)." in run.err


@pytest.mark.parametrize("name", [b'a"b', b"a\\b", b"a*/b"])
def test_a_name_that_plain_assembly_cannot_hold_goes_into_a_bin(kallsyms: Kallsyms, name: bytes) -> None:
    kallsyms.write("in.map", MAP + b"ffffffff81000030 t " + name + b"\n")
    kallsyms.write("vmlinux", elf())
    run = kallsyms("--dialect=v6.11", "--all-symbols", "in.map")
    assert (run.status, run.out) == (1, b"")
    assert name in run.err
    files = ("vmlinux", "in.map", "out.S", "out.bin")
    assert kallsyms("--dialect=v6.11", "--all-symbols", *files).status == 0


def test_a_file_name_of_any_bytes_will_do(kallsyms: Kallsyms) -> None:
    name = b"\xff\xe9 in.map"
    Path(os.fsdecode(bytes(kallsyms.here) + b"/" + name)).write_bytes(MAP)
    run = kallsyms("--dialect=v6.11", name)
    assert (run.status, run.out) == (0, tool.run("v6.11", [], MAP).stdout)
    assert kallsyms("--dialect=v6.11", name + b"!").err == name + b"!: No such file or directory\n"
