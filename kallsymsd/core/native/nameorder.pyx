# SPDX-License-Identifier: GPL-2.0-only
"""The order of the symbols by name.

Names are sorted by eight bytes at a time, kept with the position (Entry), so that most comparisons do not touch the
strings. Entries are dealt out by the first bits in which they differ until few are left; those then stay in the nearest
cache while the next bytes of their names are looked at.
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
    FEW = 16                  # entries up to this number are sorted by insertion
    MOST_BITS = 10            # by which entries are dealt out
    FIRST_BITS = 12           # by which all symbols are
    AHEAD = 16                # entries whose names are fetched while another one's is looked at
    NEAR = 1024               # entries whose next bytes the nearest caches hold until they are needed

cdef extern from "string.h" nogil:
    void *memmem(const void *text, size_t size, const void *wanted, size_t wanted_size)

cdef extern from *:
    """
    /* Eight bytes of a text that ends with a zero, as load_be64() has them; what is behind the zero is 0. */
    static inline uint64_t load_text(const uint8_t *at)
    {
        const uint64_t ones = 0x0101010101010101ULL;
        uint64_t text = __builtin_bswap64(load_be64(at));
        uint64_t zero = (text - ones) & ~text & ones << 7; /* the lowest bit is that of the first zero byte */

        return __builtin_bswap64(text & (((zero & -zero) >> 7) - 1));
    }
    """
    uint64_t load_text(const uint8_t *at) nogil
    void fetch "__builtin_prefetch" (const void *at) nogil
    int leading_zeros "__builtin_clzll" (uint64_t bits) nogil


cdef inline uint64_t _name_key(const Names *names, size_t at) noexcept nogil:
    """Bytes at .. at+7 of a name as a big-endian number, zeros behind its end."""
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
    """Go on to the next eight bytes of names that have not ended."""
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
    # All at once without a call, so that calls are few deep however long equal names are.
    while entries[0].key == entries[count - 1].key and entries[0].key & 0xff:
        _next_keys(names, entries, count)
        insertion_sort(entries, count)
    while first < count:
        length = 1
        while first + length < count and entries[first + length].key == entries[first].key:
            length += 1
        # With a zero as last byte these names ended, so they are equal.
        if length > 1 and entries[first].key & 0xff:
            _next_keys(names, entries + first, length)
            _sort_few_names(names, entries + first, length)
        first += length


cdef void _sort_keyed_names(Names *names, Entry *entries, Entry *other, size_t count, bint stay) noexcept nogil:
    """Sort entries that have keys, more than none; they end in ``other`` unless they shall ``stay``."""
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
        # The largest part without a call, so that calls are few deep whatever the names are.
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
    """Sort entries, of which only the index is set, by name; equal names keep their order."""
    cdef size_t i
    for i in range(count):
        entries[i].at = names.start[entries[i].index] + 1
        entries[i].key = _name_key(names, entries[i].at)
    if count:
        _sort_keyed_names(names, entries, spare, count, True)


cdef size_t _count_first_bits(Names *names, size_t count, uint32_t *part) noexcept nogil:
    """Where in name order each part begins: the symbols whose names have the same FIRST_BITS. Returns the largest."""
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
    """Fill ``entries`` with all symbols in name order; ``spare`` has room for the largest of the parts."""
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
    """The data of ``strings``, with a zero where the first ``cut`` of each name begins, if there is a ``cut``."""
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
        # Not at the type letter. Behind the first one in a name it does not matter.
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
    """The order of symbols by name without type, cut at the first ``cut``, then position; u32 positions."""
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
