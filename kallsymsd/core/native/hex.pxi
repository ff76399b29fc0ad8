# SPDX-License-Identifier: GPL-2.0-only
"""Hexadecimal numbers, white space and ends of map lines."""

cdef extern from *:
    """
    /* Eight bytes as a number, the first one most significant. */
    static inline uint64_t load_be64(const uint8_t *at)
    {
        uint64_t value;

        memcpy(&value, at, sizeof(value));
    #if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
        value = __builtin_bswap64(value);
    #endif
        return value;
    }
    """
    uint64_t load_be64(const uint8_t *at) nogil

cdef extern from *:
    """
    #if defined(__SSE2__)
    #include <emmintrin.h>
    #endif

    /* The first newline from at on, or end. Lines are short: a call of memchr() costs more than the search. */
    static inline const uint8_t *line_end(const uint8_t *at, const uint8_t *end)
    {
        const uint8_t *found;

    #if defined(__SSE2__)
        for (; end - at >= 16; at += 16) {
            __m128i block = _mm_loadu_si128((const __m128i *)at);
            int mask = _mm_movemask_epi8(_mm_cmpeq_epi8(block, _mm_set1_epi8('\\n')));

            if (mask)
                return at + __builtin_ctz((unsigned int)mask);
        }
    #endif
        found = memchr(at, '\\n', (size_t)(end - at));
        return found ? found : end;
    }
    """
    const uint8_t *line_end(const uint8_t *at, const uint8_t *end) nogil

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


cdef inline bint _plain_hex(const uint8_t *digits, size_t width, uint64_t *value) noexcept nogil:
    """Decode 8 or 16 lower-case hex digits, eight at a time; False for anything else."""
    cdef uint64_t low = <uint64_t>0x0f0f0f0f0f0f0f0f, ones = <uint64_t>0x0101010101010101
    cdef uint64_t text, nibbles, letters
    cdef size_t at
    value[0] = 0
    for at in range(0, width, 8):
        text = load_be64(digits + at)
        # '0'..'9' are 0x30..0x39, 'a'..'f' are 0x61..0x66; what does not turn into the same text is no digit.
        nibbles = (text & low) + (text >> 6 & ones) * <uint64_t>9
        letters = (nibbles + ones * <uint64_t>6) >> 4 & ones
        if (nibbles & ~low) != 0 or nibbles + ones * <uint64_t>0x30 + letters * <uint64_t>0x27 != text:
            return False
        nibbles = (nibbles >> 4 | nibbles) & <uint64_t>0x00ff00ff00ff00ff
        nibbles = (nibbles >> 8 | nibbles) & <uint64_t>0x0000ffff0000ffff
        nibbles = (nibbles >> 16 | nibbles) & <uint64_t>0xffffffff
        value[0] = value[0] << 32 | nibbles
    return True


cdef inline size_t _hex(const uint8_t *at, const uint8_t *end, uint64_t *value, bint *overflow) noexcept nogil:
    """Hex digits at ``at`` as strtoull() reads them, saturating; returns how many there are."""
    cdef const uint8_t *p = at
    cdef uint64_t v = 0
    overflow[0] = False
    if end - at > 16 and _HEX[at[16]] & 0x80 and _plain_hex(at, 16, value):
        return 16
    while p < end and not _HEX[p[0]] & 0x80:
        if v >> 60:
            overflow[0] = True
        v = v << 4 | _HEX[p[0]]
        p += 1
    value[0] = <uint64_t>0xffffffffffffffff if overflow[0] else v
    return <size_t>(p - at)
