# SPDX-License-Identifier: GPL-2.0-only
"""Tables -> assembler input: plain assembly, or a short .S and a .bin."""

from kallsymsd.core import tokens
from kallsymsd.core.errors import InputError
from kallsymsd.core.front import Front
from kallsymsd.core.native import listing
from kallsymsd.core.tables import ADDRESSES, DISTANCE, Tables, alternate_hex
from kallsymsd.core.target import Target

_PREAMBLE = b"""\
#include <asm/bitsperlong.h>
#if BITS_PER_LONG == 64
#define PTR .quad
#define ALGN .balign 8
#else
#define PTR .long
#define ALGN .balign 4
#endif
"""
_SECTION = b'\t.section .rodata, "a"\n'

#: Texts within a symbol that would break a string or a comment of plain assembly.
UNPRINTABLE = (b'"', b"\\", b"*/")
# The same for comments. If a dialect puts its strings into a .bin, its text has symbols only in comments.
_END_OF_COMMENT = (b"*/",)


class Assembly:
    """A .S and the .bin that it includes.

    text    the .S
    pieces  the .bin: one table after the other, without padding
    front   the Front whose tables ``pieces`` begins with; None if there is none
    """

    __slots__ = ("front", "pieces", "text")

    def __init__(self, text: bytes, pieces: list[bytes], front: Front | None = None) -> None:
        self.text = text
        self.pieces = pieces
        self.front = front

    @property
    def binary(self) -> bytes:
        """The whole .bin."""
        return b"".join(self.pieces)


def plain(tables: Tables) -> bytes:
    """All tables as text. Up to v7.3, this is what the dialect's own tool prints.

    Raises InputError for a name that assembly cannot express.
    """
    return _original(tables, {}, UNPRINTABLE)


def drop_in(tables: Tables, bin_name: bytes) -> Assembly:
    """What the dialect's own tool makes: plain assembly, since v7.4 with a .bin called ``bin_name``.

    If ``bin_name`` is empty, everything is text. The kernel's own tool inserts the name unescaped, so a name
    with a quote or a backslash cannot be assembled; here both are escaped. Raises InputError like plain().
    """
    if not tables.dialect.binary or not bin_name:
        return Assembly(plain(tables), [])
    contents = {
        "names": tables.names,
        "token_table": tables.token_table,
        "seqs_of_names": tables.seqs_of_names,
    }
    pieces = {table: contents[table] for table in tables.dialect.binary}
    text = _original(tables, _includes(pieces, bin_name), _END_OF_COMMENT)
    return Assembly(text, list(pieces.values()))


def _original(tables: Tables, included: dict[str, bytes], unprintable: tuple[bytes, ...]) -> bytes:
    """The text in the layout of the dialect's own tool.

    ``included`` has the lines that include the tables of a .bin.
    """
    _check_printable(tables, unprintable)
    word, align = (b"PTR", b"ALGN") if tables.dialect.preamble else (b"", b".balign 4")
    parts = [_PREAMBLE if tables.dialect.preamble else b"", _SECTION]
    for table in tables.dialect.order:
        body = included[table] if table in included else _lines(tables, table, word)
        parts += _labelled(tables, table, align, body)
    return b"".join(parts)


def _includes(pieces: dict[str, bytes], bin_name: bytes) -> dict[str, bytes]:
    """For each table of a .bin, the line that includes it. ``pieces`` is in the order of the .bin.

    The line of an empty table is empty: gas takes a length of 0 to mean "the rest of the file".
    """
    name = bin_name.replace(b"\\", b"\\\\").replace(b'"', b'\\"')
    lines = {}
    start = 0
    for table, piece in pieces.items():
        lines[table] = b'\t.incbin "%b", %d, %d\n' % (name, start, len(piece)) if piece else b""
        start += len(piece)
    return lines


def incbin(tables: Tables, target: Target, bin_name: bytes, *, debug: bool = False) -> Assembly:
    """The .S that includes ``bin_name``, and that file's contents. ``debug`` adds the listing as comments.

    Tables that are small or need relocations stay text. The .S needs no header and no macro. It carries the
    digest of the .bin where a compiler cache sees it and the assembler does not.
    """
    front, encoded = tables.front(target), tables.encode(target)
    digest = front.digest(encoded.get("offsets", b"")).encode()
    included = _includes(encoded, bin_name)
    word = b".quad" if target.bits == 64 else b".long"
    align = b".balign %d" % tables.alignment(target)
    parts = [b'.if 0\n\t.ascii "xxh128 %b"\n.endif\n' % digest, _SECTION]
    for table in tables.dialect.order:
        body = included[table] if table in included else _lines(tables, table, word, comments=False)
        parts += _labelled(tables, table, align, body)
    if debug:
        parts.append(_debug_listing(tables))
    return Assembly(b"".join(parts), list(encoded.values()), front)


def _labelled(tables: Tables, table: str, align: bytes, body: bytes) -> list[bytes]:
    """A table with its label, or nothing if this form of the address column does not need the table."""
    if table == "relative_base" and tables.relative_base is None:
        return []
    absolute = table == "offsets" and tables.address_form == ADDRESSES
    label = b"kallsyms_addresses" if absolute else b"kallsyms_" + table.encode()
    size = b".size %b, . - %b\n" % (label, label) if table in tables.dialect.sizes else b""
    return [b".globl %b\n\t%b\n%b:\n" % (label, align, label), body, size, b"\n"]


def _lines(tables: Tables, table: str, word: bytes, *, comments: bool = True) -> bytes:
    """The lines of one table as text. ``word`` is the directive for a number of the target's word size."""
    symbols = tables.symbols
    comment = comments and table in tables.dialect.comments
    match table:
        case "num_syms":
            return b"\t.long\t%d\n" % symbols.count
        case "names":
            return listing.names_lines(tables.names, symbols.strings, comment)
        case "markers":
            return b"".join(b"\t.long\t%d\n" % marker for marker in memoryview(tables.markers).cast("I"))
        case "token_table":
            return b"".join(b'\t.asciz\t"%b"\n' % text for text in tables.expansions)
        case "token_index":
            return b"".join(b"\t.short\t%d\n" % offset for offset in tokens.token_index(tables.expansions))
        case "offsets" if tables.address_form == ADDRESSES:
            return listing.addresses_lines(symbols.addresses, symbols.text_address, *symbols.percpu, word)
        case "offsets":
            return listing.offsets_lines(
                tables.offsets, symbols.strings, comment, tables.address_form == DISTANCE
            )
        case "relative_base":
            return b"" if tables.relative_base is None else _base_line(tables, tables.relative_base, word)
        case _:
            return listing.seqs_lines(tables.seqs_of_names, tables.by_name, symbols.strings, comment)


def _base_line(tables: Tables, base: int, word: bytes) -> bytes:
    distance = base - tables.symbols.text_address
    sign = b"-" if distance < 0 else b"+"
    return b"\t%b\t_text %b %b\n" % (word, sign, alternate_hex(abs(distance)).encode())


def _check_printable(tables: Tables, unprintable: tuple[bytes, ...]) -> None:
    strings = tables.symbols.strings.data
    for text in unprintable:
        at = strings.find(text)
        if at >= 0:
            begin = strings.rfind(b"\0", 0, at) + 2
            raise InputError(
                b"symbol %b cannot be printed as assembly because of its %b"
                % (strings[begin : strings.index(b"\0", at)], text),
                detail=b"--format=incbin can hold it",
            )


def _debug_listing(tables: Tables) -> bytes:
    """The tables as a C comment: every symbol with its codes, every code with its text."""
    symbols = tables.symbols
    lines = [b"/*\n * symbols: position, address, type, name : length, codes\n"]
    lines.append(listing.debug_lines(symbols.addresses, tables.names, symbols.strings))
    lines.append(b" * tokens: code, offset, text\n")
    for code, (text, offset) in enumerate(
        zip(tables.expansions, tokens.token_index(tables.expansions), strict=True)
    ):
        lines.append(b' * %02x %d "%b"\n' % (code, offset, text.replace(b"/", b"\\x2f")))
    lines.append(b" */\n")
    return b"".join(lines)
