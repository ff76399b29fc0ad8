# SPDX-License-Identifier: GPL-2.0-only
"""Declares what can be done to the history of a token table."""

from libc.stdint cimport uint8_t, uint32_t

from kallsymsd.core.native.simd cimport pair_stats
from kallsymsd.core.native.tokentable cimport Step, Stream, TokenTable

# Make two neighbours change places.
cdef void swap_steps(Step *earlier, Step *later) noexcept nogil

# Look for two steps that make one token of three codes, of which a and b are two that stand side by side.
cdef bint find_nested(
    const Step *steps, int begin, int end, uint8_t a, uint8_t b, int *inner, int *outer
) noexcept nogil

# How many of the pairs of a step share a code with another pair.
cdef uint32_t shared_matches(const Step *inner, uint8_t first, uint8_t second) noexcept nogil

# Make the same token of three codes by way of another pair.
cdef void regroup_steps(Step *inner, Step *outer, uint8_t first, uint8_t second) noexcept nogil

# Add to the history of a step what it does to other strings.
cdef void add_stats(pair_stats *total, const pair_stats *part, const uint8_t *code_of) noexcept nogil

# Subtract from the history of some steps what they do to strings that are taken out.
cdef void run_out(Stream *gone, Step *steps, int count) noexcept nogil

# How many steps at the front of two tables are the same.
cdef int common_steps(TokenTable table, TokenTable old) noexcept nogil
