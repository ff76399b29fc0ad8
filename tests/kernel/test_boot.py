# SPDX-License-Identifier: GPL-2.0-only
"""The check of a running kernel itself: a stock kernel passes, one with a wrong table does not."""

import struct
from collections.abc import Callable
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile
from elftools.elf.sections import SymbolTableSection

from tests.kernel.checks import boot_and_compare
from tests.kernel.conftest import Stock
from tests.kernel.trees import Linked

#: Which symbol gets another address: one behind those of per-cpu variables.
_WRONG = 1_000


def test_a_stock_kernel_shows_its_map(stock: Stock, say: Callable[[str], None], tmp_path: Path) -> None:
    boot_and_compare(stock, stock.cold, say, tmp_path)


def test_one_wrong_address_is_noticed(stock: Stock, say: Callable[[str], None], tmp_path: Path) -> None:
    broken = Linked(tmp_path / "broken")
    broken.directory.mkdir()
    broken.system_map.write_bytes(stock.cold.system_map.read_bytes())
    image = bytearray(stock.cold.vmlinux.read_bytes())
    place = _file_offset(stock.cold, "kallsyms_offsets") + 4 * _WRONG
    (offset,) = struct.unpack_from("<i", image, place)
    struct.pack_into("<i", image, place, offset + 1)
    broken.vmlinux.write_bytes(image)
    with pytest.raises(AssertionError, match=r"/proc/kallsyms and System\.map"):
        boot_and_compare(stock, broken, say, tmp_path)


def _file_offset(linked: Linked, name: str) -> int:
    with linked.vmlinux.open("rb") as file:
        elf = ELFFile(file)
        table = elf.get_section_by_name(".symtab")
        assert isinstance(table, SymbolTableSection)
        symbol = (table.get_symbol_by_name(name) or [])[0]
        section = elf.get_section(symbol["st_shndx"])
        return int(section["sh_offset"] + symbol["st_value"] - section["sh_addr"])
