# SPDX-License-Identifier: GPL-2.0-only
"""Where two outputs for the same tables first differ, described for a person."""

from kallsymsd.core.tables import Tables
from kallsymsd.core.target import Target

_BLOCK = 1 << 16
# Tables with an entry for each symbol, in address order.
_BY_ADDRESS = ("kallsyms_names", "kallsyms_offsets", "kallsyms_addresses")
_BY_NAME = "kallsyms_seqs_of_names"
# How many bytes of a .bin, and how many characters of a line, are shown.
_SHOWN_BYTES = 12
_SHOWN_TEXT = 120


def between_texts(ours: bytes, theirs: bytes, tables: Tables) -> str:
    """The first difference between two assembly texts made from ``tables``; "" if they are equal."""
    at = _first(ours, theirs)
    if at < 0:
        return ""
    begin = ours.rfind(b"\n", 0, at) + 1
    table, entry = _place(ours, begin)
    symbol = _symbol(tables, table, entry) if b".incbin" not in ours else ""
    line = ours.count(b"\n", 0, begin) + 1
    place = f"{table}, entry {entry}{symbol}" if table else f"line {line}"
    return f"{place}: ours {_line(ours, begin)}, theirs {_line(theirs, begin)}"


def between_bins(ours: bytes, theirs: bytes, tables: Tables, target: Target) -> str:
    """The first difference between two .bin files of ``tables`` for ``target``; "" if they are equal."""
    at = _first(ours, theirs)
    if at < 0:
        return ""
    encoded = tables.encode(target)
    start = 0
    for table, contents in encoded.items():
        size = len(contents)
        if at < start + size:
            entry = _entry(tables, table, at - start)
            symbol = _symbol(tables, f"kallsyms_{table}", entry)
            place = f"kallsyms_{table} + {at - start}{symbol}"
            break
        start += size
    else:
        place = f".bin + {at}"
    return f"{place}: ours {_hex(ours, at)}, theirs {_hex(theirs, at)}"


def _first(ours: bytes, theirs: bytes) -> int:
    """Offset of the first difference; -1 if there is none."""
    if ours == theirs:
        return -1
    for begin in range(0, len(ours), _BLOCK):
        left, right = ours[begin : begin + _BLOCK], theirs[begin : begin + _BLOCK]
        if left != right:
            common = (i for i, (a, b) in enumerate(zip(left, right, strict=False)) if a != b)
            return begin + next(common, min(len(left), len(right)))
    return len(ours)


def _place(text: bytes, begin: int) -> tuple[str, int]:
    """The label above the line at ``begin``, and the number of lines between; ("", 0) without a label."""
    label = text.rfind(b"\nkallsyms_", 0, begin) + 1
    if not label:
        return "", 0
    end = text.index(b"\n", label)
    return text[label:end].rstrip(b":").decode(), text.count(b"\n", end + 1, begin)


def _entry(tables: Tables, table: str, offset: int) -> int:
    """Which entry of a table in a .bin contains the byte at ``offset``."""
    if table == "names":
        begin = entry = 0
        while True:
            length = tables.names[begin]
            size = 1 + length if length < 0x80 else 2 + (length & 0x7F) + (tables.names[begin + 1] << 7)
            if offset < begin + size:
                return entry
            begin += size
            entry += 1
    return offset // {"markers": 4, "offsets": 4, "seqs_of_names": 3, "token_index": 2}.get(table, 1)


def _symbol(tables: Tables, table: str, entry: int) -> str:
    """The name of an entry's symbol in brackets; "" if the entry belongs to no symbol."""
    if entry >= tables.num_syms:
        return ""
    if table == _BY_NAME:
        entry = memoryview(tables.by_name).cast("I")[entry]
    elif table not in _BY_ADDRESS:
        return ""
    return f" ({tables.symbols.name(entry).decode('utf-8', 'backslashreplace')})"


def _line(text: bytes, begin: int) -> str:
    """The line at ``begin`` in quotes, shortened."""
    end = text.find(b"\n", begin)
    line = text[begin : end if end >= 0 else len(text)].strip().decode("utf-8", "backslashreplace")
    if begin >= len(text):
        return "nothing"
    return f"'{line[:_SHOWN_TEXT]}'"


def _hex(data: bytes, at: int) -> str:
    return data[at : at + _SHOWN_BYTES].hex(" ") or "nothing"
