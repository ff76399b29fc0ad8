# SPDX-License-Identifier: GPL-2.0-only
"""Declares sorting by name for the other native modules."""

from libc.stdint cimport uint8_t, uint32_t

from kallsymsd.core.native.sorting cimport Entry
from kallsymsd.core.native.strings cimport Strings

cdef struct Names:
    const uint8_t *string     # the strings of all symbols, each followed by a zero
    const uint8_t *end        # the end of the last string
    const uint32_t *start     # where each string begins: its type letter, before the name

# Sort entries by name. The caller sets only their index. Equal names keep their order.
cdef void sort_names(Names *names, Entry *entries, Entry *spare, size_t count) noexcept nogil


# The data of strings, with a zero where cut first occurs in each name.
cdef bytes cut_names(Strings strings, bytes cut)

# The names in the result of cut_names(), which must outlive them.
cdef Names names_of(bytes texts, Strings strings)
