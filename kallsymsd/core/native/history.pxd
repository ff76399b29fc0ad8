# SPDX-License-Identifier: GPL-2.0-only
"""Declares what can be done to the history of a token table."""

from libc.stdint cimport uint8_t, uint32_t

from kallsymsd.core.native.simd cimport pair_stats
from kallsymsd.core.native.tokentable cimport Step, Stream, TokenTable

cdef void swap_steps(Step *earlier, Step *later) noexcept nogil
cdef bint find_nested(
    const Step *steps, int begin, int end, uint8_t a, uint8_t b, int *inner, int *outer
) noexcept nogil
cdef uint32_t shared_matches(const Step *inner, uint8_t first, uint8_t second) noexcept nogil
cdef void regroup_steps(Step *inner, Step *outer, uint8_t first, uint8_t second) noexcept nogil
cdef void add_stats(pair_stats *total, const pair_stats *part, const uint8_t *code_of) noexcept nogil
cdef void run_out(Stream *gone, Step *steps, int count) noexcept nogil
cdef int common_steps(TokenTable table, TokenTable old) noexcept nogil
