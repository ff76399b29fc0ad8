# SPDX-License-Identifier: GPL-2.0-only
"""The loops over codes that are compiled for several instruction sets, of which one is chosen at import.

This module alone contains them, so that there is one choice; the others call it.
"""

from libc.stdint cimport int32_t, uint8_t, uint32_t

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


cdef int32_t row_max(const int32_t *row) noexcept nogil:
    return pair_row_max(row)


cdef size_t find_places(
    const uint8_t *src, size_t n, const uint8_t *text, size_t size, uint32_t *places
) noexcept nogil:
    return find_text(src, n, text, size, places)


cdef void rename_all(uint8_t *data, size_t n, const uint8_t *to) noexcept nogil:
    rename_codes(data, n, to)


def variant():
    """The instruction set in use: ``avx2``, ``sse2`` or ``portable``."""
    return pair_variant().decode()


def choose_variant(bytes name):
    """Use another instruction set; False when this machine does not have it."""
    return bool(pair_choose(name))
