# SPDX-License-Identifier: GPL-2.0-only
"""What machine the tables are for."""

from pathlib import Path

import pytest

from kallsyms_client.failures import ClientError
from kallsyms_client.machine import elf_target, known_target
from tests.client.conftest import Kallsyms, elf


@pytest.mark.parametrize("bits", [32, 64])
@pytest.mark.parametrize("big_endian", [False, True])
def test_the_elf_header_names_the_target(tmp_path: Path, bits: int, *, big_endian: bool) -> None:
    vmlinux = tmp_path / "vmlinux"
    vmlinux.write_bytes(elf(bits, big_endian=big_endian))
    assert elf_target(bytes(vmlinux), set()) == (bits, big_endian)


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (None, "No such file or directory"),
        (b"", "not an ELF file"),
        (b"\x7fELF\2\1", "not an ELF file"),
        (b"\x7fELG" + elf()[4:], "not an ELF file"),
        (b"\x7fELF\0" + elf()[5:], "bad ELF class 0"),
        (b"\x7fELF\3" + elf()[5:], "bad ELF class 3"),
        (b"\x7fELF\2\0" + elf()[6:], "bad ELF data encoding 0"),
        (b"\x7fELF\2\3" + elf()[6:], "bad ELF data encoding 3"),
    ],
)
def test_a_vmlinux_that_is_none_is_named(kallsyms: Kallsyms, content: bytes | None, what: str) -> None:
    if content is not None:
        kallsyms.write("vmlinux.o", content)
    run = kallsyms("vmlinux.o", "in.map", "out.S", "out.bin")
    assert (run.status, run.out) == (1, b"")
    assert run.err.decode() == f"kallsyms: vmlinux.o: {what}\n"
    assert sorted(path.name for path in kallsyms.here.iterdir() if "out" in path.name) == []


def test_options_that_contradict_the_header_are_an_error(kallsyms: Kallsyms) -> None:
    kallsyms.write("vmlinux", elf(64, big_endian=True))
    files = ("vmlinux", "in.map", "out.S", "out.bin")
    assert kallsyms("--64bit", "--big-endian", *files).status == 0
    run = kallsyms("--64bit", *files)
    assert run.status == 1
    assert run.err == (b"kallsyms: vmlinux: is 64-bit big-endian, but the options say 64-bit little-endian\n")
    assert kallsyms("--big-endian", *files).status == 1


@pytest.mark.parametrize(
    ("flags", "target"),
    [({b"64bit"}, (64, False)), ({b"big-endian"}, (32, True)), ({b"64bit", b"big-endian"}, (64, True))],
)
def test_either_option_makes_the_target_known(flags: set[bytes], target: tuple[int, bool]) -> None:
    assert known_target(flags, b"in.map") == target


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("CONFIG_64BIT=y\n", (64, False)),
        ("CONFIG_X86=y\n", (32, False)),
        ("CONFIG_X=y\nCONFIG_CPU_BIG_ENDIAN=y\n", (32, True)),
        ("CONFIG_ARCH_64BIT=y\nCONFIG_64BIT=m\n", (32, False)),
        ("#\n" * 32755 + "CONFIG_CPU_BIG_ENDIAN=y\n" + "#\n" * 32755 + "CONFIG_64BIT=y\n", (64, True)),
    ],
)
def test_the_configuration_names_the_target(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, target: tuple[int, bool]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert known_target(set(), b"in.map") is None
    (tmp_path / "include/config").mkdir(parents=True)
    (tmp_path / "include/config/auto.conf").write_text(text)
    assert known_target(set(), b"in.map") == target
    assert known_target({b"big-endian"}, b"in.map") == (32, True)


def test_a_directory_is_no_vmlinux(tmp_path: Path) -> None:
    with pytest.raises(ClientError, match="Is a directory"):
        elf_target(bytes(tmp_path), set())
