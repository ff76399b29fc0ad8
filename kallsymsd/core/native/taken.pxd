# SPDX-License-Identifier: GPL-2.0-only
"""Declares the strings that an update of a token table keeps, and how some of them are taken out."""

from libc.stdint cimport int32_t, uint8_t, uint16_t, uint32_t

from kallsymsd.core.native.simd cimport CODES
from kallsymsd.core.native.strings cimport Strings
from kallsymsd.core.native.tokentable cimport Step, Stream

cdef enum:
    NAME_LIMIT = 512          # KSYM_NAME_LEN of releases: no string, and no token, of their tables is longer
    TAKEN = 0x80000000        # no table has so many strings


cdef struct Kept:
    # The strings of the new table, and the codes of those that were in the old one.
    const uint8_t *string
    const uint32_t *start
    size_t count
    const uint8_t *code
    const uint32_t *code_start
    # For each string the old one it is, NO_SOURCE if it was added, TAKEN + n if it was the n-th to be taken out.
    # A copy of old_source, made when the first one is taken out.
    const uint32_t *old_source
    uint32_t *source
    uint32_t *found           # strings to take out next
    Stream batch              # the same, in codes
    size_t room               # bytes of strings that may still be taken out
    uint32_t taken            # strings taken out so far


cdef struct Texts:
    # What each identity stands for. No token is longer than a string: type letter and at most 511 bytes of name.
    uint8_t text[CODES * NAME_LIMIT]
    uint16_t length[CODES]


cdef struct Ends:
    # What each code of the old table stands for at some step, as far as a pair can be seen in it.
    uint8_t first[CODES]
    uint8_t last[CODES]
    uint8_t inside[CODES]     # the pair is in it


# How often a pair is in a stream.
cdef size_t count_pair(const Stream *stream, uint8_t a, uint8_t b) noexcept nogil

# What each identity stood for before some steps.
cdef void undo(Texts *texts, const Step *steps, int count) noexcept nogil

# The ends of what each code stood for before some steps, and whether a pair is in it.
cdef void find_ends(Ends *ends, const Step *steps, int count, uint8_t a, uint8_t b) noexcept nogil

# Look for kept strings with a text whose codes have a pair; how many there are, -1 without room for them.
cdef Py_ssize_t find_holders(
    Kept *kept, const int32_t *initial, const uint8_t *text, size_t size, const Ends *ends, uint8_t a, uint8_t b
) noexcept nogil

# Take the strings found out, and put them behind the live ones.
cdef void take_found(
    Kept *kept, Py_ssize_t count, Stream *live, const Texts *texts, const uint8_t *code_of
) noexcept nogil

# Write the live strings in the order of the symbols.
cdef void put_in_order(uint8_t *out, Kept *kept, const Stream *live) noexcept nogil

# Write all strings, kept ones from their old codes, as they are before some step.
cdef void write_all(
    Stream *stream, const uint32_t *source, size_t count, Strings codes, const uint8_t *live, const Texts *texts
) noexcept nogil
