# SPDX-License-Identifier: GPL-2.0-only
"""Any bytes are an ELF file or bad input, in memory that is a small multiple of their size."""

import contextlib
import mmap
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile
from elftools.elf.enums import ENUM_E_MACHINE
from elftools.elf.sections import SymbolTableSection
from hypothesis import given
from hypothesis import strategies as st

from kallsymsd.core.dialects import BY_NAME
from kallsymsd.core.errors import InputError
from kallsymsd.elf import nm
from kallsymsd.elf.elffile import ElfFile
from tests import elfs
from tests.elfs import Image, Section, Symbol

DIALECT = BY_NAME["v6.11"]
SMALL = Image(
    symbols=[
        Symbol(b"_text", 0x1000, 1, elfs.GLOBAL, elfs.FUNC, 4),
        Symbol(b"twice", 1, 1, elfs.LOCAL, elfs.OBJECT, 5),
        Symbol(b"twice", 2, 1, elfs.GLOBAL, elfs.OBJECT, 6),
        Symbol(b"nowhere", 0, elfs.UNDEF, elfs.GLOBAL),
        Symbol(b"local", 3, 1),
        Symbol(b"local", 4, 1),
    ]
)


def reads_or_refuses(data: bytes) -> bytes:
    """The map, or nothing for a file that is refused as it should be."""
    try:
        elf = ElfFile.read(data)
        elf.find([b"_text"])
        for section in elf.sections:
            with contextlib.suppress(InputError):
                assert len(elf.contents(section)) in {0, section.size}
        return nm.system_map(elf, DIALECT)
    except InputError as error:
        line = error.render(b"vmlinux")
        assert line.endswith(b"\n")
        assert line.count(b"\n") == 1
        return b""


@given(st.binary(max_size=300) | st.binary(max_size=300).map(lambda tail: SMALL.encode()[:20] + tail))
def test_any_bytes_are_an_elf_file_or_bad_input(data: bytes) -> None:
    reads_or_refuses(data)


@given(
    st.sampled_from([(64, False), (32, False), (64, True), (32, True)]),
    st.lists(st.tuples(st.integers(0), st.sampled_from([0, 1, 2, 0x7F, 0x80, 0xFF])), max_size=6),
    st.integers(0, 4000),
)
def test_a_damaged_file_is_read_or_refused(
    target: tuple[int, bool], changes: list[tuple[int, int]], length: int
) -> None:
    bits, big_endian = target
    data = bytearray(Image(bits, big_endian, symbols=SMALL.symbols).encode())
    for place, value in changes:
        # Half of them in the headers at both ends, where every byte has a meaning.
        data[place % len(data) if place % 2 else -1 - place % 400] = value
    reads_or_refuses(bytes(data[: max(length, 40)]))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda data: b"MZ" + data, b"not an ELF file"),
        (lambda data: data[:0], b"not an ELF file"),
        (lambda data: data[:4], b"damaged ELF file"),
        (lambda data: data[:60], b"damaged ELF file"),
        (lambda data: data[:-1], b"section headers reach beyond its end"),
        (lambda data: data[:40] + b"\xff" * 8 + data[48:], b"section headers are beyond its end"),
        (lambda data: data[:52] + b"\x35" + data[53:], b"a header of 53 bytes"),
        (lambda data: data[:58] + b"\x39" + data[59:], b"section headers of 57 bytes"),
        (lambda data: data[:40] + bytes(8) + data[48:], b"no section of type SHT_SYMTAB"),
        (lambda data: data.replace(b"\0local\0", b"\0local!"), b"does not end in a zero"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(change: Callable[[bytes], bytes], said: bytes) -> None:
    with pytest.raises(InputError) as refused:
        nm.system_map(ElfFile.read(change(SMALL.encode())), DIALECT)
    line = refused.value.render(b"vmlinux")
    assert said in line
    assert line.count(b"\n") == 1


def test_headers_are_those_that_pyelftools_reads(tmp_path: Path) -> None:
    for bits, big_endian in ((64, False), (32, False), (64, True), (32, True)):
        data = Image(
            bits,
            big_endian,
            sections=[Section(b".text", flags=6, content=b"\x90" * 12), Section(b".bss", elfs.NOBITS, 3)],
            symbols=SMALL.symbols,
        ).encode()
        (tmp_path / "image").write_bytes(data)
        ours = ElfFile.read(data)
        with (tmp_path / "image").open("rb") as file:
            theirs = ELFFile(file)
            assert (ours.bits, ours.big_endian) == (theirs.elfclass, not theirs.little_endian)
            assert (ours.type, ours.machine) == (theirs["e_type"], ENUM_E_MACHINE[theirs["e_machine"]])
            assert [(section.name.decode(), section.type) for section in ours.sections] == [
                (section.name, section["sh_type"]) for section in theirs.iter_sections()
            ]
            table = theirs.get_section_by_name(".symtab")
            assert isinstance(table, SymbolTableSection)
            found = ours.find([symbol.name.encode() for symbol in table.iter_symbols()])
            for name in ("_text", "local"):
                symbol = (table.get_symbol_by_name(name) or [])[0]
                assert found[name.encode()].value == symbol["st_value"]
        text = ours.section(b".text")
        assert text is not None
        assert ours.contents(text) == b"\x90" * 12
        bss = ours.section(b".bss")
        assert bss is not None
        assert len(ours.contents(bss)) == 0
        assert ours.section(b".none") is None


def test_symbols_are_found_by_name() -> None:
    elf = ElfFile.read(SMALL.encode())
    assert elf.find([]) == {}
    found = elf.find([b"twice", b"nowhere", b"local", b"loca", b"locally", b"", b"_text"])
    assert {name: (symbol.value, symbol.size) for name, symbol in found.items()} == {
        b"twice": (2, 6),
        b"local": (3, 0),
        b"_text": (0x1000, 4),
    }
    assert (found[b"_text"].section, found[b"_text"].info) == (1, elfs.GLOBAL << 4 | elfs.FUNC)


def test_a_mapped_file_is_read_in_place(tmp_path: Path) -> None:
    path = tmp_path / "vmlinux"
    path.write_bytes(SMALL.encode())
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        assert nm.system_map(ElfFile.read(mapped), DIALECT) == reads_or_refuses(SMALL.encode())


#: Bytes of memory for each byte of a file, at most. Most go into the headers of a file of nothing else.
MEMORY = 40


@pytest.mark.parametrize("make", ["headers", "one name", "many sections claimed"])
def test_no_file_takes_much_more_memory_than_its_size(make: str) -> None:
    match make:
        case "headers":
            data = Image(sections=[Section(b"", content=b"")] * 5000).encode()
        case "one name":
            # Every symbol has the same long name, which stands there once.
            data = Image(symbols=[Symbol(b"n" * 60_000, number) for number in range(5000)]).encode()
        case _:
            data = SMALL.encode()
            data = data[:60] + bytes(2) + data[62 : -64 * 5] + b"\xff" * 64 * 5
    tracemalloc.start()
    try:
        reads_or_refuses(data)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < MEMORY * len(data) + 100_000
