# SPDX-License-Identifier: GPL-2.0-only
"""The kallsyms tables of a linked kernel -> its symbols, as kernel/kallsyms.c reads them.

This is the inverse of kallsymsd.core.tables, for programs that examine kernels. It reads what the kernel
would read, and shares no code with the modules that make the tables.
"""

import sys
from array import array
from collections.abc import Mapping
from typing import NamedTuple

from kallsymsd.core.errors import InputError
from kallsymsd.core.target import Target
from kallsymsd.elf.elffile import ElfFile, Symbol

_PREFIX = b"kallsyms_"
_TOKENS = 256
# Most bytes read of a token table. Tokens can be long, because KSYM_NAME_LEN can be raised.
_MOST_TOKEN_BYTES = 1 << 20
# How many symbols are looked up to find the form of the addresses.
_SAMPLE = 500


class KernelSymbol(NamedTuple):
    """One symbol as /proc/kallsyms shows it.

    address  as linked, without KASLR
    type     type letter, such as "T"
    name     as bytes, because compilers may use any bytes
    """

    address: int
    type: str
    name: bytes


def read(elf: ElfFile) -> list[KernelSymbol]:
    """The symbols that the tables in a linked kernel hold, in table order.

    Raises InputError if the file has no tables, or no symbol table to find them by, or if they are damaged.
    """
    target = Target(elf.bits, elf.big_endian)
    found = elf.find([_PREFIX + name for name in _NAMES])
    if _PREFIX + b"num_syms" not in found:
        raise InputError(b"no kallsyms tables", detail=b"the ELF file has no symbol kallsyms_num_syms")
    tables = {
        name.removeprefix(_PREFIX).decode(): bytes(_rest_of_section(elf, symbol))
        for name, symbol in found.items()
    }
    count = _number(tables["num_syms"][:4], target)
    names = read_names(tables, count, target)
    addresses = _addresses(elf, tables, found, names, target)
    return [KernelSymbol(address, *name) for address, name in zip(addresses, names, strict=True)]


_NAMES = (
    b"num_syms",
    b"names",
    b"token_table",
    b"token_index",
    b"addresses",
    b"offsets",
    b"relative_base",
)


def read_names(tables: Mapping[str, bytes], count: int, target: Target) -> list[tuple[str, bytes]]:
    """Type letter and name of each of ``count`` symbols.

    ``tables`` has "names", "token_table" and "token_index" as kallsymsd.core.tables.Tables.encode() makes
    them for ``target``. Each may be longer than necessary. Raises InputError if one ends too early.
    """
    tokens = _tokens(tables, target)
    names = tables["names"]
    read: list[tuple[str, bytes]] = []
    at = 0
    try:
        for _ in range(count):
            length = names[at]
            at += 1
            if length & 0x80:  # since v6.1 (73bbb94466fd), the high bit means that a second byte follows
                length = length & 0x7F | names[at] << 7
                at += 1
            codes = names[at : at + length]
            if len(codes) < length:
                raise IndexError
            at += length
            string = b"".join([tokens[code] for code in codes])
            read.append((chr(string[0]), string[1:]))
    except IndexError:
        raise InputError(
            b"damaged kallsyms tables", detail=b"the names end at symbol %d of %d" % (len(read), count)
        ) from None
    return read


def _tokens(tables: Mapping[str, bytes], target: Target) -> list[bytes]:
    """The text of each code."""
    index = _column("H", tables["token_index"][: 2 * _TOKENS], target)
    table = tables["token_table"][:_MOST_TOKEN_BYTES]
    if len(index) < _TOKENS or any(table.find(b"\0", start) < 0 for start in index):
        raise InputError(b"damaged kallsyms tables", detail=b"the token table ends too early")
    return [table[start : table.index(b"\0", start)] for start in index]


def _addresses(
    elf: ElfFile,
    tables: Mapping[str, bytes],
    found: Mapping[bytes, Symbol],
    names: list[tuple[str, bytes]],
    target: Target,
) -> list[int]:
    """The address of each symbol, whatever form the column has."""
    count, mask = len(names), (1 << target.bits) - 1
    if "addresses" in tables:
        word = "Q" if target.bits == 64 else "I"
        return _full(_column(word, tables["addresses"][: count * target.bits // 8], target), count)
    if "offsets" not in tables:
        raise InputError(b"no kallsyms tables", detail=b"the ELF file has no kallsyms_offsets or _addresses")
    data = tables["offsets"][: 4 * count]
    signed, unsigned = (_full(_column(code, data, target), count) for code in "iI")
    known = _known_addresses(elf, names)
    if "relative_base" not in tables:
        start = found[_PREFIX + b"offsets"].value
        forms = [unsigned, [start + 4 * at + offset & mask for at, offset in enumerate(signed)]]
        return _that_agrees(known, forms)
    # A relocatable kernel may have the base in a relocation, and a zero in its place. Its symbols tell it.
    bases = [_number(tables["relative_base"][: target.bits // 8], target)]
    bases += [address - unsigned[at] for at, address in known[:1]]
    bases += [address + 1 + signed[at] for at, address in known if signed[at] < 0][:1]
    forms = []
    for base in bases:
        forms.append([base + offset & mask for offset in unsigned])
        # CONFIG_KALLSYMS_ABSOLUTE_PERCPU: a number that is not negative is an address.
        forms.append([offset if offset >= 0 else base - 1 - offset & mask for offset in signed])
    return _that_agrees(known, forms)


def _known_addresses(elf: ElfFile, names: list[tuple[str, bytes]]) -> list[tuple[int, int]]:
    """Position and address of some symbols that are also in the file's symbol table."""
    candidates = {name for _, name in names[:: max(1, len(names) // _SAMPLE)]}
    own = {name: symbol.value for name, symbol in elf.find(candidates).items()}
    return [(at, own[name]) for at, (_, name) in enumerate(names) if name in own]


def _that_agrees(known: list[tuple[int, int]], forms: list[list[int]]) -> list[int]:
    """The form in which most of the known addresses come out right. No table says which form it is."""
    agreeing = [sum(addresses[at] == address for at, address in known) for addresses in forms]
    if known and not max(agreeing):
        raise InputError(b"damaged kallsyms tables", detail=b"no address agrees with the symbol table")
    return forms[agreeing.index(max(agreeing))]


def _rest_of_section(elf: ElfFile, symbol: Symbol) -> memoryview:
    """The bytes from a symbol to the end of its section."""
    if not 0 < symbol.section < len(elf.sections):
        raise InputError(b"damaged kallsyms tables", detail=b"a table lies in no section")
    section = elf.sections[symbol.section]
    if not section.address <= symbol.value <= section.address + section.size:
        raise InputError(b"damaged kallsyms tables", detail=b"a table lies outside of its section")
    return elf.contents(section)[symbol.value - section.address :]


def _number(data: bytes, target: Target) -> int:
    return int.from_bytes(data, "big" if target.big_endian else "little")


def _column(typecode: str, data: bytes, target: Target) -> "array[int]":
    """Numbers of the array module's ``typecode``; an incomplete last one is ignored."""
    column = array(typecode)
    column.frombytes(data[: len(data) // column.itemsize * column.itemsize])
    if target.big_endian != (sys.byteorder == "big"):
        column.byteswap()
    return column


def _full(column: "array[int]", count: int) -> "list[int]":
    if len(column) < count:
        raise InputError(
            b"damaged kallsyms tables", detail=b"there are %d of %d addresses" % (len(column), count)
        )
    return column.tolist()
