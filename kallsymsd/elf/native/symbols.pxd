# SPDX-License-Identifier: GPL-2.0-only
"""Declares Symbols, and the numbers of elf.h that its columns contain, for the other native modules."""

from cpython.buffer cimport Py_buffer
from libc.stdint cimport uint8_t, uint32_t, uint64_t

cdef enum:
    STB_LOCAL = 0
    STB_GLOBAL = 1
    STB_WEAK = 2
    STB_GNU_UNIQUE = 10
    STT_OBJECT = 1
    STT_FUNC = 2
    STT_SECTION = 3
    STT_FILE = 4
    STT_COMMON = 5
    STT_GNU_IFUNC = 10
    SHN_UNDEF = 0

cdef enum:
    # Reserved indices, with their values in Symbols.sections.
    SHN_FIRST = 0xffffff00    # indices from here on stand for no section
    SHN_ABS = 0xfffffff1
    SHN_COMMON = 0xfffffff2


cdef class Symbols:
    cdef readonly bytes values
    cdef readonly bytes sizes
    cdef readonly bytes names
    cdef readonly bytes infos
    cdef readonly bytes sections
    cdef readonly object strings
    cdef Py_buffer buffer        # the buffer of strings; its owner is NULL if there is none
    # The same columns for native code.
    cdef const uint64_t *value
    cdef const uint64_t *size
    cdef const uint32_t *name
    cdef const uint8_t *info
    cdef const uint32_t *section
    cdef const uint8_t *text
    cdef size_t count, text_size

    cdef void fill(self, Py_buffer *table, Py_buffer *large, bint wide, bint big_endian) except *
