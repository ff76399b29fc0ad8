# SPDX-License-Identifier: GPL-2.0-only
"""The loops over codes and pair counts that are compiled for several instruction sets; import chooses one.

Only this module contains them, so that the choice is made once; the other modules call it.
"""

from libc.stdint cimport int32_t, uint8_t, uint32_t
from libc.string cimport memcpy, memset

cdef extern from "pairs.h" nogil:
    size_t pair_pass(
        uint8_t *dst, const uint8_t *src, size_t n, uint8_t a, uint8_t b, uint8_t code, pair_stats *stats
    )
    void pair_spell(uint8_t *out, const uint8_t *src, size_t n, uint8_t a, uint8_t b, spelled *columns)
    void pair_count(const uint8_t *src, size_t n, int32_t weight, int32_t *counts)
    int32_t pair_row_max(const int32_t *row)
    const char *pair_variant()
    int pair_choose(const char *variant)

cdef extern from "find.h" nogil:
    size_t find_text(const uint8_t *src, size_t n, const uint8_t *text, size_t size, uint32_t *places)

cdef extern from "rename.h" nogil:
    void rename_codes(uint8_t *data, size_t n, const uint8_t *to)


cdef size_t replace_pair(
    uint8_t *dst, const uint8_t *src, size_t n, uint8_t a, uint8_t b, uint8_t code, pair_stats *stats
) noexcept nogil:
    return pair_pass(dst, src, n, a, b, code, stats)


cdef void spell_names(
    uint8_t *out, const uint8_t *src, size_t n, uint8_t a, uint8_t b, spelled *columns
) noexcept nogil:
    pair_spell(out, src, n, a, b, columns)


cdef void count_pairs(const uint8_t *src, size_t n, int32_t weight, int32_t *counts) noexcept nogil:
    pair_count(src, n, weight, counts)


cdef size_t find_places(
    const uint8_t *src, size_t n, const uint8_t *text, size_t size, uint32_t *places
) noexcept nogil:
    return find_text(src, n, text, size, places)


cdef void rename_all(uint8_t *data, size_t n, const uint8_t *to) noexcept nogil:
    rename_codes(data, n, to)


cdef void counts_from(Counts *counts, const int32_t *initial) noexcept nogil:
    cdef int i
    memcpy(counts.count, initial, sizeof(counts.count))
    memset(counts.count, 0, CODES * sizeof(int32_t))
    for i in range(CODES):
        counts.count[CODES * i] = 0
    for i in range(CODES):
        counts.row_max[i] = pair_row_max(counts.count + CODES * i)


cdef void counts_replace(Counts *counts, uint8_t a, uint8_t b, uint8_t c, const pair_stats *stats) noexcept nogil:
    """Update the counts for a step that replaced every (a, b) by c."""
    cdef int32_t *row_a = counts.count + CODES * a
    cdef int32_t *row_b = counts.count + CODES * b
    cdef int32_t *row_c = counts.count + CODES * c
    cdef int32_t *row
    cdef int32_t matches = <int32_t>stats.matches, joined = <int32_t>stats.joined, here, before
    cdef int x
    for x in range(CODES):
        here = <int32_t>stats.left[x]
        row_a[x] -= here
        row_c[x] += here
    for x in range(1, CODES):
        here = <int32_t>stats.right[x]
        if here:
            row = counts.count + CODES * x
            before = row[b]
            row[b] -= here
            row[c] += here
            if before == counts.row_max[x]:
                counts.row_max[x] = pair_row_max(row)
            elif row[c] > counts.row_max[x]:
                counts.row_max[x] = row[c]
    row_b[a] -= matches
    row_a[b] += joined
    row_c[b] -= joined
    row_a[c] -= joined
    row_c[c] += joined
    counts.row_max[a] = pair_row_max(row_a)
    counts.row_max[b] = pair_row_max(row_b)
    counts.row_max[c] = pair_row_max(row_c)


cdef int32_t best_pair(const Counts *counts, uint8_t *first, uint8_t *second) noexcept nogil:
    """Find the most frequent pair; among equals, the one with the lowest second code, then first code.

    Returns its count, 0 if there is none.
    """
    cdef int32_t best = 0
    cdef int code
    cdef const int32_t *row
    for code in range(1, CODES):
        if counts.row_max[code] > best:
            best = counts.row_max[code]
            second[0] = <uint8_t>code
    if best == 0:
        return 0
    row = counts.count + CODES * second[0]
    for code in range(1, CODES):
        if row[code] == best:
            first[0] = <uint8_t>code
            break
    return best


def variant():
    """The instruction set in use: ``avx2``, ``sse2`` or ``portable``."""
    return pair_variant().decode()


def choose_variant(bytes name):
    """Use another instruction set; False if this machine does not have it."""
    return bool(pair_choose(name))
