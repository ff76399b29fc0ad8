# SPDX-License-Identifier: GPL-2.0-only
"""Declares the token table, its steps, and the stream of codes in which steps replace pairs."""

from libc.stdint cimport int32_t, uint8_t
from libc.string cimport memset

from kallsymsd.core.native.simd cimport CODES, PAIR_GAP, Counts, pair_stats, replace_pair

cdef struct Step:
    uint8_t first, second, code
    pair_stats stats

cdef struct Stream:
    uint8_t *memory           # all of it
    uint8_t *codes            # where the stream begins now
    size_t size               # bytes of stream, separators included


cdef inline size_t stream_room(size_t size) noexcept nogil:
    """Bytes of memory for a stream of ``size`` bytes: each of up to 255 passes moves it down by PAIR_GAP."""
    return PAIR_GAP * (CODES + 2) + size


cdef inline void stream_place(Stream *stream, size_t size) noexcept nogil:
    """Set a stream up for ``size`` bytes that the caller puts at ``stream.codes``."""
    stream.codes = stream.memory + PAIR_GAP * CODES
    stream.size = size
    (stream.codes - 1)[0] = 0
    memset(stream.codes + size, 0, PAIR_GAP)


cdef inline void stream_replace(Stream *stream, uint8_t a, uint8_t b, uint8_t code, pair_stats *stats) noexcept nogil:
    stream.size = replace_pair(stream.codes - PAIR_GAP, stream.codes, stream.size, a, b, code, stats)
    stream.codes -= PAIR_GAP
    # Pairs with a separator are not pairs.
    stats.left[0] = 0
    stats.right[0] = 0


cdef class TokenTable:
    cdef int32_t *initial      # pair counts of the strings, separators included
    cdef Step *steps           # every token but that of code 0
    cdef int step_count
    cdef bint has_zero         # code 0 is a token; it is given last, so no step follows it
    cdef uint8_t zero_first, zero_second

    # Make all steps, on a stream of the strings.
    cdef void run(self, Stream *stream) noexcept nogil

    # Make those behind the steps that the table has, whose effect stream and counts show.
    cdef void run_from(self, Stream *stream, Counts *counts) noexcept nogil

    # Which bytes some string has.
    cdef void find_literals(self, uint8_t *is_literal) noexcept nogil

    # The other codes in the order in which tokens get them; how many there are.
    cdef int free_codes(self, uint8_t *codes) noexcept nogil
