# SPDX-License-Identifier: GPL-2.0-only
"""Linked kernels: what v7.4's tool makes of them, and how little of the file is read for that."""

from collections.abc import Callable
from contextlib import suppress

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from kallsymsd.core.dialects import BY_NAME
from kallsymsd.core.errors import InputError
from kallsymsd.elf import nm, vmlinux
from kallsymsd.elf.elffile import ElfFile
from tests import elfs
from tests.elf.test_nm import images
from tests.elfs import Image, Section, Symbol
from tests.reference import elf as reference

V7_4 = BY_NAME["v7.4"]
V6_12 = BY_NAME["v6.11"]

#: Names that the filters look at: a part that is dropped, before, after or within another.
parts = st.sampled_from(
    b"a _ 1 $ .L L0 __crc_ __kstrtab_ __kstrtabns_ __efistub_ __pi_ __kvm_nvhe_ __kcfi_typeid_ __ Thunk_ "
    b"__mod_device_table__ __UNIQUE_ID_modinfo_ _from_arm _from_thumb _veneer .long_branch. .plt_branch. "
    b"_SDA_BASE_ _SDA2_BASE_".split()
)
names = st.lists(parts, max_size=3).map(b"".join)


def reader(data: bytes, read: Callable[[int], None] = lambda _: None) -> vmlinux.Read:
    """Reads out of ``data``; ``read`` is told how much."""

    def into(buffer: memoryview, offset: int) -> int:
        part = data[offset : offset + len(buffer)]
        buffer[: len(part)] = part
        read(len(part))
        return len(part)

    return into


def map_text(data: bytes) -> bytes:
    return vmlinux.map_text(reader(data), len(data), V7_4)


@given(images() | images(names=names))
@example(("x86_64", Image(symbols=[Symbol(b"same", 1, 1, elfs.GLOBAL), Symbol(b"same", 1)])))
def test_v7_4_makes_the_map_that_the_reference_makes(case: tuple[str, Image]) -> None:
    _, image = case
    assume(not any(symbol.large for symbol in image.symbols))  # of sections that need no such index
    data = image.encode()
    assert map_text(data) == reference.system_map(data)


@given(images())
def test_of_a_part_the_same_map_is_made(case: tuple[str, Image]) -> None:
    data = case[1].encode()
    whole = nm.system_map(ElfFile.read(data), V6_12)
    assert vmlinux.map_text(reader(data), len(data), V6_12) == whole


def test_more_sections_than_fit_their_fields() -> None:
    sections = [Section(b".text", flags=6, content=b"")] * 65_300
    data = Image(sections=sections, symbols=[Symbol(b"last", 1, 65_300, large=True)]).encode()
    whole = nm.system_map(ElfFile.read(data), V6_12)
    assert whole == b"0000000000000001 t last\n"
    assert vmlinux.map_text(reader(data), len(data), V6_12) == whole
    assert map_text(data) == reference.system_map(data) == b"0000000000000001 ? last\n"


def test_what_is_no_symbol_is_not_read() -> None:
    counted: list[int] = []
    sections = [Section(b".text", flags=6), Section(b".debug_info", flags=0, content=bytes(10 << 20))]
    data = Image(sections=sections, symbols=[Symbol(b"_text", 16)]).encode()
    assert vmlinux.map_text(reader(data, counted.append), len(data), V6_12) == b"%016x t _text\n" % 16
    assert sum(counted) < 2000


@given(images(), st.data())
def test_damage_is_refused_and_never_more(case: tuple[str, Image], data: st.DataObject) -> None:
    content = bytearray(case[1].encode())
    for _ in range(data.draw(st.integers(0, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    del content[data.draw(st.integers(0, len(content))) :]
    with suppress(InputError):
        map_text(bytes(content))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"\x7fEL", b"not an ELF file"),
        (b"ffffffff81000000 T _text\n", b"not an ELF file"),
        (Image(type=1).encode(), b"Invalid ELF type file"),
        *(
            (Image().encode()[:at] + b"\3" + Image().encode()[at + 1 :], b"damaged ELF file")
            for at in (4, 5, 6, 52, 58)  # class, byte order, version, sizes of headers
        ),
    ],
)
def test_what_is_no_linked_kernel_is_refused(data: bytes, message: bytes) -> None:
    with pytest.raises(InputError) as caught:
        map_text(data)
    assert caught.value.message.startswith(message)


def test_an_empty_file_has_an_empty_map_where_the_tool_reads_it() -> None:
    assert map_text(b"") == b""
    with pytest.raises(InputError, match="not an ELF file"):
        vmlinux.map_text(reader(b""), 0, V6_12)


def test_limits_hold_before_anything_is_read_or_allocated() -> None:
    with pytest.raises(InputError, match="not a linked kernel"):
        vmlinux.map_text(reader(b""), vmlinux.MAX_FILE + 1, V7_4)
