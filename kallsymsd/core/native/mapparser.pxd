# SPDX-License-Identifier: GPL-2.0-only
"""Declares what map lines are parsed into, and the two parsers."""

from libc.stdint cimport uint8_t, uint32_t, uint64_t

from kallsymsd.core.native.mapnames cimport Filter, Ranges

cdef enum:
    COPY_BLOCK = 64           # bytes copied at once
    NO_ROOM = -3              # the columns are too small

cdef extern from "lines.h" nogil:
    struct columns:
        uint64_t *address
        uint32_t *start           # and, at the end, the end of the last string
        uint32_t *place           # where in the text each name begins
        uint8_t *strings
        size_t count, used        # symbols, and bytes of strings
        size_t room, strings_room # what there is room for

cdef struct Parsed:
    columns columns
    Ranges ranges
    size_t name_limit         # KSYM_NAME_LEN: longer names are dropped with a warning
    size_t width              # digits of every kept symbol's address: 8 or 16; 0 as soon as one differs
    # Names of that length and more, as (offset, length) in the text.
    size_t *overlong
    size_t overlong_count, overlong_room

# These two return 0, -1 without memory, or NO_ROOM.

# Lines "address type name" (dialects.GETLINE); also the number of a malformed line, from 1.
cdef Py_ssize_t parse_getline(Parsed *parsed, Filter *filter, const uint8_t *text, size_t size) noexcept nogil

# What fscanf makes of the text (dialects.FSCANF); also -2 for an end inside a line.
cdef Py_ssize_t parse_fscanf(Parsed *parsed, Filter *filter, const uint8_t *text, size_t size) noexcept nogil
