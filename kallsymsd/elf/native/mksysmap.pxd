# SPDX-License-Identifier: GPL-2.0-only
"""Declares DroppedSymbols for the other native modules."""

from libc.stdint cimport uint8_t
from libc.string cimport memchr

cdef struct Rule:
    uint8_t way
    const char *text
    size_t size

cdef struct Rules:
    Rule *rule
    size_t count
    # First and last bytes of names that a rule may fit, and whether one may fit any name with a dot.
    uint8_t[256] first
    uint8_t[256] last
    bint inside


cdef class DroppedSymbols:
    cdef readonly bytes types
    cdef readonly bytes names
    cdef const char *letters     # those of types
    cdef Rules rules


# Whether one of the rules fits a name, which a zero follows; is_dropped() asks only if it may.
cdef bint any_fits(const Rules *rules, const uint8_t *name, size_t length) noexcept nogil


cdef inline bint is_dropped(const Rules *rules, const uint8_t *name, size_t length) noexcept nogil:
    """Whether a rule fits a name, which a zero follows."""
    return (
        rules.first[name[0]]
        or (length and rules.last[name[length - 1]])
        or (rules.inside and memchr(name, c'.', length) != NULL)
    ) and any_fits(rules, name, length)
