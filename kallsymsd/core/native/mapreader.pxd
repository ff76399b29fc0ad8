# SPDX-License-Identifier: GPL-2.0-only
"""Declares Origin for the other native modules."""


cdef class Origin:
    cdef readonly size_t width
    cdef readonly bytes places
    cdef readonly bytes ranks
    cdef readonly tuple ranges
