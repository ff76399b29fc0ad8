# SPDX-License-Identifier: GPL-2.0-only
"""Declares how the symbols of a map are sorted."""

from libc.stdint cimport uint32_t

from kallsymsd.core.native.mapparser cimport Parsed

# Whether the addresses are already sorted.
cdef bint is_ascending(const Parsed *parsed) noexcept nogil

# Sort the symbols; rank[i] is the new position of symbol i. Returns -1 if there is no memory.
cdef int sort_symbols(Parsed *parsed, uint32_t *rank, bint ascending) noexcept nogil
