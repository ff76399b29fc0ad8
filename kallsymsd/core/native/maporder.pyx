# SPDX-License-Identifier: GPL-2.0-only
"""The order of a map's symbols in the tables: by address, then by the ranks of scripts/kallsyms."""

from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcmp, memcpy

from kallsymsd.core.native.mapnames cimport name_ends
from kallsymsd.core.native.sorting cimport Entry, stable_sort


cdef bint _linker_provided(const uint8_t *name, size_t length) noexcept nogil:
    return length >= 8 and name[0] == c'_' and name[1] == c'_' and (
        memcmp(name + 2, <const char *>"start_", 6) == 0
        or memcmp(name + 2, <const char *>"stop_", 5) == 0
        or memcmp(name + 2, <const char *>"end_", 4) == 0
        or name_ends(name, length, "_start")
        or name_ends(name, length, "_end")
    )


cdef uint64_t _rank(const uint8_t *string, size_t length) noexcept nogil:
    """Sort key for symbols at one address: weak ones last, then linker-provided ones, then by underscores."""
    cdef uint64_t weak = string[0] == c'w' or string[0] == c'W'
    cdef uint64_t provided = _linker_provided(string + 1, length - 1)
    cdef uint64_t underscores = 0
    while underscores + 1 < length and string[1 + underscores] == c'_':
        underscores += 1
    return weak << 33 | provided << 32 | underscores


cdef bint is_ascending(const Parsed *parsed) noexcept nogil:
    """Whether the addresses are already sorted, as ``nm -n`` sorts them."""
    cdef const uint64_t *address = parsed.columns.address
    cdef size_t i = 1
    while i < parsed.columns.count and address[i] >= address[i - 1]:
        i += 1
    return i >= parsed.columns.count


cdef int _permute_strings(
    Parsed *parsed, size_t first, const Entry *entries, size_t count, uint32_t *rank
) noexcept nogil:
    """Put the strings first .. first+count-1 into the order of ``entries``; -1 if there is no memory."""
    cdef size_t begin = parsed.columns.start[first], size = parsed.columns.start[first + count] - begin, i, length, at
    cdef uint8_t *strings = <uint8_t *>malloc(size)
    cdef uint32_t *start = <uint32_t *>malloc((count + 1) * sizeof(uint32_t))
    cdef size_t used = begin
    if strings == NULL or start == NULL:
        free(strings)
        free(start)
        return -1
    memcpy(strings, parsed.columns.strings + begin, size)
    memcpy(start, parsed.columns.start + first, (count + 1) * sizeof(uint32_t))
    for i in range(count):
        at = entries[i].index - first
        length = start[at + 1] - start[at]
        memcpy(parsed.columns.strings + used, strings + start[at] - begin, length)
        parsed.columns.start[first + i] = <uint32_t>used
        rank[entries[i].index] = <uint32_t>(first + i)
        used += length
    free(strings)
    free(start)
    return 0


cdef int _sort_run(Parsed *parsed, size_t first, size_t count, uint32_t *rank) noexcept nogil:
    """Sort ``count`` symbols that share an address; -1 if there is no memory."""
    cdef Entry small[32]
    cdef Entry *entries = small
    cdef size_t i
    cdef int result = 0
    cdef bint ascending = True
    if count > 16:
        entries = <Entry *>malloc(2 * count * sizeof(Entry))
        if entries == NULL:
            return -1
    for i in range(count):
        entries[i].index = <uint32_t>(first + i)
        entries[i].key = _rank(
            parsed.columns.strings + parsed.columns.start[first + i],
            parsed.columns.start[first + i + 1] - parsed.columns.start[first + i] - 1,
        )
        if i and entries[i].key < entries[i - 1].key:
            ascending = False
    if not ascending:
        stable_sort(entries, entries + count, count)
        result = _permute_strings(parsed, first, entries, count, rank)
    if entries != small:
        free(entries)
    return result


cdef int _sort_addresses(Parsed *parsed, uint32_t *rank) noexcept nogil:
    """Sort an unsorted map by address; symbols at one address keep their order. -1 if there is no memory."""
    cdef size_t count = parsed.columns.count, i
    cdef Entry *entries = <Entry *>malloc(2 * count * sizeof(Entry))
    cdef int result
    if entries == NULL:
        return -1
    for i in range(count):
        entries[i].key = parsed.columns.address[i]
        entries[i].index = <uint32_t>i
    stable_sort(entries, entries + count, count)
    for i in range(count):
        parsed.columns.address[i] = entries[i].key
    result = _permute_strings(parsed, 0, entries, count, rank)
    free(entries)
    return result


cdef int sort_symbols(Parsed *parsed, uint32_t *rank, bint ascending) noexcept nogil:
    """Sort by address, then by _rank(), then as in the map. ``rank[i]`` is the new position of symbol i.

    Returns 0, or -1 if there is no memory.
    """
    cdef size_t count = parsed.columns.count, i, first
    cdef uint64_t *address = parsed.columns.address
    cdef uint32_t *sorted_rank = NULL
    for i in range(count):
        rank[i] = <uint32_t>i
    if not ascending:
        sorted_rank = <uint32_t *>malloc(2 * count * sizeof(uint32_t))
        if sorted_rank == NULL or _sort_addresses(parsed, sorted_rank):
            free(sorted_rank)
            return -1
        # The runs record their changes for positions after the first sort.
        memcpy(sorted_rank + count, rank, count * sizeof(uint32_t))
    i = 1
    while i < count:
        if address[i] != address[i - 1]:
            i += 1
            continue
        first = i - 1
        while i < count and address[i] == address[first]:
            i += 1
        if _sort_run(parsed, first, i - first, rank if ascending else sorted_rank + count):
            free(sorted_rank)
            return -1
    if not ascending:
        for i in range(count):
            rank[i] = sorted_rank[count + sorted_rank[i]]
        free(sorted_rank)
    return 0
