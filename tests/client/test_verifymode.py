# SPDX-License-Identifier: GPL-2.0-only
"""KALLSYMSD=verify: nothing is written that a second opinion does not confirm."""

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from kallsymsd.core.dialects import OPTION_BITS
from kallsymsd.engine import cold
from kallsymsd.protocol import notes, wire
from tests.client.conftest import MAP, Kallsyms, elf
from tests.client.fakes import Peer, fake_daemon
from tests.oracles import Oracle
from tests.reference import tool

ARGUMENTS = ("--dialect=v6.11", "--all-symbols", "in.map")
FILES = ("--dialect=v6.11", "--all-symbols", "vmlinux", "in.map", "out.S", "out.bin")
PLAIN = tool.run("v6.11", ["all-symbols"], MAP).stdout


@pytest.fixture
def verifying(kallsyms: Kallsyms, socket_path: Path) -> Kallsyms:
    """The program, told of ``socket_path`` and to verify; its cache directory can be made."""
    kallsyms.environment |= {"KALLSYMSD": "verify", "KALLSYMSD_SOCKET": str(socket_path)}
    kallsyms.write("vmlinux", elf())
    return kallsyms


def honest(form: int = wire.ASM) -> tuple[bytes, bytes]:
    """Text and .bin of MAP."""
    request = wire.BuildRequest(
        version="",
        dialect="v6.11",
        options=OPTION_BITS["all-symbols"],
        form=form,
        bits=64 if form else 0,
        bin_name=b"out.bin" if form else b"",
    )
    made = cold.build(request, MAP)
    return made.text, made.binary


def original(program: Kallsyms, code: str, name: str = "scripts/kallsyms.orig") -> Path:
    """Something that stands where the kernel's own tool would."""
    path = program.write(name, f"#!{sys.executable}\nimport os, sys\n{code}\n".encode())
    path.chmod(0o755)
    return path


def replying(text: bytes, binary: bytes = b"", status: int = wire.OK) -> Callable[[Peer], None]:
    def behave(peer: Peer) -> None:
        peer.greet()
        peer.reply(text, binary, status=status, message=b"" if status == wire.OK else b"bad\n")

    return behave


def counted(program: Kallsyms) -> list[str]:
    """Reasons counted so far."""
    place = Path(program.environment["XDG_CACHE_HOME"]) / "kallsymsd"
    return [each.reason for each in notes.fallbacks(notes.read(bytes(place)))]


def test_a_right_answer_is_written(verifying: Kallsyms, socket_path: Path) -> None:
    with fake_daemon(socket_path, replying(PLAIN)):
        run = verifying("-v", *ARGUMENTS)
    assert (run.status, run.out) == (0, PLAIN)
    assert run.err == b"kallsyms: hit: 3 symbols, 0.0 ms\nkallsyms: equal to the result of the library\n"
    with fake_daemon(socket_path, replying(*honest(wire.INCBIN))):
        assert verifying(*FILES).status == 0
    assert (verifying.here / "out.bin").read_bytes() == honest(wire.INCBIN)[1]
    assert counted(verifying) == []


def test_a_wrong_line_is_named_and_nothing_is_written(verifying: Kallsyms, socket_path: Path) -> None:
    wrong = PLAIN.replace(b"\t.long\t0x20\t", b"\t.long\t0x21\t")
    with fake_daemon(socket_path, replying(wrong)):
        run = verifying(*ARGUMENTS)
    assert (run.status, run.out) == (1, b"")
    assert run.err == (
        b"kallsyms: KALLSYMSD=verify: differs from the library: kallsyms_offsets, entry 3 (arch_cpu_idle): "
        b"ours '.long\t0x21\t/* Warch_cpu_idle */', theirs '.long\t0x20\t/* Warch_cpu_idle */'\n"
    )
    assert counted(verifying) == ["wrong"]


@pytest.mark.parametrize(
    ("table", "offset", "symbol"),
    [
        ("names", 6, ""),
        ("seqs_of_names", 3, " ("),
        ("offsets", 9, " (do_one_initcall)"),
        ("token_index", 5, ""),
    ],
)
def test_a_wrong_byte_is_named_and_old_files_stay(
    verifying: Kallsyms, socket_path: Path, table: str, offset: int, symbol: str
) -> None:
    text, binary = honest(wire.INCBIN)
    line = text[text.index(b"kallsyms_%b:" % table.encode()) :].split(b"\n")[1]
    at = int(line.split(b", ")[1]) + offset
    wrong = bytearray(binary)
    wrong[at] ^= 1
    verifying.write("out.S", b"old text")
    verifying.write("out.bin", b"old binary")
    with fake_daemon(socket_path, replying(text, bytes(wrong))):
        run = verifying(*FILES)
    assert run.status == 1
    assert f"differs from the library: kallsyms_{table} + {offset}{symbol}" in run.err.decode()
    assert f"ours {wrong[at]:02x}".encode() in run.err
    assert f"theirs {binary[at]:02x}".encode() in run.err
    assert run.err.count(b"\n") == 1
    assert (verifying.here / "out.S").read_bytes() == b"old text"
    assert (verifying.here / "out.bin").read_bytes() == b"old binary"


def test_a_missing_end_is_a_difference(verifying: Kallsyms, socket_path: Path) -> None:
    with fake_daemon(socket_path, replying(PLAIN[:-1])):
        run = verifying(*ARGUMENTS)
    assert run.status == 1
    assert b"differs from the library: kallsyms_" in run.err


def test_tables_or_none_is_a_difference(verifying: Kallsyms, socket_path: Path) -> None:
    with fake_daemon(socket_path, replying(b"", status=wire.BAD_INPUT)):
        run = verifying(*ARGUMENTS)
    assert (run.status, run.out) == (1, b"")
    assert run.err.endswith(b"differs from the library: it makes tables of this map\n")
    verifying.write("in.map", b"garbage\n")
    with fake_daemon(socket_path, replying(PLAIN)):
        run = verifying(*ARGUMENTS)
    assert (run.status, run.out) == (1, b"")
    assert run.err.endswith(b"differs from the library: to it this map is bad input\n")
    with fake_daemon(socket_path, replying(b"", status=wire.BAD_INPUT)):
        run = verifying(*ARGUMENTS)
    assert (run.status, run.out, run.err) == (1, b"", b"bad\n")


def test_a_kept_tool_is_asked(verifying: Kallsyms) -> None:
    kept = original(verifying, f"sys.stdout.buffer.write({PLAIN!r}); print(sys.argv, file=open('args', 'w'))")
    run = verifying("-v", *ARGUMENTS)
    assert (run.status, run.out) == (0, PLAIN)
    assert run.err.endswith(b"kallsyms: equal to the result of scripts/kallsyms.orig\n")
    assert "'--all-symbols', '/proc/self/fd/" in (verifying.here / "args").read_text()
    assert verifying("-v", *FILES).err.endswith(b"equal to the result of scripts/kallsyms.orig\n")
    original(verifying, f"sys.stdout.buffer.write({PLAIN.replace(b'0x20', b'0x24')!r})")
    for arguments in (ARGUMENTS, FILES):
        (verifying.here / "out.S").unlink(missing_ok=True)
        run = verifying(*arguments)
        assert (run.status, run.out) == (1, b"")
        assert b"differs from scripts/kallsyms.orig: kallsyms_offsets, entry 3 (arch_cpu_idle): " in run.err
        assert not (verifying.here / "out.S").exists()
    kept.unlink()
    assert verifying(*ARGUMENTS).status == 0


def test_the_environment_names_the_tool(verifying: Kallsyms) -> None:
    verifying.environment["KALLSYMSD_ORIGINAL"] = str(original(verifying, "sys.exit(1)", "elsewhere"))
    run = verifying(*ARGUMENTS)
    assert (run.status, run.out) == (1, b"")
    assert run.err.endswith(b"/elsewhere: it fails with this map\n")
    verifying.write("in.map", b"garbage\n")
    assert verifying(*ARGUMENTS).err.startswith(b"line format error")
    verifying.environment["KALLSYMSD_ORIGINAL"] = "/nowhere"
    run = verifying(*ARGUMENTS)
    assert (run.status, run.err) == (1, b"kallsyms: KALLSYMSD_ORIGINAL: /nowhere is not a program\n")


def test_a_tool_that_makes_tables_of_bad_input_differs(verifying: Kallsyms) -> None:
    original(verifying, "print('tables')")
    verifying.write("in.map", b"garbage\n")
    run = verifying(*ARGUMENTS)
    assert (run.status, run.out) == (1, b"")
    assert run.err.endswith(b"differs from scripts/kallsyms.orig: it makes tables of this map\n")


def test_our_own_program_as_the_kept_tool_ends_the_recursion(verifying: Kallsyms) -> None:
    code = (
        "os.environ['KALLSYMSD_CALLS'] = os.environ.get('KALLSYMSD_CALLS', '') + 'x'\n"
        "assert len(os.environ['KALLSYMSD_CALLS']) < 5\n"
        "start = [sys.executable, '-m', 'kallsyms_client', '--dialect=v6.11']\n"
        "os.execv(start[0], start + sys.argv[1:])"
    )
    original(verifying, code)
    run = verifying("-v", *ARGUMENTS)
    assert (run.status, run.out) == (0, PLAIN)
    assert run.err.endswith(b"kallsyms: equal to the result of scripts/kallsyms.orig\n")


def test_names_that_assembly_cannot_hold_are_compared_with_the_library(verifying: Kallsyms) -> None:
    original(verifying, "print('anything')")
    verifying.write("in.map", MAP.replace(b"arch_cpu_idle", b'arch"idle'))
    run = verifying("-v", *FILES)
    assert run.status == 0
    assert run.err.endswith(b"equal to the result of the library\n")


def test_a_map_from_a_pipe_is_verified_too(verifying: Kallsyms) -> None:
    original(verifying, f"sys.stdout.buffer.write({PLAIN!r})")
    run = verifying("-v", "--dialect=v6.11", "--all-symbols", "/dev/stdin", stdin=MAP)
    assert (run.status, run.out) == (0, PLAIN)
    assert run.err.endswith(b"equal to the result of scripts/kallsyms.orig\n")


@pytest.mark.oracle
def test_the_kernels_own_tool_agrees(verifying: Kallsyms, oracle: Oracle) -> None:
    verifying.environment["KALLSYMSD_ORIGINAL"] = os.fspath(oracle.tool)
    for files in (("in.map",), ("vmlinux", "in.map", "out.S", "out.bin")):
        run = verifying("-v", f"--dialect={oracle.dialect}", "--all-symbols", *files)
        assert run.status == 0, run.err
        assert run.err.endswith(b"equal to the result of %b\n" % os.fsencode(oracle.tool))
