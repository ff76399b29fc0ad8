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
    # First and last bytes of names that a rule may match, and whether a rule may match any name with a dot.
    uint8_t[256] first
    uint8_t[256] last
    bint inside


cdef class DroppedSymbols:
    cdef readonly bytes types
    cdef readonly bytes names
    cdef const char *letters     # the bytes of types
    cdef Rules rules


# Whether one of the rules matches a name, which a zero follows. is_dropped() calls it only if one may.
cdef bint any_fits(const Rules *rules, const uint8_t *name, size_t length) noexcept nogil


cdef inline bint is_dropped(const Rules *rules, const uint8_t *name, size_t length) noexcept nogil:
    """Whether a rule matches a name, which a zero follows."""
    return (
        rules.first[name[0]]
        or (length and rules.last[name[length - 1]])
        or (rules.inside and memchr(name, c'.', length) != NULL)
    ) and any_fits(rules, name, length)
