# SPDX-License-Identifier: GPL-2.0-only
"""Declares how the symbols of a map are sorted."""

from libc.stdint cimport uint32_t

from kallsymsd.core.native.mapparser cimport Parsed

cdef bint is_ascending(const Parsed *parsed) noexcept nogil
cdef int sort_symbols(Parsed *parsed, uint32_t *rank, bint ascending) noexcept nogil
