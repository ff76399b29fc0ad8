# SPDX-License-Identifier: GPL-2.0-only
"""Stable sorting of positions by a 64-bit key, and searching in sorted columns."""

from libc.stdint cimport uint32_t, uint64_t
from libc.string cimport memcpy, memset

cdef struct Entry:
    uint64_t key
    uint32_t index
    uint32_t at               # for sorting by name: where in the strings the key comes from

cdef enum:
    INSERTION_MOST = 16       # runs of up to this length are sorted by insertion
    RADIX_LEAST = 1024        # runs of at least this length are sorted by radix


cdef inline void insertion_sort(Entry *entries, size_t count) noexcept nogil:
    cdef size_t i, j
    cdef Entry moved
    for i in range(1, count):
        moved = entries[i]
        j = i
        while j and entries[j - 1].key > moved.key:
            entries[j] = entries[j - 1]
            j -= 1
        entries[j] = moved


cdef inline void merge_sort(Entry *entries, Entry *spare, size_t count) noexcept nogil:
    cdef size_t half = count // 2, i = 0, j = half, out = 0
    if count <= INSERTION_MOST:
        insertion_sort(entries, count)
        return
    merge_sort(entries, spare, half)
    merge_sort(entries + half, spare, count - half)
    if entries[half - 1].key <= entries[half].key:
        return
    memcpy(spare, entries, half * sizeof(Entry))
    while i < half and j < count:
        if entries[j].key < spare[i].key:
            entries[out] = entries[j]
            j += 1
        else:
            entries[out] = spare[i]
            i += 1
        out += 1
    memcpy(entries + out, spare + i, (half - i) * sizeof(Entry))


cdef inline void radix_sort(Entry *entries, Entry *spare, size_t count) noexcept nogil:
    """Radix sort, least significant byte first. A byte that is equal in all keys costs one check."""
    cdef size_t histogram[8][256]
    cdef size_t i, total, here
    cdef int byte, value
    cdef Entry *source = entries
    cdef Entry *target = spare
    cdef Entry *swap
    memset(histogram, 0, sizeof(histogram))
    for i in range(count):
        for byte in range(8):
            histogram[byte][entries[i].key >> (8 * byte) & 0xff] += 1
    for byte in range(8):
        if histogram[byte][source[0].key >> (8 * byte) & 0xff] == count:
            continue
        total = 0
        for value in range(256):
            here = histogram[byte][value]
            histogram[byte][value] = total
            total += here
        for i in range(count):
            value = <int>(source[i].key >> (8 * byte) & 0xff)
            target[histogram[byte][value]] = source[i]
            histogram[byte][value] += 1
        swap = source
        source = target
        target = swap
    if source != entries:
        memcpy(entries, source, count * sizeof(Entry))


cdef inline void stable_sort(Entry *entries, Entry *spare, size_t count) noexcept nogil:
    if count >= RADIX_LEAST:
        radix_sort(entries, spare, count)
    else:
        merge_sort(entries, spare, count)


cdef inline size_t first_from(const uint64_t *address, size_t count, uint64_t least) noexcept nogil:
    """Position of the first address that is not less than ``least``. The addresses are ascending."""
    cdef size_t low = 0, high = count, middle
    while low < high:
        middle = (low + high) // 2
        if address[middle] < least:
            low = middle + 1
        else:
            high = middle
    return low
