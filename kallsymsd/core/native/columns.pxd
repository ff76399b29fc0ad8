# SPDX-License-Identifier: GPL-2.0-only
"""Columns (bytes objects that hold numbers in the byte order of this machine), and memory for the loops."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from cpython.ref cimport Py_DECREF, PyObject
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.stdlib cimport malloc

cdef extern from "Python.h":
    # Bytes objects that are filled first and resized afterwards.
    PyObject *new_bytes "PyBytes_FromStringAndSize" (const char *data, Py_ssize_t size) except NULL
    char *bytes_data "PyBytes_AS_STRING" (PyObject *data) nogil
    int resize_bytes "_PyBytes_Resize" (PyObject **data, Py_ssize_t size) except -1


cdef inline const uint8_t *u8(bytes column) noexcept:
    return <const uint8_t *>PyBytes_AS_STRING(column)


cdef inline const uint32_t *u32(bytes column) noexcept:
    return <const uint32_t *>PyBytes_AS_STRING(column)


cdef inline const uint64_t *u64(bytes column) noexcept:
    return <const uint64_t *>PyBytes_AS_STRING(column)


cdef inline bytes copied(const void *data, size_t size):
    """A bytes object with a copy of these ``size`` bytes."""
    return PyBytes_FromStringAndSize(<const char *>data, <Py_ssize_t>size)


cdef inline bytes new_column(size_t size):
    """A bytes object of ``size`` bytes for the caller to fill."""
    return PyBytes_FromStringAndSize(NULL, <Py_ssize_t>size)


cdef inline bytes finished(PyObject **data, size_t size):
    """The first ``size`` bytes of an object of new_bytes() to which nothing else refers; takes it over."""
    resize_bytes(data, <Py_ssize_t>size)
    cdef bytes whole = <bytes>data[0]
    Py_DECREF(whole)
    data[0] = NULL
    return whole


cdef inline void *allocate(size_t size) except NULL:
    """Memory that the caller must free(). It is not NULL, even for size 0."""
    cdef void *memory = malloc(size if size else 1)
    if memory == NULL:
        raise MemoryError(f"cannot allocate {size} bytes")
    return memory
