# SPDX-License-Identifier: GPL-2.0-only
"""Hexadecimal numbers, white space and ends of map lines."""

cdef extern from "text.h" nogil:
    enum:
        TEXT_BLOCK
    uint64_t load_be64(const uint8_t *at)
    void store_be32(uint8_t *at, uint32_t value)
    bint plain_hex16(const uint8_t *digits, uint64_t *value)
    bint plain_hex(const uint8_t *digits, size_t width, uint64_t *value)
    const uint8_t *line_end(const uint8_t *at, const uint8_t *end)
    bint same_text(const uint8_t *a, const uint8_t *b, size_t size, size_t room)

cdef uint8_t _HEX[256]        # value of a hex digit, 0x80 for any other byte
cdef uint8_t _SPACE[256]      # isspace() in the C locale


cdef void _init_tables() noexcept:
    cdef int c
    memset(_HEX, 0x80, 256)
    for c in range(10):
        _HEX[48 + c] = <uint8_t>c
    for c in range(6):
        _HEX[97 + c] = <uint8_t>(10 + c)
        _HEX[65 + c] = <uint8_t>(10 + c)
    for c in range(9, 14):
        _SPACE[c] = 1
    _SPACE[32] = 1


_init_tables()


cdef inline size_t _hex(const uint8_t *at, const uint8_t *end, uint64_t *value, bint *overflow) noexcept nogil:
    """Hex digits at ``at`` as strtoull() reads them, saturating; returns how many there are."""
    cdef const uint8_t *p = at
    cdef uint64_t v = 0
    overflow[0] = False
    if end - at > 16 and _HEX[at[16]] & 0x80 and plain_hex16(at, value):
        return 16
    while p < end and not _HEX[p[0]] & 0x80:
        if v >> 60:
            overflow[0] = True
        v = v << 4 | _HEX[p[0]]
        p += 1
    value[0] = <uint64_t>0xffffffffffffffff if overflow[0] else v
    return <size_t>(p - at)
