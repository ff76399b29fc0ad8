# SPDX-License-Identifier: GPL-2.0-only
"""Declares the operations on the history of a token table."""

from libc.stdint cimport uint8_t, uint32_t

from kallsymsd.core.native.simd cimport pair_stats
from kallsymsd.core.native.tokentable cimport Step, Stream, TokenTable

# Swap two neighbouring steps.
cdef void swap_steps(Step *earlier, Step *later) noexcept nogil

# Find two steps that make one token of three codes, two of which are a and b, side by side.
cdef bint find_nested(
    const Step *steps, int begin, int end, uint8_t a, uint8_t b, int *inner, int *outer
) noexcept nogil

# The number of a step's pairs that share a code with another pair.
cdef uint32_t shared_matches(const Step *inner, uint8_t first, uint8_t second) noexcept nogil

# Make the same token of three codes from another pair first.
cdef void regroup_steps(Step *inner, Step *outer, uint8_t first, uint8_t second) noexcept nogil

# Add to the history of a step its effect on other strings.
cdef void add_stats(pair_stats *total, const pair_stats *part, const uint8_t *code_of) noexcept nogil

# Subtract from the history of some steps their effect on strings that are taken out.
cdef void run_out(Stream *gone, Step *steps, int count) noexcept nogil

# The number of steps at the front of two tables that are the same.
cdef int common_steps(TokenTable table, TokenTable old) noexcept nogil
