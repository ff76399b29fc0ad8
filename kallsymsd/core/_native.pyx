# SPDX-License-Identifier: GPL-2.0-only
# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
# cython: embedsignature=False, binding=False
"""The native core: every loop over symbols or bytes.

One extension module, one included file for each stage; the loops run without the GIL. Columns are bytes
objects in the byte order of this machine: addresses u64, starts u32, orders u32. ``strings`` is the type
letters and names, each string followed by a zero byte; string i begins at ``starts[i]``, and
``starts[n] == len(strings)``.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from cpython.ref cimport Py_DECREF, PyObject, Py_XDECREF
from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memchr, memcmp, memcpy, memmove, memset, strchr, strcmp, strlen, strstr

ctypedef const unsigned char[::1] Bytes


cdef inline bytes _bytes(const void *data, size_t size):
    return PyBytes_FromStringAndSize(<const char *>data, <Py_ssize_t>size)


cdef extern from "Python.h":
    # Bytes objects that are filled first and get their size later.
    PyObject *new_bytes "PyBytes_FromStringAndSize" (const char *data, Py_ssize_t size) except NULL
    char *bytes_data "PyBytes_AS_STRING" (PyObject *data) nogil
    int resize_bytes "_PyBytes_Resize" (PyObject **data, Py_ssize_t size) except -1


cdef bytes _finished(PyObject **data, size_t size):
    """The first ``size`` bytes of a bytes object that nobody else has; takes it over."""
    resize_bytes(data, <Py_ssize_t>size)
    cdef bytes finished = <bytes>data[0]
    Py_DECREF(finished)
    data[0] = NULL
    return finished


cdef inline const uint8_t *_pointer(Bytes data) noexcept:
    """Start of a buffer; a valid pointer for an empty one too."""
    return &data[0] if data.shape[0] else <const uint8_t *>b""


cdef void *_allocate(size_t size) except NULL:
    cdef void *memory = malloc(size if size else 1)
    if memory == NULL:
        raise MemoryError(f"cannot allocate {size} bytes")
    return memory


cdef extern from *:
    """
    #include <malloc.h>

    static void keep_freed_memory(int most)
    {
    #if defined(__GLIBC__)
        mallopt(M_ARENA_MAX, 1);
        mallopt(M_MMAP_MAX, 0);
        mallopt(M_TRIM_THRESHOLD, most);
    #endif
    }

    static void give_back_freed_memory(void)
    {
    #if defined(__GLIBC__)
        malloc_trim(0);
    #endif
    }

    static void touch_pages(volatile char *memory, size_t size)
    {
        for (size_t at = 0; at < size; at += 4096)
            memory[at] = 0;
    }
    """
    void keep_freed_memory(int most)
    void give_back_freed_memory() nogil
    void touch_pages(char *memory, size_t size) nogil


def reuse_memory(int most):
    """Let malloc keep up to ``most`` freed bytes instead of giving them back; for a daemon.

    Columns of megabytes would otherwise be mapped, zeroed and unmapped for each request, which costs more than
    filling them. One arena, so that what one thread frees another one can use.
    """
    keep_freed_memory(most)


def give_back_memory():
    """Give the system all memory that malloc has freed, wherever it lies."""
    with nogil:
        give_back_freed_memory()


def touch_memory(size_t size):
    """Make malloc have ``size`` bytes at hand that were touched before, so that the first request need not."""
    cdef void *memory = _allocate(size)
    with nogil:
        touch_pages(<char *>memory, size)
    free(memory)


include "native/hex.pxi"
include "native/filter.pxi"
include "native/parse.pxi"
include "native/sort.pxi"
include "native/sysmap.pxi"
include "native/order.pxi"
include "native/tokens.pxi"
include "native/history.pxi"
include "native/taken.pxi"
include "native/replay.pxi"
include "native/align.pxi"
include "native/moved.pxi"
include "native/encode.pxi"
include "native/listing.pxi"
include "native/symtab.pxi"
include "native/mksysmap.pxi"
include "native/nm.pxi"
include "native/inputs.pxi"
