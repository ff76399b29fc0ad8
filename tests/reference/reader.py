# SPDX-License-Identifier: GPL-2.0-only
"""Lines of a System.map to symbols: both readers that the kernel had, and what is dropped while reading."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from tests.reference.forms import Form

U64 = 1 << 64
NAME_LIMIT = 512
FSCANF_WORD = 2048

SPACE = rb"[ \t\n\v\f\r]"
NUMBER = rb"([+-]?)(0[xX])?([0-9a-fA-F]+)"

ABSOLUTE_BUT_KEPT = (
    b"__kernel_syscall_via_break",
    b"__kernel_syscall_via_epc",
    b"__kernel_sigtramp",
    b"__gp",
)

OWN_TABLES = tuple(
    b"kallsyms_" + table
    for table in (
        b"addresses",
        b"offsets",
        b"relative_base",
        b"num_syms",
        b"names",
        b"markers",
        b"token_table",
        b"token_index",
    )
)
DROPPED_NAMES = (*OWN_TABLES, b"_SDA_BASE_", b"_SDA2_BASE_")
DROPPED_PREFIXES = (
    b"__efistub_",
    b"__kvm_nvhe_$",
    b"__kvm_nvhe_.L",
    b"__kcfi_typeid_",
    b"__AArch64ADRPThunk_",
    b"__ARMV5PILongThunk_",
    b"__ARMV7PILongThunk_",
    b"__ThumbV7PILongThunk_",
    b"__LA25Thunk_",
    b"__microLA25Thunk_",
)
DROPPED_SUFFIXES = (b"_from_arm", b"_from_thumb", b"_veneer")
DROPPED_PARTS = (b".long_branch.", b".plt_branch.")


class FatalError(Exception):
    """The tool prints ``line`` as its last on standard error and exits with 1."""

    def __init__(self, line: bytes) -> None:
        super().__init__(line)
        self.line = line


@dataclass
class Symbol:
    """A line of the map."""

    address: int
    type: bytes
    name: bytes
    absolute: bool = False

    @property
    def string(self) -> bytes:
        """What goes into the table of names: the type letter and the name."""
        return self.type + self.name


@dataclass
class SystemMap:
    """What reading a map leaves behind.

    text         address of _text
    ranges       for _text and _init text: [start, end]
    percpu       [start, end] of the per-cpu symbols; empty unless the map has both ends
    symbols      kept symbols in file order
    warnings     what the tool prints on standard error without failing
    """

    text: int = 0
    ranges: dict[bytes, list[int]] = field(default_factory=lambda: {b"text": [0, 0], b"inittext": [0, 0]})
    percpu: list[int] = field(default_factory=lambda: [U64 - 1, 0])
    symbols: list[Symbol] = field(default_factory=list)
    warnings: list[bytes] = field(default_factory=list)


def read(form: Form, text: bytes, result: SystemMap) -> None:
    """Read a whole map into ``result`` as the tool of ``form`` does."""
    lines = _fscanf_lines(text, result) if form.fscanf else _getline_lines(text)
    for symbol in lines:
        _take(form, symbol, result)


def _number(sign: bytes, digits: bytes) -> int:
    """What strtoull makes of it: too much is the largest number, a minus wraps around."""
    value = int(digits, 16)
    if value >= U64:
        return U64 - 1
    return -value % U64 if sign == b"-" else value


def _fscanf_lines(text: bytes, result: SystemMap) -> Iterator[Symbol]:
    r"""fscanf("%llx %c %2048s\n"): three words; what does not fit costs the rest of its line."""
    number = re.compile(SPACE + rb"*" + rb"([+-]?)(0[xX])?([0-9a-fA-F]*)")
    space = re.compile(SPACE + rb"*")
    word = re.compile(rb"[^ \t\n\v\f\r]{1,%d}" % FSCANF_WORD)
    at = 0
    while at < len(text):
        start = number.match(text, at)
        assert start is not None  # matches the empty string
        at = start.end()
        # "0x" alone counts as 0: the C library has taken the 0 for a digit.
        if start[3] or start[2]:
            at = _skip(space, text, at)
            kind = text[at : at + 1]
            at = _skip(space, text, at + 1)
            name = word.match(text, at)
            if kind and name:
                at = _skip(space, text, name.end())
                yield Symbol(_number(start[1], start[3] or b"0"), kind, name[0].split(b"\0")[0])
                continue
        elif at == len(text) and not start[1]:
            return  # end of file before anything was converted: not worth a message
        if at >= len(text):
            result.warnings.append(b"Read error or end of file.")
            return
        end_of_line = text.find(b"\n", at, at + FSCANF_WORD)
        at = end_of_line + 1 if end_of_line >= 0 else at + FSCANF_WORD


def _skip(pattern: re.Pattern[bytes], text: bytes, at: int) -> int:
    found = pattern.match(text, at)
    return found.end() if found else at


def _getline_lines(text: bytes) -> Iterator[Symbol]:
    """Strictly "number type name" with single spaces; any other line is the end."""
    pattern = re.compile(rb"[ \t\v\f\r]*" + NUMBER + rb" ([\x01-\x7f]) ([^\0]*)", re.DOTALL)
    lines = text.split(b"\n")
    if not lines[-1]:
        del lines[-1]  # what follows the final newline is no line
    for line in lines:
        parts = pattern.match(line)
        if not parts:
            raise FatalError(b"line format error")
        sign, _prefix, digits, kind, name = parts.groups()
        yield Symbol(_number(sign, digits), kind, name)


def _take(form: Form, symbol: Symbol, result: SystemMap) -> None:
    """One symbol's way through the reader: length, _text, filters, ranges, in this order."""
    name = symbol.name
    if len(name) >= NAME_LIMIT:
        result.warnings.append(
            b"Symbol %b too long for kallsyms (%d >= %d).\n" % (name, len(name), NAME_LIMIT)
            + b"Please increase KSYM_NAME_LEN both in kernel and kallsyms.c"
        )
        return
    if name == b"_text":
        result.text = symbol.address
    if _dropped(form, symbol):
        return
    for section, bounds in result.ranges.items():
        if name == b"_s" + section:
            bounds[0] = symbol.address
        elif name == b"_e" + section:
            bounds[1] = symbol.address
    if name == b"__per_cpu_start":
        result.percpu[0] = symbol.address
    elif name == b"__per_cpu_end":
        result.percpu[1] = symbol.address
    result.symbols.append(symbol)


def _dropped(form: Form, symbol: Symbol) -> bool:
    name = symbol.name
    if form.drops_by_name and (
        symbol.type in (b"U", b"N")
        or name in DROPPED_NAMES
        or (form.drops_seqs_of_names and name == b"kallsyms_seqs_of_names")
        or name.startswith(DROPPED_PREFIXES)
        or name.endswith(DROPPED_SUFFIXES)
        or any(part in name for part in DROPPED_PARTS)
    ):
        return True
    if symbol.type in (b"a", b"A"):
        return name not in ABSOLUTE_BUT_KEPT
    return symbol.type in (b"u", b"n")
