# SPDX-License-Identifier: GPL-2.0-only
"""Hexadecimal numbers, white space and line ends of a map."""

from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memcmp

cdef extern from "text.h" nogil:
    enum:
        TEXT_BLOCK
    const char HEX_DIGITS[17]
    const uint8_t hex_digit[256]
    bint is_space(uint8_t byte)
    uint64_t load_be64(const uint8_t *at)
    void store_be32(uint8_t *at, uint32_t value)
    bint plain_hex16(const uint8_t *digits, uint64_t *value)
    bint plain_hex(const uint8_t *digits, size_t width, uint64_t *value)
    const uint8_t *line_end(const uint8_t *at, const uint8_t *end)
    bint same_text(const uint8_t *a, const uint8_t *b, size_t size, size_t room)

cdef enum:
    SCANF_WIDTH = 2048        # the longest word that "%2048s" takes


cdef inline size_t read_hex(const uint8_t *at, const uint8_t *end, uint64_t *value, bint *overflow) noexcept nogil:
    """Read hex digits at ``at`` as strtoull() does, saturating. Returns the number of digits."""
    cdef const uint8_t *p = at
    cdef uint64_t v = 0
    overflow[0] = False
    if end - at > 16 and not hex_digit[at[16]] and plain_hex16(at, value):
        return 16
    while p < end and hex_digit[p[0]]:
        if v >> 60:
            overflow[0] = True
        v = v << 4 | (hex_digit[p[0]] & 15)
        p += 1
    value[0] = <uint64_t>0xffffffffffffffff if overflow[0] else v
    return <size_t>(p - at)


cdef inline size_t equal_bytes(const uint8_t *a, const uint8_t *b, size_t size) noexcept nogil:
    """The number of bytes that a and b have in common at the front."""
    cdef size_t i = 0
    while i + 4096 <= size and memcmp(a + i, b + i, 4096) == 0:
        i += 4096
    while i + 512 <= size and memcmp(a + i, b + i, 512) == 0:
        i += 512
    while i + 64 <= size and memcmp(a + i, b + i, 64) == 0:
        i += 64
    while i + 8 <= size and load_be64(a + i) == load_be64(b + i):
        i += 8
    while i < size and a[i] == b[i]:
        i += 1
    return i
