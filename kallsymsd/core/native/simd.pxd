# SPDX-License-Identifier: GPL-2.0-only
"""Declares the loops over codes and pair counts that are compiled for several instruction sets."""

from libc.stdint cimport int32_t, uint8_t, uint32_t

cdef extern from "pairs.h" nogil:
    enum:
        PAIR_GAP
        SPELL_GAP
    struct pair_stats:
        uint32_t left[256]
        uint32_t right[256]
        uint32_t matches
        uint32_t joined
    struct spelled:
        uint32_t *marker
        uint32_t *start
        int marker_shift
        size_t count
        size_t taken
        size_t made

cdef enum:
    CODES = 256
    PAIRS = 65536

cdef struct Counts:
    # count[first + 256 * second]; pairs with a separator have count 0.
    int32_t count[PAIRS]
    int32_t row_max[CODES]

# pairs.h, find.h and rename.h describe these.
cdef size_t replace_pair(
    uint8_t *dst, const uint8_t *src, size_t n, uint8_t a, uint8_t b, uint8_t code, pair_stats *stats
) noexcept nogil
cdef void spell_names(
    uint8_t *out, const uint8_t *src, size_t n, uint8_t a, uint8_t b, spelled *columns
) noexcept nogil
cdef void count_pairs(const uint8_t *src, size_t n, int32_t weight, int32_t *counts) noexcept nogil
cdef size_t find_places(
    const uint8_t *src, size_t n, const uint8_t *text, size_t size, uint32_t *places
) noexcept nogil
cdef void rename_all(uint8_t *data, size_t n, const uint8_t *to) noexcept nogil

# Set the counts to those before the first step.
cdef void counts_from(Counts *counts, const int32_t *initial) noexcept nogil

# Update the counts for a step that replaced every (a, b) by c.
cdef void counts_replace(Counts *counts, uint8_t a, uint8_t b, uint8_t c, const pair_stats *stats) noexcept nogil

# Find the most frequent pair. Returns its count, 0 if there is none.
cdef int32_t best_pair(const Counts *counts, uint8_t *first, uint8_t *second) noexcept nogil
