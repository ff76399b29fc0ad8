# SPDX-License-Identifier: GPL-2.0-only
"""Tables -> lines of assembly and of the --debug listing."""

cdef const char *_DIGITS = "0123456789abcdef"
cdef char _BYTE[256][6]       # ", 0xNN"


cdef void _init_byte_texts() noexcept:
    cdef int i
    for i in range(256):
        memcpy(_BYTE[i], ", 0x", 4)
        _BYTE[i][4] = _DIGITS[i >> 4]
        _BYTE[i][5] = _DIGITS[i & 15]


_init_byte_texts()


cdef inline char *_text(char *out, const char *text, size_t size) noexcept nogil:
    memcpy(out, text, size)
    return out + size


cdef inline char *_byte_line(char *out, const uint8_t *data, size_t size) noexcept nogil:
    """TAB, .byte and ``size`` bytes in hex; size is not 0."""
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
        out[0] = _DIGITS[value >> (4 * digits) & 15]
        out += 1
    return out


cdef inline char *_alternate_hex(char *out, uint64_t value) noexcept nogil:
    """What printf makes of %#llx: 0 has no prefix."""
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


cdef inline char *_line_end(
    char *out, bint comment, const uint8_t *string, const uint32_t *start, size_t index
) noexcept nogil:
    """The comment with the symbol's type and name where the dialect has it, and the end of the line."""
    if comment:
        out = _text(out, "\t/* ", 4)
        out = _text(out, <const char *>string + start[index], start[index + 1] - start[index] - 1)
        out = _text(out, " */", 3)
    out[0] = c'\n'
    return out + 1


def names_lines(Bytes names, Bytes strings, Bytes starts, bint comment):
    """A .byte line for each symbol of the table ``names``."""
    cdef const uint8_t *p = _pointer(names)
    cdef const uint8_t *string = _pointer(strings)
    cdef const uint32_t *start = <const uint32_t *>_pointer(starts)
    cdef size_t count = <size_t>starts.shape[0] // 4 - 1, i, size
    cdef size_t total = 6 * <size_t>names.shape[0] + 6 * count
    if comment:
        total += <size_t>strings.shape[0] + 6 * count
    cdef bytes lines = _bytes(NULL, total)
    cdef char *out = PyBytes_AS_STRING(lines)
    with nogil:
        for i in range(count):
            size = p[0] + 1
            if p[0] & 128:
                size = (p[0] & 127 | <size_t>p[1] << 7) + 2
            out = _byte_line(out, p, size)
            out = _line_end(out, comment, string, start, i)
            p += size
    return lines


def seqs_lines(Bytes seqs, Bytes order, Bytes strings, Bytes starts, bint comment):
    """A .byte line for each entry of the table ``seqs``, which has the symbols in ``order``."""
    cdef const uint8_t *p = _pointer(seqs)
    cdef const uint32_t *position = <const uint32_t *>_pointer(order)
    cdef const uint8_t *string = _pointer(strings)
    cdef const uint32_t *start = <const uint32_t *>_pointer(starts)
    cdef size_t count = <size_t>order.shape[0] // 4, i
    cdef size_t total = 24 * count
    if comment:
        total += <size_t>strings.shape[0] + 6 * count
    cdef bytes lines = _bytes(NULL, total)
    cdef char *out = PyBytes_AS_STRING(lines)
    with nogil:
        for i in range(count):
            out = _byte_line(out, p + 3 * i, 3)
            out = _line_end(out, comment, string, start, position[i])
    return lines


def offsets_lines(Bytes offsets, Bytes strings, Bytes starts, bint comment, bint pc_relative):
    """A .long line for each u32 of ``offsets``; with pc_relative a signed distance from _text."""
    cdef const uint32_t *value = <const uint32_t *>_pointer(offsets)
    cdef const uint8_t *string = _pointer(strings)
    cdef const uint32_t *start = <const uint32_t *>_pointer(starts)
    cdef size_t count = <size_t>offsets.shape[0] // 4, i
    cdef char *lines = <char *>_allocate(48 * count + <size_t>strings.shape[0])
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
                out = _line_end(out, comment, string, start, i)
        return _bytes(lines, <size_t>(out - lines))
    finally:
        free(lines)


def addresses_lines(Bytes addresses, uint64_t text, uint64_t percpu_first, uint64_t percpu_last, bytes directive):
    """A ``directive`` line for each u64 of ``addresses``: a distance from _text, or the address if absolute."""
    cdef const uint64_t *address = <const uint64_t *>_pointer(addresses)
    cdef size_t count = <size_t>addresses.shape[0] // 8, i, size = <size_t>len(directive)
    cdef const char *word = PyBytes_AS_STRING(directive)
    cdef char *lines = <char *>_allocate((40 + size) * count)
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
        return _bytes(lines, <size_t>(out - lines))
    finally:
        free(lines)


def debug_lines(Bytes addresses, Bytes names, Bytes strings, Bytes starts):
    """A line of comment for each symbol: position, address, type, name, length and codes.

    The text can stand inside a C comment: a slash that would end or begin one is printed as \\x2f.
    """
    cdef const uint64_t *address = <const uint64_t *>_pointer(addresses)
    cdef const uint8_t *p = _pointer(names)
    cdef const uint8_t *string = _pointer(strings)
    cdef const uint32_t *start = <const uint32_t *>_pointer(starts)
    cdef size_t count = <size_t>addresses.shape[0] // 8, i, j, size
    cdef char *lines = <char *>_allocate(64 * count + 4 * <size_t>strings.shape[0] + 3 * <size_t>names.shape[0])
    cdef char *out = lines
    try:
        with nogil:
            for i in range(count):
                out = _text(out, " * ", 3)
                out = _decimal(out, <int64_t>i)
                out = _text(out, " ", 1)
                out = _hex_digits(out, address[i], 16)
                out = _text(out, " ", 1)
                for j in range(start[i], start[i + 1] - 1):
                    if j == start[i] + 1:
                        out = _text(out, " ", 1)
                    if string[j] == c'/':
                        out = _text(out, "\\x2f", 4)
                    else:
                        out[0] = <char>string[j]
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
        return _bytes(lines, <size_t>(out - lines))
    finally:
        free(lines)
