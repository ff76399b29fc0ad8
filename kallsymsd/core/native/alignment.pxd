# SPDX-License-Identifier: GPL-2.0-only
"""Declares Alignment for the other native modules."""

from kallsymsd.core.native.strings cimport Strings

cdef enum:
    NO_SOURCE = 0xffffffff    # for an added symbol


cdef class Alignment:
    cdef readonly Strings old
    cdef readonly Strings new
    cdef readonly bytes source
    cdef readonly bytes removed
    cdef readonly bytes added
