# SPDX-License-Identifier: GPL-2.0-only
"""The form of the kernel's own tool: one file, the result on standard output."""

import os
import resource
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from kallsyms_client.output import relative_to_here
from tests.client.conftest import MAP, Kallsyms
from tests.client.test_from_elf import VMLINUX
from tests.reference import tool

ARGUMENTS = ("--dialect=v6.11", "--64bit", "--all-symbols", "in.map")
PLAIN = tool.run("v6.11", ["all-symbols"], MAP).stdout


def test_a_new_file_called_s_includes_the_bin_beside_it(kallsyms: Kallsyms) -> None:
    with (kallsyms.here / "out.S").open("wb") as out:
        run = kallsyms(*ARGUMENTS, stdout=out)
    assert (run.status, run.err) == (0, b"")
    assert b'.incbin "out.bin", 0, ' in (kallsyms.here / "out.S").read_bytes()
    assert (kallsyms.here / "out.bin").stat().st_size > 512
    assert kallsyms.left_over() == []


def test_the_bin_is_named_as_seen_from_the_working_directory(kallsyms: Kallsyms) -> None:
    kallsyms.write("sub/dir/x", b"")
    places = {
        "sub/dir/.tmp_vmlinux1.kallsyms.S": b"sub/dir/.tmp_vmlinux1.kallsyms.bin",
        "../up.S": b"../up.bin",
    }
    for place, name in places.items():
        with (kallsyms.here / place).open("wb") as out:
            assert kallsyms(*ARGUMENTS, stdout=out).status == 0
        assert b'.incbin "%b", 0, ' % name in (kallsyms.here / place).read_bytes()
        assert (kallsyms.here / os.fsdecode(name)).exists()


@pytest.mark.parametrize(
    ("here", "path", "seen"),
    [
        ("/a/b", b"/a/b/c.bin", b"c.bin"),
        ("/a/b", b"/a/bc/d.bin", b"../bc/d.bin"),
        ("/a/b", b"/a/b.bin", b"../b.bin"),
        ("/a/b", b"/a/b", b"../b"),
        ("/", b"/a/b.bin", b"a/b.bin"),
        ("/a", b"/x.bin", b"../x.bin"),
    ],
)
def test_relative_names(monkeypatch: pytest.MonkeyPatch, here: str, path: bytes, seen: bytes) -> None:
    monkeypatch.setattr("kallsyms_client.output.posix.getcwdb", here.encode)
    assert relative_to_here(path) == seen


def plain_assembly(kallsyms: Kallsyms, path: Path, *, before: bytes = b"") -> None:
    assert path.read_bytes() == before + PLAIN
    assert not list(kallsyms.here.glob("*.bin"))
    assert kallsyms.left_over() == []


def test_a_pipe_gets_plain_assembly(kallsyms: Kallsyms) -> None:
    assert kallsyms(*ARGUMENTS).out == PLAIN
    assert not list(kallsyms.here.glob("*.bin"))


@pytest.mark.parametrize("name", ["out.s", "out", "out.S.tmp", ".SS"])
def test_a_file_not_called_s_gets_plain_assembly(kallsyms: Kallsyms, name: str) -> None:
    with (kallsyms.here / name).open("wb") as out:
        assert kallsyms(*ARGUMENTS, stdout=out).status == 0
    plain_assembly(kallsyms, kallsyms.here / name)


def test_a_file_open_for_appending_gets_plain_assembly(kallsyms: Kallsyms) -> None:
    with (kallsyms.here / "out.S").open("ab") as out:
        assert kallsyms(*ARGUMENTS, stdout=out).status == 0
    plain_assembly(kallsyms, kallsyms.here / "out.S")


def test_a_file_not_at_its_start_gets_plain_assembly(kallsyms: Kallsyms) -> None:
    with (kallsyms.here / "out.S").open("wb") as out:
        out.write(b"# first\n")
        out.flush()
        assert kallsyms(*ARGUMENTS, stdout=out).status == 0
    plain_assembly(kallsyms, kallsyms.here / "out.S", before=b"# first\n")


def test_a_file_that_is_not_empty_gets_plain_assembly(kallsyms: Kallsyms) -> None:
    # Until it is overwritten, the text of an older link is in there.
    kallsyms.write("out.S", b"x" * len(PLAIN))
    with (kallsyms.here / "out.S").open("r+b") as out:
        assert kallsyms(*ARGUMENTS, stdout=out).status == 0
    plain_assembly(kallsyms, kallsyms.here / "out.S")


CONTROL = [b"a\rb", b"a\\\nb", b"a\n#error injected\nb", b"a\tb", b"a\x7fb", b"\x1b[2Jb", b"sub\n/a"]


@pytest.mark.parametrize("name", CONTROL)
def test_a_name_with_control_characters_gets_plain_assembly(kallsyms: Kallsyms, name: bytes) -> None:
    path = kallsyms.write(os.fsdecode(name) + ".S", b"")
    with path.open("wb") as out:
        run = kallsyms(*ARGUMENTS, stdout=out)
    assert (run.status, run.err) == (0, b"")
    plain_assembly(kallsyms, path)
    assert sorted(path.parent.iterdir()) == sorted(
        {path, *path.parent.glob("in.map"), *path.parent.glob("sub*")}
    )
    with path.open("wb") as out:
        run = kallsyms("--format=incbin", *ARGUMENTS, stdout=out)
    assert run.status == 1
    assert run.err.endswith(b": it has control characters\n")


@pytest.mark.parametrize("name", CONTROL)
@pytest.mark.parametrize("dialect", ["v6.11", "v7.4"])
def test_so_does_a_bin_of_such_a_name_that_is_given(kallsyms: Kallsyms, name: bytes, dialect: str) -> None:
    kallsyms.write("linked", VMLINUX)
    binary = kallsyms.write(os.fsdecode(name) + ".bin", b"old")
    text = b""
    for form in ("asm", ""):
        options = (f"--dialect={dialect}", "--all-symbols", *([f"--format={form}"] if form else []))
        run = kallsyms(*options, "--from-elf", "linked", "out.S", binary)
        assert (run.status, run.err) == (0, b"")
        text = (kallsyms.here / "out.S").read_bytes()
        assert text.startswith(b"#include" if dialect == "v6.11" else b"\t.section")
        assert b".incbin" not in text
        assert binary.read_bytes() == b""
    run = kallsyms(f"--dialect={dialect}", "--format=incbin", "--from-elf", "linked", "out.S", binary)
    assert (run.status, run.out) == (1, b"")
    assert run.err == b"kallsyms: --format=incbin: the name of the .bin has control characters\n"
    if dialect == "v7.4":
        run = kallsyms("--dialect=v7.4", "--all-symbols", "linked", binary)
        assert (run.status, run.out, run.err) == (0, text, b"")


def test_names_that_only_need_quotes_are_included(kallsyms: Kallsyms) -> None:
    for name in (b'a"b.S', b"a\\b.S", b"a b'.S", b"\xe9\xff.S"):
        path = kallsyms.write(os.fsdecode(name), b"")
        with path.open("wb") as out:
            assert kallsyms(*ARGUMENTS, stdout=out).status == 0
        assert b".incbin" in path.read_bytes()


def _a_directory(binary: Path) -> None:
    binary.mkdir()


def _not_empty(binary: Path) -> None:
    (binary / "file").mkdir(parents=True)


def _a_fifo(binary: Path) -> None:
    os.mkfifo(binary)


def _a_socket(binary: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(os.fspath(binary))


def _a_link_into_nothing(binary: Path) -> None:
    binary.symlink_to("no/such/directory")


def _a_link_to_itself(binary: Path) -> None:
    binary.symlink_to(binary.name)


def _a_link_to_a_device(binary: Path) -> None:
    binary.symlink_to("/dev/full")


def _what_it_is(path: Path) -> tuple[int, ...]:
    """What changes when something is done to it; reading a link changes only when that was last done."""
    status = path.lstat()
    return status.st_ino, status.st_mode, status.st_size, status.st_mtime_ns, status.st_ctime_ns


@pytest.mark.parametrize(
    "there",
    [
        _a_directory,
        _not_empty,
        _a_fifo,
        _a_socket,
        _a_link_into_nothing,
        _a_link_to_itself,
        _a_link_to_a_device,
    ],
)
def test_a_bin_that_cannot_be_made_is_done_without(kallsyms: Kallsyms, there: Callable[[Path], None]) -> None:
    binary, path = kallsyms.here / "out.bin", kallsyms.here / "out.S"
    there(binary)
    before = _what_it_is(binary)
    with path.open("wb") as out:
        run = kallsyms(*ARGUMENTS, stdout=out)
    assert (run.status, run.err) == (0, b"")
    assert path.read_bytes() == PLAIN
    assert _what_it_is(binary) == before
    assert kallsyms.left_over() == []
    with path.open("wb") as out:
        assert kallsyms("--format=incbin", *ARGUMENTS, stdout=out).status == 1
    assert path.read_bytes() == b""


def test_nor_can_one_whose_name_is_too_long(kallsyms: Kallsyms) -> None:
    path = kallsyms.here / ("n" * 253 + ".S")
    with path.open("wb") as out:
        run = kallsyms(*ARGUMENTS, stdout=out)
    assert (run.status, run.err) == (0, b"")
    plain_assembly(kallsyms, path)


def test_nor_one_in_a_directory_that_may_not_be_written_to(kallsyms: Kallsyms) -> None:
    path = kallsyms.write("sub/out.S", b"")
    if subprocess.run(["chattr", "+i", path.parent], capture_output=True, check=False).returncode:
        pytest.skip("nothing can be made immutable here")
    try:
        with path.open("wb") as out:
            run = kallsyms(*ARGUMENTS, stdout=out)
    finally:
        subprocess.run(["chattr", "-i", path.parent], check=True)
    assert (run.status, run.err) == (0, b"")
    plain_assembly(kallsyms, path)


def test_nor_one_in_the_place_of_what_cannot_be_replaced(kallsyms: Kallsyms) -> None:
    binary = kallsyms.write("out.bin", b"old")
    if subprocess.run(["chattr", "+i", binary], capture_output=True, check=False).returncode:
        pytest.skip("nothing can be made immutable here")
    try:
        with (kallsyms.here / "out.S").open("wb") as out:
            run = kallsyms(*ARGUMENTS, stdout=out)
    finally:
        subprocess.run(["chattr", "-i", binary], check=True)
    assert (run.status, run.err) == (0, b"")
    assert (kallsyms.here / "out.S").read_bytes() == PLAIN
    assert binary.read_bytes() == b"old"


def test_what_is_said_of_the_map_is_said_once(kallsyms: Kallsyms) -> None:
    kallsyms.write("in.map", MAP + b"ffffffff81001000 T " + b"n" * 600 + b"\n")
    with (kallsyms.here / "out.S").open("wb") as out:
        expected = kallsyms("--format=asm", *ARGUMENTS, stdout=out).err
    assert b"too long for kallsyms" in expected
    path = kallsyms.here / ("n" * 253 + ".S")
    with path.open("wb") as out:
        run = kallsyms(*ARGUMENTS, stdout=out)
    assert (run.status, run.err) == (0, expected)
    assert path.read_bytes() == (kallsyms.here / "out.S").read_bytes()


def test_a_map_that_can_be_read_once_gets_plain_assembly(kallsyms: Kallsyms) -> None:
    with (kallsyms.here / "out.S").open("wb") as out:
        run = kallsyms(*ARGUMENTS[:-1], "/dev/stdin", stdin=MAP, stdout=out)
    assert (run.status, run.err) == (0, b"")
    plain_assembly(kallsyms, kallsyms.here / "out.S")


def test_a_file_that_lost_its_name_gets_plain_assembly(kallsyms: Kallsyms) -> None:
    path = kallsyms.here / "out.S"
    with path.open("w+b") as out:
        path.unlink()
        assert kallsyms(*ARGUMENTS, stdout=out).status == 0
        out.seek(0)
        assert out.read() == PLAIN
    assert not list(kallsyms.here.glob("out*"))


def test_without_a_target_it_is_plain_assembly(kallsyms: Kallsyms) -> None:
    arguments = [argument for argument in ARGUMENTS if argument != "--64bit"]
    with (kallsyms.here / "out.S").open("wb") as out:
        assert kallsyms(*arguments, stdout=out).status == 0
    plain_assembly(kallsyms, kallsyms.here / "out.S")
    kallsyms.write("include/config/auto.conf", b"CONFIG_64BIT=y\n")
    with (kallsyms.here / "out.S").open("wb") as out:
        assert kallsyms(*arguments, stdout=out).status == 0
    assert (kallsyms.here / "out.bin").exists()


def test_format_asm_makes_plain_assembly_of_what_could_include(kallsyms: Kallsyms) -> None:
    with (kallsyms.here / "out.S").open("wb") as out:
        assert kallsyms("--format=asm", "--debug", *ARGUMENTS, stdout=out).status == 0
    plain_assembly(kallsyms, kallsyms.here / "out.S")


def test_format_incbin_says_what_it_lacks(kallsyms: Kallsyms) -> None:
    run = kallsyms("--format=incbin", *ARGUMENTS)
    assert (run.status, run.out) == (1, b"")
    assert run.err == (
        b"kallsyms: --format=incbin: cannot name the .bin after standard output: it is not a regular file\n"
    )
    with (kallsyms.here / "out.S").open("wb") as out:
        run = kallsyms("--format=incbin", "--dialect=v6.11", "in.map", stdout=out)
    assert (run.status, (kallsyms.here / "out.S").read_bytes()) == (1, b"")
    assert run.err.startswith(b"kallsyms: --format=incbin: the target is unknown; give --64bit or")


def test_debug_lists_symbols_in_comments(kallsyms: Kallsyms) -> None:
    with (kallsyms.here / "out.S").open("wb") as out:
        assert kallsyms("--debug", *ARGUMENTS, stdout=out).status == 0
    assert b"do_one_initcall" in (kallsyms.here / "out.S").read_bytes()
    assert b".incbin" in (kallsyms.here / "out.S").read_bytes()


def test_a_full_disk_is_an_error(kallsyms: Kallsyms) -> None:
    with Path("/dev/full").open("wb") as full:
        run = kallsyms(*ARGUMENTS, stdout=full)
    assert (run.status, run.err) == (1, b"kallsyms: standard output: No space left on device\n")


def test_a_reader_that_is_gone_ends_it_as_it_ends_the_kernels_tool(kallsyms: Kallsyms) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    try:
        run = kallsyms(*ARGUMENTS, stdout=writer)
    finally:
        os.close(writer)
    assert (run.status, run.err) == (-signal.SIGPIPE, b"")


def test_a_closed_standard_output_is_an_error(kallsyms: Kallsyms) -> None:
    command = ["sh", "-c", 'exec "$@" >&-', "sh", sys.executable, "-m", "kallsyms_client", *ARGUMENTS]
    done = subprocess.run(
        command, cwd=kallsyms.here, env=kallsyms.environment, stderr=subprocess.PIPE, check=False
    )
    assert (done.returncode, done.stderr) == (1, b"kallsyms: standard output: Bad file descriptor\n")


@pytest.mark.parametrize("form", ["asm", "incbin"])
def test_a_failed_write_leaves_nothing_behind(kallsyms: Kallsyms, form: str) -> None:
    # With the listing, the text that is written last is longer than the .bin.
    arguments = (f"--format={form}", "--debug", *ARGUMENTS)
    path, binary = kallsyms.here / "out.S", kallsyms.here / "out.bin"
    limit = 1000
    if form == "incbin":
        with path.open("wb") as out:
            assert kallsyms(*arguments, stdout=out).status == 0
        limit = binary.stat().st_size
        binary.write_bytes(b"old bin")
    with path.open("wb") as out:
        done = subprocess.run(
            [sys.executable, "-m", "kallsyms_client", *arguments],
            cwd=kallsyms.here,
            env=kallsyms.environment,
            stdout=out,
            stderr=subprocess.PIPE,
            check=False,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
        )
        assert os.lseek(out.fileno(), 0, os.SEEK_CUR) == 0
    assert (done.returncode, done.stderr) == (1, b"kallsyms: standard output: File too large\n")
    assert path.read_bytes() == b""
    assert form == "asm" or binary.read_bytes() == b"old bin"
    assert kallsyms.left_over() == []


def test_bad_input_writes_nothing(kallsyms: Kallsyms) -> None:
    kallsyms.write("in.map", b"nonsense\n")
    with (kallsyms.here / "out.S").open("wb") as out:
        assert kallsyms(*ARGUMENTS, stdout=out).status == 1
    assert (kallsyms.here / "out.S").read_bytes() == b""
    assert not list(kallsyms.here.glob("*.bin"))
