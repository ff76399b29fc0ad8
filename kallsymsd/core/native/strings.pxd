# SPDX-License-Identifier: GPL-2.0-only
"""Declares Strings for the other native modules."""

from libc.stdint cimport uint8_t, uint32_t


cdef class Strings:
    cdef readonly bytes data
    cdef readonly bytes starts
    cdef const uint8_t *byte     # the bytes of data
    cdef const uint32_t *start   # the count + 1 numbers of starts
    cdef size_t count
