# SPDX-License-Identifier: GPL-2.0-only
"""The assembly that the tool prints."""

from collections.abc import Collection, Iterator

from tests.reference.decode import assemble
from tests.reference.forms import Form
from tests.reference.order import by_name
from tests.reference.reader import U64, FatalError, Symbol
from tests.reference.tokens import compress

PREAMBLE = b"""\
#include <asm/bitsperlong.h>
#if BITS_PER_LONG == 64
#define PTR .quad
#define ALGN .balign 8
#else
#define PTR .long
#define ALGN .balign 4
#endif
"""
SECTION = b'\t.section .rodata, "a"\n'


def number(value: int) -> bytes:
    """As printf's %#x: zero has no prefix."""
    return b"%#x" % value if value else b"0"


def from_text(address: int, text: int) -> bytes:
    """An address as the linker shall compute it."""
    distance = address - text
    return b"_text %b %b" % (b"-" if distance < 0 else b"+", number(abs(distance)))


def print_tables(
    form: Form, options: Collection[str], symbols: list[Symbol], text: int, bin_name: bytes
) -> tuple[bytes, bytes]:
    """Everything the tool prints for ``symbols``, which stand in address order, and its .bin."""
    strings = [symbol.string for symbol in symbols]
    tokens = compress(strings)
    names, markers = _names(form, strings, tokens.compressed)
    base = next((symbol.address for symbol in symbols if not symbol.absolute), 0)
    absolute = form.has_base_relative and "base-relative" not in options
    cut = form.lto_cut if "lto-clang" in options else None

    tables = {
        "num_syms": [b"\t.long\t%d" % len(symbols)],
        "names": names,
        "markers": [b"\t.long\t%d" % marker for marker in markers],
        "token_table": [b'\t.asciz\t"%b"' % expansion for expansion in tokens.expansions],
        "token_index": [b"\t.short\t%d" % start for start in _starts(tokens.expansions)],
        "offsets": list(_offsets(form, options, symbols, base, text)) if not absolute else [],
        "addresses": list(_addresses(symbols, text)),
        "relative_base": [b"\tPTR\t" + from_text(base, text)],
        "seqs_of_names": [
            b"\t.byte 0x%02x, 0x%02x, 0x%02x" % tuple((position % (1 << 24)).to_bytes(3, "big"))
            + _comment(strings[position], wanted=form.comments_names_and_seqs)
            for position in by_name(symbols, cut)
        ],
    }
    binary = b""
    if form.writes_bin:
        binary = _to_bin(tables, bin_name)
    order = _order(form, absolute=absolute)
    head = SECTION if form.has_pc_relative else PREAMBLE + SECTION
    return head + b"".join(_print(form, table.encode(), tables[table]) for table in order), binary


def _to_bin(tables: dict[str, list[bytes]], bin_name: bytes) -> bytes:
    """Take the tables that go to the .bin out of the text: one line remains of each, none of an empty one."""
    binary = b""
    for table in ("names", "token_table", "seqs_of_names"):
        content = b"".join(map(assemble, tables[table]))
        tables[table] = [b'\t.incbin "%b", %d, %d' % (bin_name, len(binary), len(content))] if content else []
        binary += content
    return binary


def _order(form: Form, *, absolute: bool) -> list[str]:
    """The tables that are printed, in their order."""
    column = ["addresses"] if absolute else ["offsets"]
    if not absolute and not form.has_pc_relative:
        column.append("relative_base")
    head = ["num_syms", "names", "markers"]
    tokens = ["token_table", "token_index"]
    seqs = ["seqs_of_names"] if form.has_seqs else []
    return column + head + seqs + tokens if form.address_first else head + tokens + column + seqs


def _print(form: Form, table: bytes, lines: list[bytes]) -> bytes:
    """One table: its label, its lines, perhaps its size, and an empty line."""
    label = b"kallsyms_" + table
    align = b".balign 4" if form.has_pc_relative else b"ALGN"
    parts = [b".globl %b" % label, b"\t%b" % align, b"%b:" % label, *lines]
    if form.prints_sizes and table in (b"names", b"markers", b"token_table", b"offsets"):
        parts.append(b".size %b, . - %b" % (label, label))
    return b"\n".join([*parts, b"", b""])


def _comment(string: bytes, *, wanted: bool) -> bytes:
    return b"\t/* %b */" % string if wanted else b""


def _starts(expansions: list[bytes]) -> list[int]:
    """Where each expansion begins in the token table, in which each ends with a NUL."""
    starts, at = [], 0
    for expansion in expansions:
        starts.append(at)
        at += len(expansion) + 1
    return starts


def _names(form: Form, strings: list[bytes], compressed: list[bytes]) -> tuple[list[bytes], list[int]]:
    """Lines of the compressed names, and the markers into them."""
    lines, markers, at = [], [], 0
    for position, (string, codes) in enumerate(zip(strings, compressed, strict=True)):
        if position % form.marker_distance == 0:
            markers.append(at)
        length = len(codes)
        # One byte of length up to 127, else two: low seven bits first, marked by the top bit.
        head = [length] if length < 0x80 else [length & 0x7F | 0x80, length >> 7]
        at += len(head) + length
        bare = b"\t.byte " + b", ".join(b"0x%02x" % byte for byte in [*head, *codes])
        lines.append(bare + _comment(string, wanted=form.comments_names_and_seqs))
    return lines, markers


def _addresses(symbols: list[Symbol], text: int) -> Iterator[bytes]:
    for symbol in symbols:
        where = number(symbol.address) if symbol.absolute else from_text(symbol.address, text)
        yield b"\tPTR\t" + where


def _offsets(
    form: Form, options: Collection[str], symbols: list[Symbol], base: int, text: int
) -> Iterator[bytes]:
    for symbol in symbols:
        value = _offset(form, options, symbol, base, text)
        if value is None:
            kind = b"absolute" if symbol.absolute else b"relative"
            mode = b" in relative mode" if form.has_percpu else b""
            raise FatalError(
                b"kallsyms failure: %b symbol value %b out of range%b" % (kind, number(symbol.address), mode)
            )
        yield b"\t.long\t" + value + _comment(symbol.string, wanted=form.comments_offsets)


def _offset(form: Form, options: Collection[str], symbol: Symbol, base: int, text: int) -> bytes | None:
    """What stands for an address, or None if it does not fit into 32 bits."""
    if form.has_pc_relative:
        if "pc-relative" not in options:
            return number(symbol.address % (1 << 32))
        distance = _signed(symbol.address - text)
        return b"_text - . + (%d)" % distance if -(1 << 31) <= distance < 1 << 31 else None
    if "absolute-percpu" not in options:
        offset = _signed(symbol.address - base)
        return number(offset) if 0 <= offset < 1 << 32 else None
    # Absolute symbols are positive numbers, the others negative ones.
    if symbol.absolute:
        offset = _signed(symbol.address)
        return number(offset) if 0 <= offset < 1 << 31 else None
    offset = _signed(base - symbol.address - 1)
    return number(offset % (1 << 32)) if -(1 << 31) <= offset < 0 else None


def _signed(value: int) -> int:
    """64 bits read as a signed number."""
    return (value + U64 // 2) % U64 - U64 // 2
