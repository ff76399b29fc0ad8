# SPDX-License-Identifier: GPL-2.0-only
"""Columns of a new table that are made from the columns of the old one: codes and name order."""

from cpython.bytes cimport PyBytes_AS_STRING
from cpython.ref cimport PyObject, Py_XDECREF
from libc.stdint cimport uint8_t, uint32_t
from libc.stdlib cimport free
from libc.string cimport memcpy, memmove, memset, strcmp, strlen

from kallsymsd.core.native.alignment cimport NO_SOURCE, Alignment
from kallsymsd.core.native.columns cimport allocate, bytes_data, finished, new_bytes, new_column, u8, u32
from kallsymsd.core.native.nameorder cimport Names, cut_names, names_of, sort_names
from kallsymsd.core.native.simd cimport rename_all
from kallsymsd.core.native.sorting cimport Entry
from kallsymsd.core.native.strings cimport Strings


def splice(Strings codes, bytes source, bytes added_codes, bytes rename):
    """The codes of a new table: from ``codes`` for symbols that stayed, from ``added_codes`` for the others.

    ``codes`` are those of the old table, and ``source`` is like Alignment.source. ``added_codes`` are in the
    order of the new table, each string followed by a zero. Every byte is mapped through the 256 bytes of
    ``rename``.
    """
    cdef const uint8_t *code = codes.byte
    cdef const uint32_t *start = codes.start
    cdef const uint32_t *origin = u32(source)
    cdef const uint8_t *fresh = u8(added_codes)
    cdef const uint8_t *name_of = u8(rename)
    cdef size_t count = <size_t>len(source) // 4, i = 0, run, size = 0, length
    cdef PyObject *spliced = NULL
    cdef uint8_t *out
    try:
        # No old symbol is the source of two new ones, so this is enough.
        spliced = new_bytes(NULL, len(codes.data) + len(added_codes))
        out = <uint8_t *>bytes_data(spliced)
        with nogil:
            while i < count:
                run = 1
                if origin[i] == <uint32_t>NO_SOURCE:
                    length = strlen(<const char *>fresh) + 1
                    memcpy(out + size, fresh, length)
                    fresh += length
                else:
                    while i + run < count and origin[i + run] == origin[i] + run:
                        run += 1
                    length = start[origin[i] + run] - start[origin[i]]
                    memcpy(out + size, code + start[origin[i]], length)
                size += length
                i += run
            rename_all(out, size, name_of)
        return finished(&spliced, size)
    finally:
        Py_XDECREF(spliced)


cdef inline int _compare_names(const Names *names, uint32_t a, uint32_t b) noexcept nogil:
    return strcmp(
        <const char *>names.string + names.start[a] + 1, <const char *>names.string + names.start[b] + 1
    )


cdef bint _goes_before(const Names *names, uint32_t a, uint32_t b) noexcept nogil:
    """Whether symbol a comes before symbol b in name order."""
    cdef int order = _compare_names(names, a, b)
    return order < 0 or (order == 0 and a < b)


def merge_name_order(bytes old_order, Alignment alignment, bytes cut):
    """The name order of a new table, made from the name order of the old one."""
    cdef const uint32_t *old_position = u32(old_order)
    cdef const uint32_t *origin = u32(alignment.source)
    cdef const uint32_t *fresh = u32(alignment.added)
    cdef size_t old_count = alignment.old.count, count = alignment.new.count
    cdef size_t fresh_count = <size_t>len(alignment.added) // 4
    cdef size_t i, k, kept = 0, low, high, middle
    cdef bytes order = new_column(count * sizeof(uint32_t))
    cdef uint32_t *out = <uint32_t *>PyBytes_AS_STRING(order)
    cdef uint32_t *now = NULL
    cdef Entry *entries = NULL
    cdef Entry *spare = NULL
    cdef bint monotonic = True
    cdef uint32_t last = 0, moved
    cdef bytes texts = cut_names(alignment.new, cut)
    cdef Names names = names_of(texts, alignment.new)
    try:
        now = <uint32_t *>allocate(old_count * sizeof(uint32_t))
        entries = <Entry *>allocate(fresh_count * sizeof(Entry))
        spare = <Entry *>allocate(fresh_count * sizeof(Entry))
        with nogil:
            memset(now, 0xff, old_count * sizeof(uint32_t))
            for i in range(count):
                if origin[i] != <uint32_t>NO_SOURCE:
                    now[origin[i]] = <uint32_t>i
                    if kept and origin[i] < last:
                        monotonic = False
                    last = origin[i]
                    kept = 1
            # First the symbols that stayed. If some changed places, equal names may have to do so, too.
            kept = 0
            for i in range(old_count):
                moved = now[old_position[i]]
                if moved != <uint32_t>NO_SOURCE:
                    k = kept
                    if not monotonic:
                        while k and moved < out[k - 1] and _compare_names(&names, out[k - 1], moved) == 0:
                            out[k] = out[k - 1]
                            k -= 1
                    out[k] = moved
                    kept += 1
            for i in range(fresh_count):
                entries[i].index = fresh[i]
            sort_names(&names, entries, spare, fresh_count)
            # From the back: a kept symbol moves up by the number of added symbols before it.
            high = kept
            for i in range(fresh_count):
                k = fresh_count - 1 - i
                low = 0
                middle = high
                while low < middle:
                    if _goes_before(&names, out[(low + middle) // 2], entries[k].index):
                        low = (low + middle) // 2 + 1
                    else:
                        middle = (low + middle) // 2
                memmove(out + low + k + 1, out + low, (high - low) * sizeof(uint32_t))
                out[low + k] = entries[k].index
                high = low
        return order
    finally:
        free(now)
        free(entries)
        free(spare)
