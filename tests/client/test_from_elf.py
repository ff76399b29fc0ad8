# SPDX-License-Identifier: GPL-2.0-only
"""Linked kernels as input: the form of v7.4's own tool, and --from-elf in every dialect."""

import hashlib
import os
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NoReturn

import pytest

from kallsymsd.core.dialects import BY_NAME
from kallsymsd.engine.engine import Engine
from tests import elfs, maps, objects
from tests.client.conftest import Kallsyms, elf
from tests.client.fakes import Peer, fake_daemon
from tests.elfs import Image, Section, Symbol
from tests.maps import RealMap
from tests.reference import elf as reference
from tests.reference import tool
from tests.service.peer import serving

USAGE = BY_NAME["v7.4"].usage.encode()
START = 0xFFFFFFFF81000000

IMAGE = Image(
    sections=[Section(b".text", flags=6), Section(b".data", flags=3)],
    symbols=[
        Symbol(b"_text", START, 1, elfs.GLOBAL),
        Symbol(b"_stext", START, 1, elfs.GLOBAL),
        *(Symbol(b"function_%d" % number, START + 16 * number, 1) for number in range(1, 300)),
        Symbol(b"$d", START + 32, 1),
        Symbol(b"weak", START + 48, 1, elfs.WEAK),
        Symbol(b"_etext", START + 0x2000, 1, elfs.GLOBAL),
        Symbol(b"data", START + 0x3000, 2),
    ],
)
VMLINUX = IMAGE.encode()
MAP = reference.system_map(VMLINUX)


@pytest.fixture(params=["alone", "daemon"])
def tree(request: pytest.FixtureRequest, kallsyms: Kallsyms, socket_path: Path) -> Iterator[Kallsyms]:
    """The program in an object tree with a linked kernel, without a daemon and with one that must answer."""
    kallsyms.write("vmlinux", VMLINUX)
    if request.param == "alone":
        yield kallsyms
        return
    kallsyms.environment |= {"KALLSYMSD_SOCKET": str(socket_path), "KALLSYMSD": "require"}
    with serving(socket_path, lambda: Engine(None)):
        yield kallsyms


def to_file(kallsyms: Kallsyms, name: str, *arguments: str) -> tuple[int, bytes]:
    """Run with standard output to a file; exit status and standard error."""
    with (kallsyms.here / name).open("wb") as out:
        run = kallsyms(*arguments, stdout=out)
    return run.status, run.err


@pytest.mark.parametrize("dialect", ["v7.4", "v7.4-markers16"])
@pytest.mark.parametrize("options", [("all-symbols",), ("pc-relative",), ("all-symbols", "pc-relative")])
def test_text_bin_and_map_are_those_of_the_tool(
    tree: Kallsyms, dialect: str, options: tuple[str, ...]
) -> None:
    flags = [f"--{option}" for option in options]
    status = to_file(tree, "o.S", f"--dialect={dialect}", *flags, "--sysmap=o.map", "vmlinux", "./o.bin")
    assert status == (0, b"")
    expected = tool.run(dialect, options, MAP, b"./o.bin")
    assert (tree.here / "o.S").read_bytes() == expected.stdout
    assert (tree.here / "o.bin").read_bytes() == expected.binary
    assert (tree.here / "o.map").read_bytes() == MAP
    assert tree.left_over() == []


def test_options_are_read_as_getopt_reads_them(tree: Kallsyms) -> None:
    expected = tool.run("v7.4", ("all-symbols",), MAP, b"o.bin").stdout
    tree.environment["KALLSYMSD_DIALECT"] = "v7.4"
    for sysmap in (["--sys", "o.map"], ["--s=o.map"], ["--sysmap", "o.map"]):
        run = tree("vmlinux", "--all", *sysmap, "o.bin")
        assert (run.status, run.out, run.err) == (0, expected, b"")
        assert (tree.here / "o.map").read_bytes() == MAP
        (tree.here / "o.map").unlink()


def test_an_empty_file_gives_empty_tables_and_an_empty_map(tree: Kallsyms) -> None:
    tree.write(".tmp_vmlinux0.syms", b"")
    run = tree("--dialect=v7.4", "--sysmap=o.map", ".tmp_vmlinux0.syms", "o.bin")
    expected = tool.run("v7.4", (), b"", b"o.bin")
    assert (run.status, run.out, run.err) == (0, expected.stdout, b"")
    assert (tree.here / "o.bin").read_bytes() == expected.binary
    assert (tree.here / "o.map").read_bytes() == b""


def test_nothing_but_the_map(tree: Kallsyms) -> None:
    run = tree("--dialect=v7.4", "--sysmap=System.map", "vmlinux")
    assert (run.status, run.out, run.err) == (0, b"", b"")
    assert (tree.here / "System.map").read_bytes() == MAP
    assert tree("--sys=again.map", "vmlinux").status == 0  # the newest that takes this
    assert (tree.here / "again.map").read_bytes() == MAP


@pytest.mark.parametrize(
    "arguments", [(), ("vmlinux",), ("vmlinux", "a", "b"), ("--sysmap=m", "vmlinux", "a", "b", "c")]
)
def test_another_number_of_files_is_answered_with_the_usage(
    kallsyms: Kallsyms, arguments: tuple[str, ...]
) -> None:
    run = kallsyms("--dialect=v7.4", *arguments)
    assert (run.status, run.out, run.err) == (1, b"", USAGE)


def test_sysmap_wants_a_value_and_is_unknown_before_v7_4(kallsyms: Kallsyms) -> None:
    run = kallsyms("--dialect=v7.4", "vmlinux", "--sysmap")
    assert (run.status, run.err) == (1, b"kallsyms: option '--sysmap' requires an argument\n" + USAGE)
    run = kallsyms("--dialect=v7.3", "--sysmap=m", "in.map")
    assert run.err.startswith(b"kallsyms: unrecognized option '--sysmap=m'\n")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("none", "o.bin"), b"none: No such file or directory\n"),
        (("in.map", "o.bin"), b"not an ELF file ("),
        (("object.o", "o.bin"), b"Invalid ELF type file ("),
        (("--sysmap=o.map", "in.map"), b"not an ELF file ("),
        (("/dev/null", "o.bin"), b"not a regular file: /dev/null\n"),
        (("vmlinux", "no/o.bin"), b"kallsyms: no/o.bin: No such file or directory\n"),
        (("vmlinux", "/dev/full"), b"kallsyms: /dev/full: No space left on device\n"),
        (("--sysmap=no/m", "vmlinux", "o.bin"), b"kallsyms: no/m: No such file or directory\n"),
        (("--sysmap=no/m", "vmlinux"), b"kallsyms: no/m: No such file or directory\n"),
        (("--sysmap=o.bin", "vmlinux", "o.bin"), b"kallsyms: o.bin: given both as OUT.bin and as OUT.map\n"),
    ],
)
def test_an_error_is_one_line_and_leaves_nothing(
    kallsyms: Kallsyms, arguments: tuple[str, ...], message: bytes
) -> None:
    kallsyms.write("vmlinux", VMLINUX)
    kallsyms.write("object.o", Image(type=1, symbols=[Symbol(b"a")]).encode())
    before = sorted(kallsyms.here.iterdir())
    run = kallsyms("--dialect=v7.4", *arguments)
    assert (run.status, run.out) == (1, b"")
    assert run.err.startswith(message)
    assert run.err.count(b"\n") == 1
    assert sorted(kallsyms.here.iterdir()) == before


@pytest.mark.parametrize("dialect", ["v6.1.y", "v6.6", "v6.11", "v7.3", "v7.4", "mail-2024"])
def test_from_elf_makes_what_a_map_makes(tree: Kallsyms, dialect: str) -> None:
    chosen = [f"--dialect={dialect}", "--all-symbols"]
    if "base-relative" in BY_NAME[dialect].options:
        chosen.append("--base-relative")
    run = tree(*chosen, "--from-elf", "vmlinux", "o.S", "o.bin", "--sysmap=o.map")
    assert (run.status, run.out, run.err) == (0, b"", b"")
    made = [(tree.here / name).read_bytes() for name in ("o.S", "o.bin")]
    assert tree(*chosen, "vmlinux", "o.map", "o.S", "o.bin").status == 0
    assert made == [(tree.here / name).read_bytes() for name in ("o.S", "o.bin")]
    assert (tree.here / "o.map").read_bytes() == MAP  # all dialects list and drop these symbols alike
    run = tree(*chosen, "--format=asm", "--from-elf", "vmlinux", "p.S", "p.bin")
    assert (run.status, run.err) == (0, b"")
    expected = tool.run(dialect, [flag[2:] for flag in chosen[1:]], MAP, b"p.bin")
    assert (tree.here / "p.S").read_bytes() == expected.stdout
    assert (tree.here / "p.bin").read_bytes() == expected.binary


def test_from_elf_takes_the_dialect_of_the_tree(kallsyms: Kallsyms, source: Callable[[str], bytes]) -> None:
    kallsyms.write("vmlinux", VMLINUX)
    kallsyms.write("source/scripts/kallsyms.c", source("v6.11"))
    files = ("--format=asm", "--from-elf", "vmlinux", "o.S", "o.bin")
    run = kallsyms("--all-symbols", *files)
    assert (run.status, run.err) == (0, b"")
    assert (kallsyms.here / "o.S").read_bytes() == tool.run("v6.11", ("all-symbols",), MAP).stdout
    run = kallsyms("--from-elf", "vmlinux", "o.S")
    usage = b"Usage: kallsyms --from-elf [OPTION]... VMLINUX OUT.S OUT.bin\n"
    assert (run.status, run.out, run.err) == (1, b"", usage)


def test_nm_lists_the_same_symbols_at_the_same_places(
    kallsyms: Kallsyms, unavailable: Callable[[str], NoReturn]
) -> None:
    # Linked by a linker, listed by nm, assembled and read back: nothing of ours says what is right.
    reason = objects.why_not("x86_64")
    if reason:
        unavailable(reason)
    source = b"".join(b".globl f%d\nf%d: .fill %d\n" % (n, n, n % 7) for n in range(300))
    kallsyms.write("a.s", b".globl _text\n_text:\n" + source)
    prefix = "x86_64-linux-gnu-"
    for command in (
        [f"{prefix}as", "-o", "a.o", "a.s"],
        [f"{prefix}ld", "-Ttext=0xffffffff81000000", "-e", "_text", "-o", "linked", "a.o"],
    ):
        subprocess.run(command, cwd=kallsyms.here, check=True)
    listed = subprocess.run(
        [f"{prefix}nm", "-n", "linked"],
        cwd=kallsyms.here,
        env={**os.environ, "LC_ALL": "C"},
        stdout=subprocess.PIPE,
        check=True,
    ).stdout
    chosen = ("--dialect=v7.4", "--all-symbols", "--pc-relative")
    assert to_file(kallsyms, "o.S", *chosen, "linked", "o.bin", "--sysmap=o.map") == (0, b"")
    assert (kallsyms.here / "o.map").read_bytes() == listed
    text = (kallsyms.here / "o.S").read_bytes()
    plain = tool.run("v7.3", ("all-symbols", "pc-relative"), listed).stdout
    expected = objects.assemble(plain, "x86_64", kallsyms.here)
    assert objects.assemble(text, "x86_64", kallsyms.here) == expected


@pytest.mark.parametrize("dialect", ["v6.11", "v7.4"])
def test_verify_finds_the_same(tree: Kallsyms, dialect: str) -> None:
    tree.environment["KALLSYMSD"] = "verify"
    tree.environment["KALLSYMSD_ORIGINAL"] = "/bin/false"  # cannot be asked about a linked kernel
    run = tree("-v", f"--dialect={dialect}", "--from-elf", "vmlinux", "o.S", "o.bin", "--sysmap=o.map")
    assert run.status == 0
    assert run.err.endswith(b"kallsyms: equal to the result of the library\n")


@pytest.mark.parametrize("wrong", ["", "the .bin", "the map"])
def test_verify_compares_the_bin_and_the_map(kallsyms: Kallsyms, socket_path: Path, wrong: str) -> None:
    kallsyms.write("vmlinux", VMLINUX)
    right = tool.run("v7.4", ("all-symbols",), MAP, b"o.bin")

    def behave(peer: Peer) -> None:
        peer.greet()
        binary = right.binary[:-1] + b"?" if wrong == "the .bin" else right.binary
        peer.reply(right.stdout, binary, sysmap=MAP.upper() if wrong == "the map" else MAP)

    kallsyms.environment |= {"KALLSYMSD_SOCKET": str(socket_path), "KALLSYMSD": "verify"}
    with fake_daemon(socket_path, behave):
        run = kallsyms("--dialect=v7.4", "--all-symbols", "--sysmap=o.map", "vmlinux", "o.bin")
    if wrong:
        message = b"kallsyms: KALLSYMSD=verify: differs from the library: %b\n" % wrong.encode()
        assert (run.status, run.out, run.err) == (1, b"", message)
        assert not (kallsyms.here / "o.map").exists()
    else:
        assert (run.status, run.out, run.err) == (0, right.stdout, b"")


@pytest.mark.parametrize("unasked", ["bin", "map"])
def test_what_was_not_asked_for_is_no_answer(kallsyms: Kallsyms, socket_path: Path, unasked: str) -> None:
    def behave(peer: Peer) -> None:
        peer.greet()
        peer.reply(b"text", binary=b"b" * (unasked == "bin"), sysmap=b"m" * (unasked == "map"))

    kallsyms.environment |= {"KALLSYMSD_SOCKET": str(socket_path), "KALLSYMSD": "require"}
    with fake_daemon(socket_path, behave):
        run = kallsyms("--dialect=v6.11", "--format=asm", "in.map")
    assert (run.status, run.out) == (1, b"")
    assert b"replied with a %b that was not asked for" % {"bin": b".bin", "map": b"map"}[unasked] in run.err


def test_a_map_out_of_proportion_is_no_answer(kallsyms: Kallsyms, socket_path: Path) -> None:
    def behave(peer: Peer) -> None:
        peer.greet()
        peer.reply(b"text", sysmap=bytes(16 * len(VMLINUX) + (3 << 20)))

    kallsyms.write("vmlinux", VMLINUX)
    kallsyms.environment |= {"KALLSYMSD_SOCKET": str(socket_path), "KALLSYMSD": "require"}
    with fake_daemon(socket_path, behave):
        run = kallsyms("--dialect=v7.4", "--sysmap=o.map", "vmlinux", "o.bin")
    assert (run.status, run.out) == (1, b"")
    assert b"replied with a map of " in run.err
    assert not (kallsyms.here / "o.map").exists()


@pytest.mark.parametrize("name", ["i386-6.1.176-686", "s390x-6.12.95-s390x"])
def test_the_kernel_beside_the_map_names_the_target(kallsyms: Kallsyms, name: str, tmp_path: Path) -> None:
    real: RealMap = maps.unpack(name, tmp_path / "unpacked.map")
    kallsyms.write(".tmp_vmlinux1", bytes.fromhex(real.expected["elf_header"]))
    real.path.replace(kallsyms.here / ".tmp_vmlinux1.syms")
    flags = [f"--{option}" for option in real.options]
    status = to_file(kallsyms, "o.S", f"--dialect={real.dialect}", *flags, ".tmp_vmlinux1.syms")
    assert status == (0, b"")
    text, binary = (kallsyms.here / "o.S").read_bytes(), (kallsyms.here / "o.bin").read_bytes()
    _check_tables(real, text, binary)


def _check_tables(real: RealMap, text: bytes, binary: bytes) -> None:
    """The .bin has the tables of the kernel's own .rodata, where the .S says so."""
    found = re.findall(rb'^kallsyms_(\w+):\n\t\.incbin "o\.bin", (\d+), (\d+)$', text, re.MULTILINE)
    assert len(found) == 6
    for table, start, length in found:
        content = binary[int(start) : int(start) + int(length)]
        assert hashlib.sha256(content).hexdigest() == real.expected["tables"][table.decode()]["sha256"]


def test_a_kernel_beside_the_map_that_is_none_says_nothing(kallsyms: Kallsyms) -> None:
    kallsyms.write("a.syms", MAP)
    for content, target in ((b"none", b"PTR"), (elf(32), b".long"), (elf(64), b".quad")):
        kallsyms.write("a", content)
        assert to_file(kallsyms, "o.S", "--dialect=v6.11", "--all-symbols", "a.syms") == (0, b"")
        assert b"\t%b\t_text + " % target in (kallsyms.here / "o.S").read_bytes()
    kallsyms.write("include/config/auto.conf", b"CONFIG_X86=y\n")
    assert to_file(kallsyms, "o.S", "--dialect=v6.11", "--all-symbols", "--64bit", "a.syms") == (0, b"")
