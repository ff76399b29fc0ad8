# SPDX-License-Identifier: GPL-2.0-only
"""Declares how the symbols of a map are sorted."""

from libc.stdint cimport uint32_t

from kallsymsd.core.native.mapparser cimport Parsed

# Whether the addresses come sorted.
cdef bint is_ascending(const Parsed *parsed) noexcept nogil

# Sort the symbols; rank[i] is where symbol i went. -1 without memory.
cdef int sort_symbols(Parsed *parsed, uint32_t *rank, bint ascending) noexcept nogil
