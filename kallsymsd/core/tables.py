# SPDX-License-Identifier: GPL-2.0-only
"""SymbolTable and TokenTable -> the kallsyms tables."""

import sys
from array import array
from copy import copy

from kallsymsd.core import tokens
from kallsymsd.core.dialects import (
    ABSOLUTE_PERCPU,
    BASE_RELATIVE,
    LTO_CLANG,
    PC_RELATIVE,
    Dialect,
)
from kallsymsd.core.errors import InputError
from kallsymsd.core.front import Front
from kallsymsd.core.native import encoding
from kallsymsd.core.native.nameorder import name_order
from kallsymsd.core.native.tokentable import TokenTable
from kallsymsd.core.symbols import SymbolTable
from kallsymsd.core.target import Target

# What the address column holds. native/encoding.pyx has the same numbers for the first four.
UNSIGNED = 0  # u32 address - relative_base
PERCPU = 1  # i32: the address of an absolute symbol; relative_base - 1 - address for others
DISTANCE = 2  # i32 address - _text, which the linker turns into a distance from the entry itself
LOW_HALF = 3  # u32: the low 32 bits of the address
ADDRESSES = 4  # the address itself, one word of the target


class Tables:
    """All tables of one kernel, in the byte order of this machine.

    symbols        the symbols, in table order
    tokens         the token table with its history
    codes          each string in codes (the token of code 0 not applied)
    names          u8: for each symbol, its length in one or two bytes, then its codes
    markers        u32: offset in names of every 256th symbol (16th: dialect.marker_shift)
    expansions     text of each of the 256 codes
    address_form   what the address column holds: one of the constants above
    offsets        u32: the address column; empty for ADDRESSES
    relative_base  the address that offsets are relative to; None if the dialect or the form has none
    by_name        u32: positions of the symbols in name order
    seqs_of_names  by_name with 3 bytes each, most significant first
    """

    __slots__ = (
        "_fronts",
        "address_form",
        "by_name",
        "codes",
        "dialect",
        "expansions",
        "markers",
        "names",
        "offsets",
        "options",
        "relative_base",
        "seqs_of_names",
        "symbols",
        "tokens",
    )

    def __init__(
        self,
        dialect: Dialect,
        options: int,
        symbols: SymbolTable,
        token_table: TokenTable,
        codes: bytes,
        by_name: bytes,
    ) -> None:
        """Encode everything. In ``codes``, a zero follows each string.

        Raises InputError for an address that its column cannot hold.
        """
        self.dialect = dialect
        self.options = options
        self._fronts: dict[Target, Front] = {}
        self.symbols = symbols
        self.tokens = token_table
        self.by_name = by_name
        self.seqs_of_names = encoding.encode_seqs(by_name)
        self.expansions = tokens.expansions(token_table)
        self.names, self.markers, self.codes = encoding.encode_names(
            codes, symbols.count, token_table.zero_pair, dialect.marker_shift
        )
        self.address_form = _address_form(dialect, options)
        self.relative_base = _relative_base(self.address_form, symbols)
        self.offsets = _offsets(dialect, self.address_form, self.relative_base, symbols)

    def at(self, symbols: SymbolTable) -> "Tables":
        """The tables of the same symbols, in the same orders, at other addresses.

        Raises InputError for an address that its column cannot hold.
        """
        moved = copy(self)
        moved.symbols = symbols
        moved.relative_base = _relative_base(self.address_form, symbols)
        moved.offsets = _offsets(self.dialect, self.address_form, moved.relative_base, symbols)
        return moved

    @property
    def num_syms(self) -> int:
        """The number of symbols."""
        return self.symbols.count

    @property
    def warnings(self) -> bytes:
        """Lines for standard error."""
        return self.symbols.warnings

    @property
    def token_table(self) -> bytes:
        """The expansions, each followed by a zero."""
        return b"".join(text + b"\0" for text in self.expansions)

    def alignment(self, target: Target) -> int:
        """The alignment of each table, in bytes."""
        return 8 if self.dialect.preamble and target.bits == 64 else 4

    def front(self, target: Target) -> Front:
        """The tables that are plain bytes for the linker and contain no addresses.

        They are in the byte order of ``target``. Tables that at() made from one another share one Front.
        """
        front = self._fronts.get(target)
        if front is None:
            encoded = {
                "names": self.names,
                "markers": swapped("I", self.markers, target),
                "token_table": self.token_table,
                "token_index": swapped("H", array("H", tokens.token_index(self.expansions)), target),
            }
            if "seqs_of_names" in self.dialect.order:
                encoded["seqs_of_names"] = self.seqs_of_names
            # Another thread may have been faster; all callers must get the same object.
            front = self._fronts.setdefault(target, Front(encoded))
        return front

    def encode(self, target: Target) -> dict[str, bytes]:
        """All tables that are plain bytes for the linker, by name, in the byte order of ``target``.

        They are in the order of a .bin: the tables of front(), then the offsets if those are plain bytes.
        """
        encoded = dict(self.front(target).tables)
        if self.address_form in (UNSIGNED, PERCPU, LOW_HALF):
            encoded["offsets"] = swapped("I", self.offsets, target)
        return encoded


def swapped(typecode: str, data: "bytes | array[int]", target: Target) -> bytes:
    """Convert numbers from this machine's byte order to that of ``target``.

    ``typecode`` is the array module's.
    """
    if target.big_endian == (sys.byteorder == "big"):
        return bytes(data)
    column = array(typecode)
    column.frombytes(bytes(data))
    column.byteswap()
    return column.tobytes()


def _address_form(dialect: Dialect, options: int) -> int:
    if "relative_base" not in dialect.order:
        return DISTANCE if options & PC_RELATIVE else LOW_HALF
    if dialect.absolute_form and not options & BASE_RELATIVE:
        return ADDRESSES
    return PERCPU if options & ABSOLUTE_PERCPU else UNSIGNED


def _relative_base(form: int, symbols: SymbolTable) -> int | None:
    """Address of the first symbol that is not absolute, 0 if there is none; None if the form has no base."""
    if form not in (UNSIGNED, PERCPU):
        return None
    first = encoding.first_outside(symbols.addresses, *symbols.percpu)
    return symbols.address(first) if first >= 0 else 0


def _offsets(dialect: Dialect, form: int, relative_base: int | None, symbols: SymbolTable) -> bytes:
    if form == ADDRESSES:
        return b""
    base = symbols.text_address if relative_base is None else relative_base
    offsets, bad = encoding.encode_offsets(symbols.addresses, base, form, *symbols.percpu)
    if bad >= 0:
        address = symbols.address(bad)
        absolute = symbols.percpu[0] <= address <= symbols.percpu[1]
        message = dialect.range_error % ("absolute" if absolute else "relative", alternate_hex(address))
        detail = b"%b is too far from %#x" % (symbols.name(bad), base)
        if form == UNSIGNED and base == 0 and "absolute-percpu" in dialect.options:
            detail += b"; per-cpu symbols that begin at 0, as on x86-64, need --absolute-percpu"
        raise InputError(symbols.warnings + message.encode(), detail=detail)
    return offsets


def alternate_hex(value: int) -> str:
    """``value`` as printf's %#llx prints it: 0 has no prefix."""
    return f"{value:#x}" if value else "0"


def by_name(symbols: SymbolTable, dialect: Dialect, options: int) -> bytes:
    """Positions of the symbols in name order, u32 each."""
    cut = dialect.lto_cut if options & LTO_CLANG else b""
    return name_order(symbols.strings, cut)
