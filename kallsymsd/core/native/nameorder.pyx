# SPDX-License-Identifier: GPL-2.0-only
"""The order of the symbols by name.

Names are sorted by eight bytes at a time. An Entry keeps these bytes with the position, so that most
comparisons do not touch the strings. Entries are distributed by the first bits in which they differ, until
few are left; those stay in the nearest cache while the next bytes of their names are examined.
"""

from cpython.bytes cimport PyBytes_AS_STRING
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.stdlib cimport free
from libc.string cimport memcpy, memset

from kallsymsd.core.native.columns cimport allocate, copied, new_column, u8
from kallsymsd.core.native.sorting cimport Entry, insertion_sort
from kallsymsd.core.native.strings cimport Strings
from kallsymsd.core.native.text cimport load_be64

cdef enum:
    FEW = 16                  # up to this many entries are sorted by insertion
    MOST_BITS = 10            # bits by which entries are distributed, at most
    FIRST_BITS = 12           # bits by which all symbols are distributed
    AHEAD = 16                # how many entries ahead names are fetched
    NEAR = 1024               # entries whose next bytes the nearest caches keep until they are needed

cdef extern from "string.h" nogil:
    void *memmem(const void *text, size_t size, const void *wanted, size_t wanted_size)

cdef extern from *:
    """
    /* Eight bytes of a zero-terminated text, like load_be64(); bytes after the zero become 0. */
    static inline uint64_t load_text(const uint8_t *at)
    {
        const uint64_t ones = 0x0101010101010101ULL;
        uint64_t text = __builtin_bswap64(load_be64(at));
        uint64_t zero = (text - ones) & ~text & ones << 7; /* the lowest set bit is in the first zero byte */

        return __builtin_bswap64(text & (((zero & -zero) >> 7) - 1));
    }
    """
    uint64_t load_text(const uint8_t *at) nogil
    void fetch "__builtin_prefetch" (const void *at) nogil
    int leading_zeros "__builtin_clzll" (uint64_t bits) nogil


cdef inline uint64_t _name_key(const Names *names, size_t at) noexcept nogil:
    """The eight bytes from ``at`` on as a big-endian number, with zeros after the end of the name."""
    cdef const uint8_t *text = names.string + at
    cdef uint64_t key = 0
    cdef int shift = 56
    if names.end - text >= 8:
        return load_text(text)
    while text[0]:
        key |= <uint64_t>text[0] << shift
        shift -= 8
        text += 1
    return key


cdef inline void _next_keys(Names *names, Entry *entries, size_t count) noexcept nogil:
    """Advance to the next eight bytes of names that have not ended."""
    cdef size_t i
    for i in range(count):
        if i + AHEAD < count:
            fetch(names.string + entries[i + AHEAD].at + 8)
        entries[i].at += 8
        entries[i].key = _name_key(names, entries[i].at)


cdef void _sort_few_names(Names *names, Entry *entries, size_t count) noexcept nogil:
    """Sort entries that have keys; equal names keep their order."""
    cdef size_t first = 0, length
    insertion_sort(entries, count)
    # While all keys are equal, loop instead of recursing: long equal names must not make calls deep.
    while entries[0].key == entries[count - 1].key and entries[0].key & 0xff:
        _next_keys(names, entries, count)
        insertion_sort(entries, count)
    while first < count:
        length = 1
        while first + length < count and entries[first + length].key == entries[first].key:
            length += 1
        # If the key's last byte is zero, these names have ended: they are equal.
        if length > 1 and entries[first].key & 0xff:
            _next_keys(names, entries + first, length)
            _sort_few_names(names, entries + first, length)
        first += length


cdef void _sort_keyed_names(Names *names, Entry *entries, Entry *other, size_t count, bint stay) noexcept nogil:
    """Sort one or more entries that have keys. They end up in ``entries`` if ``stay``, else in ``other``."""
    cdef uint32_t end[(1 << MOST_BITS) + 1]
    cdef uint64_t differs, key
    cdef size_t first, length, i
    cdef uint32_t bits, shift, mask, digit, largest
    while count > FEW:
        if count <= NEAR:
            for i in range(count):
                fetch(names.string + entries[i].at + 8)
        differs = 0
        key = entries[0].key
        for i in range(1, count):
            differs |= entries[i].key ^ key
        if differs == 0:
            if not key & 0xff:
                break
            _next_keys(names, entries, count)
            continue
        bits = MOST_BITS if count >= 1024 else 8 if count >= 128 else 6
        shift = max(64 - leading_zeros(differs) - <int>bits, 0)
        mask = (<uint32_t>1 << bits) - 1
        memset(end, 0, (mask + 2) * sizeof(uint32_t))
        for i in range(count):
            end[(entries[i].key >> shift & mask) + 1] += 1
        for digit in range(mask):
            end[digit + 1] += end[digit]
        for i in range(count):
            digit = entries[i].key >> shift & mask
            other[end[digit]] = entries[i]
            end[digit] += 1
        # Loop for the largest part instead of recursing: no names may make calls deep.
        largest = 0
        first = length = 0
        for digit in range(mask + 1):
            if end[digit] - first > length:
                length = end[digit] - first
                largest = digit
            first = end[digit]
        first = 0
        for digit in range(mask + 1):
            if end[digit] > first and digit != largest:
                _sort_keyed_names(names, other + first, entries + first, end[digit] - first, not stay)
            first = end[digit]
        first = end[largest] - length
        entries, other = other + first, entries + first
        count = length
        stay = not stay
    if not stay:
        memcpy(other, entries, count * sizeof(Entry))
        entries = other
    if count <= FEW:
        _sort_few_names(names, entries, count)


cdef void sort_names(Names *names, Entry *entries, Entry *spare, size_t count) noexcept nogil:
    """Sort entries by name. The caller sets only their index. Equal names keep their order."""
    cdef size_t i
    for i in range(count):
        entries[i].at = names.start[entries[i].index] + 1
        entries[i].key = _name_key(names, entries[i].at)
    if count:
        _sort_keyed_names(names, entries, spare, count, True)


cdef size_t _count_first_bits(Names *names, size_t count, uint32_t *part) noexcept nogil:
    """Set ``part`` to where each part begins in name order. Returns the size of the largest part.

    A part is the symbols whose names have the same FIRST_BITS bits in front.
    """
    cdef size_t i, most = 0, before = 0, here
    memset(part, 0, sizeof(uint32_t) << FIRST_BITS)
    for i in range(count):
        part[_name_key(names, names.start[i] + 1) >> (64 - FIRST_BITS)] += 1
    for i in range(1 << FIRST_BITS):
        here = part[i]
        part[i] = <uint32_t>before
        before += here
        most = max(most, here)
    return most


cdef void _sort_all_names(Names *names, Entry *entries, Entry *spare, size_t count, uint32_t *part) noexcept nogil:
    """Fill ``entries`` with all symbols in name order. ``spare`` has room for the largest part."""
    cdef size_t i, first = 0
    cdef uint64_t key
    cdef uint32_t at
    cdef Entry *entry
    for i in range(count):
        at = names.start[i] + 1
        key = _name_key(names, at)
        entry = entries + part[key >> (64 - FIRST_BITS)]
        part[key >> (64 - FIRST_BITS)] += 1
        entry.key = key
        entry.index = <uint32_t>i
        entry.at = at
    for i in range(1 << FIRST_BITS):
        if part[i] > first:
            _sort_keyed_names(names, entries + first, spare, part[i] - first, True)
        first = part[i]


cdef bytes cut_names(Strings strings, bytes cut):
    """The data of ``strings``, with a zero where ``cut`` first occurs in each name; unchanged for b""."""
    cdef bytes copy
    cdef uint8_t *text
    cdef uint8_t *found
    cdef const uint8_t *end
    if not cut:
        return strings.data
    copy = copied(strings.byte, <size_t>len(strings.data))
    text = found = <uint8_t *>PyBytes_AS_STRING(copy)
    end = found + len(copy)
    while True:
        found = <uint8_t *>memmem(found, <size_t>(end - found), PyBytes_AS_STRING(cut), <size_t>len(cut))
        if found == NULL:
            return copy
        # Not at the type letter. Later occurrences in a name do not matter.
        if found > text and (found - 1)[0]:
            found[0] = 0
        found += 1


cdef Names names_of(bytes texts, Strings strings):
    cdef Names names
    names.string = u8(texts)
    names.end = names.string + len(texts)
    names.start = strings.start
    return names


def name_order(Strings strings, bytes cut):
    """u32 positions of the symbols, sorted by name (no type, up to the first ``cut``), then by position."""
    cdef size_t count = strings.count, i, most
    cdef bytes order = new_column(count * sizeof(uint32_t))
    cdef uint32_t *out = <uint32_t *>PyBytes_AS_STRING(order)
    cdef bytes texts = cut_names(strings, cut)
    cdef Names names = names_of(texts, strings)
    cdef uint32_t part[1 << FIRST_BITS]
    cdef Entry *entries = NULL
    cdef Entry *spare = NULL
    try:
        with nogil:
            most = _count_first_bits(&names, count, part)
        entries = <Entry *>allocate(count * sizeof(Entry))
        spare = <Entry *>allocate(most * sizeof(Entry))
        with nogil:
            _sort_all_names(&names, entries, spare, count, part)
            for i in range(count):
                out[i] = entries[i].index
        return order
    finally:
        free(entries)
        free(spare)
