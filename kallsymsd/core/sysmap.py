# SPDX-License-Identifier: GPL-2.0-only
"""System.map -> SymbolTable."""

from kallsymsd.core.dialects import ABSOLUTE_PERCPU, ALL_SYMBOLS, GETLINE, Dialect
from kallsymsd.core.errors import InputError
from kallsymsd.core.native.mapreader import read_map
from kallsymsd.core.symbols import NO_PERCPU, SymbolTable

_READ_ERROR = b"Read error or end of file.\n"
_QUOTED = 60  # bytes of a malformed line that the message quotes
_STEP = 1 << 20  # bytes to count lines in at a time


def read(text: bytes, dialect: Dialect, options: int) -> SymbolTable:
    """Parse a map, filter it as ``dialect`` does with ``options``, and sort it by address.

    Raises InputError with the message of the dialect's own tool for a malformed line (v6.5 and later), or if
    no symbol is left (up to v6.10).
    """
    found = read_map(
        text,
        getline=dialect.parser == GETLINE,
        own_filter=dialect.own_filter,
        own_tables=_c_strings(dialect.own_tables),
        all_symbols=bool(options & ALL_SYMBOLS),
        keep_start_stop=dialect.keep_start_stop,
        absolute_percpu=bool(options & ABSOLUTE_PERCPU),
        name_limit=dialect.name_limit,
    )
    view = memoryview(text)  # a name may be as long as the map: copy it only once
    warnings = b"".join(
        piece
        for at, length in found.overlong
        for piece in (
            b"Symbol ",
            view[at : at + length],
            b" too long for kallsyms (%d >= %d).\n" % (length, dialect.name_limit),
            b"Please increase KSYM_NAME_LEN both in kernel and kallsyms.c\n",
        )
    )
    if found.problem > 0:
        detail = _malformed(text, found.problem)
        raise InputError(warnings + b"line format error", line=found.problem, detail=detail)
    if found.problem < 0:
        warnings += _READ_ERROR
    if not found.addresses and not dialect.empty:
        raise InputError(warnings + b"No valid symbol.", detail=b"the map has no symbol to keep")
    return SymbolTable(
        found.addresses,
        found.strings,
        text_address=found.text_address,
        percpu=found.percpu if options & ABSOLUTE_PERCPU else NO_PERCPU,
        origin=found.origin,
        warnings=warnings,
    )


def _c_strings(names: tuple[str, ...]) -> bytes:
    return b"".join(name.encode() + b"\0" for name in names)


def _malformed(text: bytes, number: int) -> bytes:
    start = _start_of(text, number)
    end = text.find(b"\n", start, start + _QUOTED + 1)
    line = text[start : end if end >= 0 else start + _QUOTED + 1]
    shown = line[:_QUOTED] + (b"..." if len(line) > _QUOTED else b"")
    return b'expected "address type name", found "%b"' % shown


def _start_of(text: bytes, number: int) -> int:
    """Where line ``number`` begins; the first line has number 1.

    It searches in steps so that other threads can run in between: a file that is not a map may have any size.
    """
    at, left = 0, number - 1  # lines that end before this one
    while (ended := text.count(b"\n", at, at + _STEP)) < left:
        at += _STEP
        left -= ended
    for _ in range(left):
        at = text.index(b"\n", at) + 1
    return at
