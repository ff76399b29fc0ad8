# SPDX-License-Identifier: GPL-2.0-only
"""The form with four files: replaced whole, or left as they were."""

import os
import posix
import resource
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from kallsyms_client import output
from kallsyms_client.failures import ClientError
from kallsyms_client.output import FileArgument, StandardOutput
from kallsymsd.protocol.received import Piece
from tests.client.conftest import MAP, Kallsyms, elf
from tests.reference import tool

FILES = ("vmlinux", "in.map", "out.S", "out.bin")


@pytest.fixture
def tree(kallsyms: Kallsyms) -> Kallsyms:
    """The program, with a vmlinux and older outputs beside its map."""
    kallsyms.write("vmlinux", elf())
    kallsyms.write("out.S", b"old S")
    kallsyms.write("out.bin", b"old bin")
    return kallsyms


def unchanged(tree: Kallsyms) -> bool:
    contents = [(tree.here / name).read_bytes() for name in ("out.S", "out.bin")]
    return contents == [b"old S", b"old bin"] and not tree.left_over()


def piece(content: bytes) -> Piece:
    return Piece(content, 0, len(content))


def test_both_files_are_written_and_the_s_names_the_bin_as_given(tree: Kallsyms) -> None:
    run = tree("vmlinux", "in.map", "./out.S", "../tree/out.bin")
    assert (run.status, run.out, run.err) == (0, b"", b"")
    text = (tree.here / "out.S").read_bytes()
    assert b'.incbin "../tree/out.bin", 0, ' in text
    assert b"#include" not in text
    assert len((tree.here / "out.bin").read_bytes()) > 512  # the token index alone has 512 bytes
    assert tree.left_over() == []


def test_new_files_have_the_mode_that_the_umask_leaves(tree: Kallsyms) -> None:
    code = "import os, sys; os.umask(0o027); os.execv(sys.executable, [sys.executable, *sys.argv[1:]])"
    command = [sys.executable, "-c", code, "-m", "kallsyms_client", "vmlinux", "in.map", "a.S", "out.bin"]
    subprocess.run(command, cwd=tree.here, env=tree.environment, check=True)
    for name in ("a.S", "out.bin"):
        assert stat.S_IMODE((tree.here / name).stat().st_mode) == 0o640


def test_files_are_replaced_not_rewritten(tree: Kallsyms) -> None:
    os.link(tree.here / "out.S", tree.here / "linked.S")
    assert tree(*FILES).status == 0
    assert (tree.here / "linked.S").read_bytes() == b"old S"


def test_plain_assembly_leaves_an_empty_bin_and_needs_no_vmlinux(tree: Kallsyms) -> None:
    run = tree("--format=asm", "--all-symbols", "/no/vmlinux", *FILES[1:])
    assert (run.status, run.err) == (0, b"")
    assert (tree.here / "out.S").read_bytes() == tool.run("mail-2024", ["all-symbols"], MAP).stdout
    assert (tree.here / "out.bin").read_bytes() == b""


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (("vmlinux", "none.map", "out.S", "out.bin"), b"none.map: No such file or directory\n"),
        (("vmlinux", "in.map", "no/out.S", "out.bin"), b"kallsyms: no/out.S: No such file or directory\n"),
        (("vmlinux", "in.map", "out.S", "no/out.bin"), b"kallsyms: no/out.bin: No such file or directory\n"),
        (("vmlinux", "in.map", "directory", "out.bin"), b"kallsyms: directory: Is a directory\n"),
        (("vmlinux", "in.map", "/dev/full", "out.bin"), b"kallsyms: /dev/full: No space left on device\n"),
        (("vmlinux", "in.map", "out.S", "/dev/full"), b"kallsyms: /dev/full: No space left on device\n"),
        (("vmlinux", "in.map", "", "out.bin"), b"kallsyms: : No such file or directory\n"),
        (
            ("vmlinux", "in.map", "out.bin", "out.bin"),
            b"kallsyms: out.bin: given both as OUT.S and as OUT.bin\n",
        ),
    ],
)
def test_an_error_leaves_both_files_as_they_were(
    tree: Kallsyms, files: tuple[str, ...], message: bytes
) -> None:
    (tree.here / "directory").mkdir()
    run = tree(*files)
    assert (run.status, run.out, run.err) == (1, b"", message)
    assert unchanged(tree)


def test_a_file_too_large_is_an_error_like_any_other(tree: Kallsyms) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "kallsyms_client", *FILES],
        cwd=tree.here,
        env=tree.environment,
        capture_output=True,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100)),
    )
    assert (done.returncode, done.stdout) == (1, b"")
    assert done.stderr == b"kallsyms: out.bin: File too large\n"
    assert unchanged(tree)


def test_devices_are_written_to_and_stay(tree: Kallsyms) -> None:
    run = tree("--format=asm", "vmlinux", "in.map", "/dev/stdout", "/dev/null")
    assert (run.status, run.out) == (0, tool.run("mail-2024", [], MAP).stdout)
    assert stat.S_ISCHR(Path("/dev/null").stat().st_mode)


def test_a_link_stays_and_what_it_leads_to_is_replaced(tree: Kallsyms) -> None:
    (tree.here / "objects").mkdir()
    (tree.here / "link.S").symlink_to("objects/real.S")
    (tree.here / "link.bin").symlink_to("out.bin")
    assert tree("vmlinux", "in.map", "link.S", "link.bin").status == 0
    assert (tree.here / "link.S").is_symlink()
    assert b".incbin" in (tree.here / "objects/real.S").read_bytes()
    assert (tree.here / "link.bin").is_symlink()
    assert (tree.here / "out.bin").read_bytes() != b"old bin"


@pytest.mark.parametrize("existed", [True, False])
def test_the_bin_is_taken_back_when_the_s_cannot_be_put_in_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, existed: bool
) -> None:
    binary, assembly = tmp_path / "out.bin", tmp_path / "out.S"
    if existed:
        binary.write_bytes(b"old bin")

    def rename(source: bytes, to: bytes) -> None:
        if to == bytes(assembly):
            raise PermissionError(1, "Operation not permitted")
        Path(os.fsdecode(source)).rename(os.fsdecode(to))

    monkeypatch.setattr(posix, "rename", rename)
    with pytest.raises(ClientError, match="Operation not permitted"):
        output.write(
            FileArgument(bytes(assembly), piece(b"new S")), FileArgument(bytes(binary), piece(b"new bin"))
        )
    assert [path.name for path in tmp_path.iterdir()] == (["out.bin"] if existed else [])
    assert not existed or binary.read_bytes() == b"old bin"


def test_the_bin_is_in_place_before_the_s(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    renamed = []

    def rename(source: bytes, to: bytes) -> None:
        renamed.append(Path(os.fsdecode(to)).name)
        Path(os.fsdecode(source)).rename(os.fsdecode(to))

    monkeypatch.setattr(posix, "rename", rename)
    output.write(
        FileArgument(bytes(tmp_path / "out.S"), piece(b"S")),
        FileArgument(bytes(tmp_path / "out.bin"), piece(b"bin")),
    )
    assert renamed == ["out.bin", "out.S"]


def test_a_temporary_file_of_a_killed_process_is_in_nobodys_way(tmp_path: Path) -> None:
    stale = tmp_path / f".tmp_out.S.{os.getpid()}.0"
    stale.write_bytes(b"half")
    output.write(FileArgument(bytes(tmp_path / "out.S"), piece(b"whole")))
    assert (tmp_path / "out.S").read_bytes() == b"whole"
    assert stale.read_bytes() == b"half"


def test_a_name_of_the_greatest_length_can_be_written(tmp_path: Path) -> None:
    name = "o" * 253 + ".S"
    output.write(FileArgument(bytes(tmp_path / name), piece(b"S")))
    assert (tmp_path / name).read_bytes() == b"S"


def test_a_result_shorter_than_announced_is_an_error(tmp_path: Path) -> None:
    source = os.memfd_create("result")
    try:
        os.write(source, b"short")
        with pytest.raises(ClientError, match="shorter than announced"):
            output.write(FileArgument(bytes(tmp_path / "out.S"), Piece(source, 0, 6)))
        output.write(FileArgument(bytes(tmp_path / "out.S"), Piece(source, 1, 3)))
    finally:
        os.close(source)
    assert (tmp_path / "out.S").read_bytes() == b"hor"


def test_standard_output_has_no_part_in_a_failed_stage(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(ClientError):
        output.write(StandardOutput(piece(b"S")), FileArgument(bytes(tmp_path / "no/out.bin"), piece(b"bin")))
    assert capfd.readouterr().out == ""
