# SPDX-License-Identifier: GPL-2.0-only
"""Declares the result of parsing map lines, and the two parsers."""

from libc.stdint cimport uint8_t, uint32_t, uint64_t

from kallsymsd.core.native.mapnames cimport Filter, Ranges

cdef enum:
    COPY_BLOCK = 64           # bytes copied at a time
    NO_ROOM = -3              # the columns are too small

cdef extern from "lines.h" nogil:
    struct columns:
        uint64_t *address
        uint32_t *start           # where each string begins; finally also where the last one ends
        uint32_t *place           # where in the text each name begins
        uint8_t *strings
        size_t count, used        # symbols and bytes of strings so far
        size_t room, strings_room # symbols and bytes of strings that fit

cdef struct Parsed:
    columns columns
    Ranges ranges
    size_t name_limit         # KSYM_NAME_LEN: names of this length or more are dropped with a warning
    size_t width              # digits of every kept symbol's address, 8 or 16; 0 once one differs
    # Names that are too long, as (offset, length) in the text.
    size_t *overlong
    size_t overlong_count, overlong_room

# Both parsers return 0, -1 if there is no memory, or NO_ROOM.

# Parse lines of the form "address type name" (dialects.GETLINE). It may also return the number of a malformed
# line, from 1.
cdef Py_ssize_t parse_getline(Parsed *parsed, Filter *filter, const uint8_t *text, size_t size) noexcept nogil

# Parse the text as fscanf does (dialects.FSCANF). It may also return -2 for an end of file within a line.
cdef Py_ssize_t parse_fscanf(Parsed *parsed, Filter *filter, const uint8_t *text, size_t size) noexcept nogil
