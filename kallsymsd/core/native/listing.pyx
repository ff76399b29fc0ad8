# SPDX-License-Identifier: GPL-2.0-only
"""Tables -> lines of assembly, and of the --debug listing."""

from cpython.bytes cimport PyBytes_AS_STRING
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport free
from libc.string cimport memcpy

from kallsymsd.core.native.columns cimport allocate, copied, new_column, u8, u32, u64
from kallsymsd.core.native.strings cimport Strings
from kallsymsd.core.native.text cimport HEX_DIGITS

cdef char _BYTE[256][6]       # ", 0xNN"


cdef void _init_byte_texts() noexcept:
    cdef int i
    for i in range(256):
        memcpy(_BYTE[i], ", 0x", 4)
        _BYTE[i][4] = HEX_DIGITS[i >> 4]
        _BYTE[i][5] = HEX_DIGITS[i & 15]


_init_byte_texts()


cdef inline char *_text(char *out, const char *text, size_t size) noexcept nogil:
    memcpy(out, text, size)
    return out + size


cdef inline char *_byte_line(char *out, const uint8_t *data, size_t size) noexcept nogil:
    """A tab, .byte and ``size`` bytes in hex. ``size`` must not be 0."""
    cdef size_t i
    out = _text(out, "\t.byte ", 7)
    out = _text(out, _BYTE[data[0]] + 2, 4)
    for i in range(1, size):
        out = _text(out, _BYTE[data[i]], 6)
    return out


cdef inline char *_hex_digits(char *out, uint64_t value, int least) noexcept nogil:
    """``value`` in hex with at least ``least`` digits."""
    cdef int digits = 1
    while digits < 16 and value >> (4 * digits):
        digits += 1
    if digits < least:
        digits = least
    while digits:
        digits -= 1
        out[0] = HEX_DIGITS[value >> (4 * digits) & 15]
        out += 1
    return out


cdef inline char *_alternate_hex(char *out, uint64_t value) noexcept nogil:
    """``value`` as printf's %#llx prints it: 0 has no prefix."""
    if value:
        out = _text(out, "0x", 2)
    return _hex_digits(out, value, 1)


cdef inline char *_decimal(char *out, int64_t value) noexcept nogil:
    cdef char digits[20]
    cdef int count = 0
    cdef uint64_t rest = <uint64_t>value
    if value < 0:
        out = _text(out, "-", 1)
        rest = 0 - rest
    while True:
        digits[count] = <char>(48 + rest % 10)
        count += 1
        rest //= 10
        if not rest:
            break
    while count:
        count -= 1
        out[0] = digits[count]
        out += 1
    return out


cdef inline char *_line_end(char *out, bint comment, Strings strings, size_t index) noexcept nogil:
    """The end of the line; before it, if ``comment``, a comment with the symbol's type and name."""
    if comment:
        out = _text(out, "\t/* ", 4)
        out = _text(
            out,
            <const char *>strings.byte + strings.start[index],
            strings.start[index + 1] - strings.start[index] - 1,
        )
        out = _text(out, " */", 3)
    out[0] = c'\n'
    return out + 1


def names_lines(bytes names, Strings strings, bint comment):
    """A .byte line for each symbol of the table ``names``."""
    cdef const uint8_t *p = u8(names)
    cdef size_t count = strings.count, i, size
    cdef size_t total = 6 * <size_t>len(names) + 6 * count
    if comment:
        total += <size_t>len(strings.data) + 6 * count
    cdef bytes lines = new_column(total)
    cdef char *out = PyBytes_AS_STRING(lines)
    with nogil:
        for i in range(count):
            size = p[0] + 1
            if p[0] & 128:
                size = (p[0] & 127 | <size_t>p[1] << 7) + 2
            out = _byte_line(out, p, size)
            out = _line_end(out, comment, strings, i)
            p += size
    return lines


def seqs_lines(bytes seqs, bytes order, Strings strings, bint comment):
    """A .byte line for each entry of the table ``seqs``, whose symbols are in ``order`` (u32 positions)."""
    cdef const uint8_t *p = u8(seqs)
    cdef const uint32_t *position = u32(order)
    cdef size_t count = <size_t>len(order) // 4, i
    cdef size_t total = 24 * count
    if comment:
        total += <size_t>len(strings.data) + 6 * count
    cdef bytes lines = new_column(total)
    cdef char *out = PyBytes_AS_STRING(lines)
    with nogil:
        for i in range(count):
            out = _byte_line(out, p + 3 * i, 3)
            out = _line_end(out, comment, strings, position[i])
    return lines


def offsets_lines(bytes offsets, Strings strings, bint comment, bint pc_relative):
    """A .long line for each u32 of ``offsets``; with ``pc_relative`` each is a signed distance from _text."""
    cdef const uint32_t *value = u32(offsets)
    cdef size_t count = <size_t>len(offsets) // 4, i
    cdef char *lines = <char *>allocate(48 * count + <size_t>len(strings.data))
    cdef char *out = lines
    try:
        with nogil:
            for i in range(count):
                if pc_relative:
                    out = _text(out, "\t.long\t_text - . + (", 20)
                    out = _decimal(out, <int32_t>value[i])
                    out = _text(out, ")", 1)
                else:
                    out = _text(out, "\t.long\t", 7)
                    out = _alternate_hex(out, value[i])
                out = _line_end(out, comment, strings, i)
        return copied(lines, <size_t>(out - lines))
    finally:
        free(lines)


def addresses_lines(bytes addresses, uint64_t text, uint64_t percpu_first, uint64_t percpu_last, bytes directive):
    """A ``directive`` line for each u64 of ``addresses``: the distance from ``text``, the address of _text.

    For addresses in percpu_first .. percpu_last, which are absolute, it is the address itself.
    """
    cdef const uint64_t *address = u64(addresses)
    cdef size_t count = <size_t>len(addresses) // 8, i, size = <size_t>len(directive)
    cdef const char *word = PyBytes_AS_STRING(directive)
    cdef char *lines = <char *>allocate((40 + size) * count)
    cdef char *out = lines
    try:
        with nogil:
            for i in range(count):
                out = _text(out, "\t", 1)
                out = _text(out, word, size)
                out = _text(out, "\t", 1)
                if percpu_first <= address[i] <= percpu_last:
                    out = _alternate_hex(out, address[i])
                elif text <= address[i]:
                    out = _text(out, "_text + ", 8)
                    out = _alternate_hex(out, address[i] - text)
                else:
                    out = _text(out, "_text - ", 8)
                    out = _alternate_hex(out, text - address[i])
                out = _text(out, "\n", 1)
        return copied(lines, <size_t>(out - lines))
    finally:
        free(lines)


def debug_lines(bytes addresses, bytes names, Strings strings):
    """A comment line for each symbol: position, address, type, name, length and codes.

    The text can be part of a C comment: slashes, which could end or begin one, are printed as \\x2f.
    """
    cdef const uint64_t *address = u64(addresses)
    cdef const uint8_t *p = u8(names)
    cdef size_t count = <size_t>len(addresses) // 8, i, j, size
    cdef char *lines = <char *>allocate(64 * count + 4 * <size_t>len(strings.data) + 3 * <size_t>len(names))
    cdef char *out = lines
    try:
        with nogil:
            for i in range(count):
                out = _text(out, " * ", 3)
                out = _decimal(out, <int64_t>i)
                out = _text(out, " ", 1)
                out = _hex_digits(out, address[i], 16)
                out = _text(out, " ", 1)
                for j in range(strings.start[i], strings.start[i + 1] - 1):
                    if j == strings.start[i] + 1:
                        out = _text(out, " ", 1)
                    if strings.byte[j] == c'/':
                        out = _text(out, "\\x2f", 4)
                    else:
                        out[0] = <char>strings.byte[j]
                        out += 1
                out = _text(out, " :", 2)
                size = p[0] + 1
                if p[0] & 128:
                    size = (p[0] & 127 | <size_t>p[1] << 7) + 2
                for j in range(size):
                    out = _text(out, " ", 1)
                    out = _hex_digits(out, p[j], 2)
                p += size
                out = _text(out, "\n", 1)
        return copied(lines, <size_t>(out - lines))
    finally:
        free(lines)
