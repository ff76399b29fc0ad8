# SPDX-License-Identifier: GPL-2.0-only
"""Declares the strings that an update of a token table keeps, and how to take some of them out."""

from libc.stdint cimport int32_t, uint8_t, uint16_t, uint32_t

from kallsymsd.core.native.simd cimport CODES
from kallsymsd.core.native.strings cimport Strings
from kallsymsd.core.native.tokentable cimport Step, Stream

cdef enum:
    NAME_LIMIT = 512          # KSYM_NAME_LEN of releases: no string and no token of their tables is longer
    TAKEN = 0x80000000        # no table has this many strings


cdef struct Kept:
    # The strings of the new table, and the codes of the strings that were in the old one.
    const uint8_t *string
    const uint32_t *start
    size_t count
    const uint8_t *code
    const uint32_t *code_start
    # For each string the number of the old one, NO_SOURCE if it was added, TAKEN + n if it was the n-th taken
    # out. source is a copy of old_source, made when the first string is taken out.
    const uint32_t *old_source
    uint32_t *source
    uint32_t *found           # strings to take out next
    Stream batch              # the same strings, in identities
    size_t room               # bytes of strings that may still be taken out
    uint32_t taken            # strings taken out so far


cdef struct Texts:
    # The text of each identity. No token is longer than a string: type letter and at most 511 bytes of name.
    uint8_t text[CODES * NAME_LIMIT]
    uint16_t length[CODES]


cdef struct Ends:
    # The ends of the text of each code of the old table at some step: what it takes to find a pair.
    uint8_t first[CODES]
    uint8_t last[CODES]
    uint8_t inside[CODES]     # whether the text contains the pair


# The number of times that a pair occurs in a stream.
cdef size_t count_pair(const Stream *stream, uint8_t a, uint8_t b) noexcept nogil

# The text of each identity before some steps.
cdef void undo(Texts *texts, const Step *steps, int count) noexcept nogil

# The ends of the text of each code before some steps, and whether it contains a pair.
cdef void find_ends(Ends *ends, const Step *steps, int count, uint8_t a, uint8_t b) noexcept nogil

# Find kept strings that contain a text and whose codes have a pair. Returns their number, -1 without room.
cdef Py_ssize_t find_holders(
    Kept *kept, const int32_t *initial, const uint8_t *text, size_t size, const Ends *ends, uint8_t a, uint8_t b
) noexcept nogil

# Take out the strings that were found, and append them to the live ones.
cdef void take_found(
    Kept *kept, Py_ssize_t count, Stream *live, const Texts *texts, const uint8_t *code_of
) noexcept nogil

# Write the live strings in symbol order.
cdef void put_in_order(uint8_t *out, Kept *kept, const Stream *live) noexcept nogil

# Write all strings as they are before some step; kept strings are made from their old codes.
cdef void write_all(
    Stream *stream, const uint32_t *source, size_t count, Strings codes, const uint8_t *live, const Texts *texts
) noexcept nogil
