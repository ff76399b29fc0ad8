# SPDX-License-Identifier: GPL-2.0-only
"""A .S and the .bin that it includes: whatever happens between them, none is taken for the other's."""

import os
import posix
import re
import signal
from dataclasses import dataclass
from pathlib import Path

import pytest

from kallsyms_client import output
from kallsyms_client.failures import ClientError
from kallsyms_client.output import FileArgument, StandardOutput
from kallsymsd.protocol.received import Piece
from tests import elfs
from tests.client.conftest import elf
from tests.elfs import Image, Section, Symbol
from tests.faults.conftest import Build
from tests.faults.test_output import run_failing

#: All that changes anything, and what comes between.
CALLS = "open,write,sendfile,close,dup,rename,link,unlink,lstat,fstat,ftruncate"
_INCLUDED = re.compile(rb'\.incbin "([^"]*)", (\d+), (\d+)\n')
_FLAGS = {
    ">": os.O_WRONLY | os.O_CREAT | os.O_TRUNC,
    "1<>": os.O_RDWR | os.O_CREAT,
}


@dataclass
class Form:
    """A command line; where its .S goes to, and how the shell opens that, "" for no standard output."""

    arguments: tuple[str, ...]
    shell: str = ""


FORMS = {
    "files": Form(("vmlinux", "in.map", "out.S", "out.bin")),
    "ELF file": Form(("--from-elf", "linked", "out.S", "out.bin", "--sysmap=out.map")),
    "standard output": Form(("--64bit", "in.map"), ">"),
    "standard output, not emptied": Form(("--64bit", "in.map"), "1<>"),
    "tool of 7.4": Form(("--dialect=v7.4", "linked", "out.bin"), ">"),
    "tool of 7.4, not emptied": Form(("--dialect=v7.4", "linked", "out.bin"), "1<>"),
}
Pair = tuple[bytes | None, bytes | None]


def symbols(step: int) -> list[tuple[bytes, int]]:
    """Names and addresses. Other steps have other tables of the same sizes."""
    names = [b"function_%d" % number for number in range(100, 300)]
    places = range(step, step * (len(names) + 1), step)
    start = 0xFFFFFFFF81000000
    return [
        (b"_text", start),
        *((name, start + at) for name, at in zip(names[step:] + names[:step], places, strict=True)),
    ]


def linked(step: int) -> bytes:
    """A linked kernel."""
    return Image(
        sections=[Section(b".text", flags=6)],
        symbols=[Symbol(name, at, 1, elfs.GLOBAL) for name, at in symbols(step)],
    ).encode()


class Tree:
    """An object tree with a pair of an older link in it."""

    def __init__(self, build: Build, form: Form) -> None:
        self._build = build
        self._form = form
        self.here = build.kallsyms.here
        build.kallsyms.environment["KALLSYMSD"] = "off"
        self._make(16)
        self.old = self._found()
        self._make(32)
        self.new = self._found()
        # No length tells them apart.
        assert len(self.old[1] or b"") == len(self.new[1] or b"")
        assert self.old[1] != self.new[1]

    def _put_inputs(self, step: int) -> None:
        lines = [b"%016x T %b\n" % (at, name) for name, at in symbols(step)]
        self._build.kallsyms.write("in.map", b"".join(lines))
        self._build.kallsyms.write("linked", linked(step))
        self._build.kallsyms.write("vmlinux", elf())

    def _make(self, step: int) -> None:
        self._put_inputs(step)
        for name in ("out.S", "out.bin"):
            (self.here / name).unlink(missing_ok=True)
        assert self.run("open", 10_000, "EIO") == (0, b"unhit\n")

    def put_old(self) -> None:
        """Put the older pair there, and the inputs of the newer one."""
        for path in self.here.iterdir():
            path.unlink()
        self._put_inputs(32)
        for name, content in zip(("out.S", "out.bin"), self.old, strict=True):
            (self.here / name).write_bytes(content or b"")

    def run(self, call: str, number: int, fault: str) -> tuple[int, bytes]:
        """Make the newer one; exit status, and what is said."""
        arguments = ("--all-symbols", *self._form.arguments)
        if not any(each.startswith("--dialect") for each in arguments):
            arguments = ("--dialect=v6.11", *arguments)
        if not self._form.shell:
            run = run_failing(self._build, call, number, fault, arguments)
        else:
            descriptor = os.open(self.here / "out.S", _FLAGS[self._form.shell], 0o666)
            try:
                run = run_failing(self._build, call, number, fault, arguments, descriptor)
            finally:
                os.close(descriptor)
        return run.status, run.err

    def _found(self) -> Pair:
        text, binary = ((self.here / name) for name in ("out.S", "out.bin"))
        return (
            text.read_bytes() if text.exists() else None,
            binary.read_bytes() if binary.exists() else None,
        )

    def assembled(self) -> tuple[bytes, bytes] | None:
        """What an assembler would take: the .S and what it includes; None where there is nothing for it."""
        text, binary = self._found()
        if not text:
            return None  # no file, or the shell has emptied it, as it does for the kernel's own tool
        taken = b""
        for _, start, length in _INCLUDED.findall(text):
            part = (binary or b"")[int(start) : int(start) + int(length)]
            if len(part) != int(length):
                return None  # "file not found", "skip or count out of range"
            taken += part
        return text, taken

    def left_over(self) -> list[str]:
        """Temporary files."""
        return self._build.kallsyms.left_over()


@pytest.fixture(params=FORMS)
def tree(request: pytest.FixtureRequest, build: Build) -> Tree:
    return Tree(build, FORMS[request.param])


def taken_together(pair: Pair) -> tuple[bytes, bytes]:
    text, binary = pair
    assert text
    return text, b"".join(
        (binary or b"")[int(start) : int(start) + int(length)] for _, start, length in _INCLUDED.findall(text)
    )


def is_whole(tree: Tree) -> bool:
    """Whether an assembler is given nothing, or plain assembly, or what was made together."""
    found = tree.assembled()
    return found is None or not found[1] or found in (taken_together(tree.old), taken_together(tree.new))


def test_killed_at_each_call(tree: Tree) -> None:
    for number in range(1, 200):
        tree.put_old()
        status, said = tree.run(CALLS, number, "SIGKILL")
        assert is_whole(tree), number
        if said == b"unhit\n":
            assert status == 0
            break
        assert (status, said) == (-signal.SIGKILL, b"")
    else:
        pytest.fail("it never ends")


@pytest.mark.parametrize("fault", ["SIGTERM", "SIGTERM+", "EIO"])
def test_ended_or_failing_at_each_call(tree: Tree, fault: str) -> None:
    # A new file has no name for us until open() has returned.
    calls = CALLS.replace("open,", "") if fault == "SIGTERM+" else CALLS
    for number in range(1, 200):
        tree.put_old()
        status, said = tree.run(calls, number, fault)
        assert is_whole(tree), number
        if said.endswith(b"unhit\n"):
            break
        if fault == "EIO":
            continue
        assert (status, said) == (-signal.SIGTERM, b""), number
        assert tree.left_over() == [], number
    else:
        pytest.fail("it never ends")


def piece(content: bytes) -> Piece:
    return Piece(content, 0, len(content))


def test_an_old_text_is_not_put_back_beside_a_bin_that_stays_new(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text, binary = tmp_path / "out.S", tmp_path / "out.bin"
    text.write_bytes(b"old S")
    binary.write_bytes(b"old bin")

    def rename(source: bytes, to: bytes) -> None:
        is_undone = to == bytes(binary) and source.endswith(b".old")
        if is_undone or (to == bytes(text) and not source.endswith(b".old")):
            raise OSError(5, "Input/output error")
        Path(os.fsdecode(source)).rename(os.fsdecode(to))

    monkeypatch.setattr(posix, "rename", rename)
    with pytest.raises(ClientError, match=r"out\.S: Input/output error"):
        output.write(
            FileArgument(bytes(text), piece(b"new S")), FileArgument(bytes(binary), piece(b"new bin"))
        )
    assert not text.exists()
    assert binary.read_bytes() == b"new bin"


@pytest.mark.parametrize("existed", [True, False])
def test_without_hard_links_all_is_taken_back_as_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, existed: bool
) -> None:
    text, binary = tmp_path / "out.S", tmp_path / "out.bin"
    if existed:
        text.write_bytes(b"old S")
        binary.write_bytes(b"old bin")

    def link(_: bytes, __: bytes) -> None:
        raise PermissionError(1, "Operation not permitted")

    def rename(source: bytes, to: bytes) -> None:
        if to == bytes(text) and not source.endswith(b".old"):
            raise OSError(5, "Input/output error")
        Path(os.fsdecode(source)).rename(os.fsdecode(to))

    monkeypatch.setattr(posix, "link", link)
    monkeypatch.setattr(posix, "rename", rename)
    with pytest.raises(ClientError, match=r"out\.S: Input/output error"):
        output.write(
            FileArgument(bytes(text), piece(b"new S")), FileArgument(bytes(binary), piece(b"new bin"))
        )
    found = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert found == ({"out.S": b"old S", "out.bin": b"old bin"} if existed else {})


def test_what_a_file_server_says_at_the_end_undoes_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    # capfd makes descriptor 1 a file.
    binary = tmp_path / "out.bin"
    binary.write_bytes(b"old bin")
    again = -1

    def close(descriptor: int) -> None:
        os.close(descriptor)
        if descriptor == again:
            raise OSError(28, "No space left on device")

    def dup(descriptor: int) -> int:
        nonlocal again
        again = os.dup(descriptor)
        return again

    monkeypatch.setattr(posix, "dup", dup)
    monkeypatch.setattr(posix, "close", close)
    with pytest.raises(ClientError, match="standard output: No space left on device"):
        output.write(StandardOutput(piece(b"new S")), FileArgument(bytes(binary), piece(b"new bin")))
    monkeypatch.undo()
    assert capfd.readouterr().out == ""
    assert [path.name for path in tmp_path.iterdir()] == ["out.bin"]
    assert binary.read_bytes() == b"old bin"
