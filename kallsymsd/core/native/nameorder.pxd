# SPDX-License-Identifier: GPL-2.0-only
"""Declares sorting by name for the other native modules."""

from libc.stdint cimport uint8_t, uint32_t

from kallsymsd.core.native.sorting cimport Entry
from kallsymsd.core.native.strings cimport Strings

cdef struct Names:
    const uint8_t *string     # of all symbols; each ends with a zero
    const uint8_t *end        # behind the last string
    const uint32_t *start     # where the type letter before each name stands

# Sort entries, of which only the index is set, by name; equal names keep their order.
cdef void sort_names(Names *names, Entry *entries, Entry *spare, size_t count) noexcept nogil


# The data of strings, with a zero where the first cut of each name begins.
cdef bytes cut_names(Strings strings, bytes cut)

# The names in the result of cut_names(), which must outlive them.
cdef Names names_of(bytes texts, Strings strings)
