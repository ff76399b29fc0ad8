# SPDX-License-Identifier: GPL-2.0-only
"""Declares the token table, its steps, and the stream of codes in which steps replace pairs."""

from libc.stdint cimport int32_t, uint8_t
from libc.string cimport memset

from kallsymsd.core.native.simd cimport CODES, PAIR_GAP, Counts, pair_stats, replace_pair

cdef struct Step:
    uint8_t first, second, code
    pair_stats stats

cdef struct Stream:
    uint8_t *memory           # the whole block of memory
    uint8_t *codes            # where in it the stream begins now
    size_t size               # bytes of the stream, separators included


cdef inline size_t stream_room(size_t size) noexcept nogil:
    """Bytes of memory for a stream of ``size`` bytes. Each of up to 255 steps moves it down by PAIR_GAP."""
    return PAIR_GAP * (CODES + 2) + size


cdef inline void stream_place(Stream *stream, size_t size) noexcept nogil:
    """Set up a stream of ``size`` bytes, which the caller puts at ``stream.codes``."""
    stream.codes = stream.memory + PAIR_GAP * CODES
    stream.size = size
    (stream.codes - 1)[0] = 0
    memset(stream.codes + size, 0, PAIR_GAP)


cdef inline void stream_replace(Stream *stream, uint8_t a, uint8_t b, uint8_t code, pair_stats *stats) noexcept nogil:
    stream.size = replace_pair(stream.codes - PAIR_GAP, stream.codes, stream.size, a, b, code, stats)
    stream.codes -= PAIR_GAP
    # A code and a separator are not a pair.
    stats.left[0] = 0
    stats.right[0] = 0


cdef class TokenTable:
    cdef int32_t *initial      # pair counts of the strings, separators included
    cdef Step *steps           # every token except that of code 0
    cdef int step_count
    cdef bint has_zero         # whether code 0 is a token; it is assigned last, so no step follows it
    cdef uint8_t zero_first, zero_second

    # Make all steps, on a stream of the strings themselves.
    cdef void run(self, Stream *stream) noexcept nogil

    # Make the remaining steps. stream and counts must reflect the steps that the table already has.
    cdef void run_from(self, Stream *stream, Counts *counts) noexcept nogil

    # Which bytes occur in the strings.
    cdef void find_literals(self, uint8_t *is_literal) noexcept nogil

    # The other codes, in the order in which tokens get them. Returns their number.
    cdef int free_codes(self, uint8_t *codes) noexcept nogil
