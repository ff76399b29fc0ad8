# SPDX-License-Identifier: GPL-2.0-only
"""Columns and codes -> the bytes of the kernel's tables, numbers in the byte order of this machine."""

cdef enum:
    # What the address column holds; the numbers stand in tables.py too.
    UNSIGNED = 0              # address - base, 0 .. 2**32-1
    PERCPU = 1                # absolute symbols: the address; others: base - 1 - address, negative
    PC_RELATIVE = 2           # address - base, -2**31 .. 2**31-1
    LOW_HALF = 3              # the low 32 bits of the address, whatever they are


def encode_names(Bytes codes, size_t count, bint has_zero, uint8_t zero_first, uint8_t zero_second, int marker_shift):
    """``(names, markers, code_starts)`` of ``count`` strings in codes, each followed by a zero.

    names: for each string its length in ULEB128 (one or two bytes, at most 0x3fff) and its codes, with the
    token of code 0 applied. markers: u32 offset in names of every 2**marker_shift'th string. code_starts: u32
    offset in ``codes`` of each string and their end.
    """
    cdef const uint8_t *code = _pointer(codes)
    cdef size_t size = <size_t>codes.shape[0], mask = (<size_t>1 << marker_shift) - 1, front = 0
    cdef bytes markers = _bytes(NULL, ((count + mask) >> marker_shift) * sizeof(uint32_t))
    cdef uint8_t *padded = NULL
    cdef uint8_t *out
    cdef uint8_t first = zero_first if has_zero else 0
    cdef PyObject *names = NULL
    cdef PyObject *starts = NULL
    cdef spelled columns
    memset(&columns, 0, sizeof(columns))
    columns.marker = <uint32_t *>PyBytes_AS_STRING(markers)
    columns.marker_shift = marker_shift
    # All strings but the last few have readable memory behind them.
    if size > PAIR_GAP:
        front = size - PAIR_GAP
        while front and code[front - 1]:
            front -= 1
    try:
        padded = <uint8_t *>_allocate(size - front + PAIR_GAP)
        starts = new_bytes(NULL, (count + 1 + SPELL_GAP) * sizeof(uint32_t))
        columns.start = <uint32_t *>bytes_data(starts)
        names = new_bytes(NULL, size + count + PAIR_GAP)
        out = <uint8_t *>bytes_data(names)
        with nogil:
            pair_spell(out, code, front, first, zero_second, &columns)
            memcpy(padded, code + front, size - front)
            memset(padded + size - front, 0, PAIR_GAP)
            pair_spell(out + columns.made, padded, size - front, first, zero_second, &columns)
        return (
            _finished(&names, columns.made),
            markers,
            _finished(&starts, (count + 1) * sizeof(uint32_t)),
        )
    finally:
        free(padded)
        Py_XDECREF(names)
        Py_XDECREF(starts)


def encode_seqs(Bytes order):
    """Three bytes, most significant first, for each u32 of ``order``."""
    cdef const uint32_t *position = <const uint32_t *>_pointer(order)
    cdef size_t count = <size_t>order.shape[0] // 4, i
    cdef bytes seqs = _bytes(NULL, 3 * count)
    cdef uint8_t *out = <uint8_t *>PyBytes_AS_STRING(seqs)
    with nogil:
        for i in range(count):
            out[3 * i] = <uint8_t>(position[i] >> 16)
            out[3 * i + 1] = <uint8_t>(position[i] >> 8)
            out[3 * i + 2] = <uint8_t>position[i]
    return seqs


def encode_offsets(Bytes addresses, uint64_t base, int form, uint64_t percpu_first, uint64_t percpu_last):
    """``(offsets, bad)``: the address column as u32, and the first symbol out of range or -1.

    Symbols with an address in percpu_first .. percpu_last are absolute (form PERCPU).
    """
    cdef const uint64_t *address = <const uint64_t *>_pointer(addresses)
    cdef size_t count = <size_t>addresses.shape[0] // 8, i
    cdef Py_ssize_t bad = -1
    cdef bytes offsets = _bytes(NULL, 4 * count)
    cdef uint32_t *out = <uint32_t *>PyBytes_AS_STRING(offsets)
    cdef uint64_t value
    cdef int64_t difference
    with nogil:
        for i in range(count):
            if form == UNSIGNED:
                value = address[i] - base
                if value >> 32 and bad < 0:
                    bad = <Py_ssize_t>i
            elif form == PERCPU:
                if percpu_first <= address[i] <= percpu_last:
                    value = address[i]
                    if value > 0x7fffffff and bad < 0:
                        bad = <Py_ssize_t>i
                else:
                    value = base - address[i] - 1
                    difference = <int64_t>value
                    if (difference >= 0 or difference < -<int64_t>0x80000000) and bad < 0:
                        bad = <Py_ssize_t>i
            elif form == PC_RELATIVE:
                value = address[i] - base
                difference = <int64_t>value
                if (difference > 0x7fffffff or difference < -<int64_t>0x80000000) and bad < 0:
                    bad = <Py_ssize_t>i
            else:
                value = address[i]
            out[i] = <uint32_t>value
    return offsets, bad


def encode_distances(Bytes offsets, int64_t start):
    """``(distances, is_bad)``: entry i plus ``start`` minus 4 * i, i32; bad if one does not fit.

    With i32 ``offsets`` from _text and ``start`` the distance of _text from the first entry that is the
    distance of each symbol from its own entry.
    """
    cdef const int32_t *offset = <const int32_t *>_pointer(offsets)
    cdef size_t count = <size_t>offsets.shape[0] // 4, i
    cdef bytes distances = _bytes(NULL, 4 * count)
    cdef int32_t *out = <int32_t *>PyBytes_AS_STRING(distances)
    cdef int64_t value
    cdef bint is_bad = False
    with nogil:
        for i in range(count):
            value = offset[i] + start - 4 * <int64_t>i
            is_bad |= value > 0x7fffffff or value < -<int64_t>0x80000000
            out[i] = <int32_t>value
    return distances, is_bad


def first_outside(Bytes addresses, uint64_t first, uint64_t last):
    """Position of the first address that is not in first .. last, or -1."""
    cdef const uint64_t *address = <const uint64_t *>_pointer(addresses)
    cdef size_t count = <size_t>addresses.shape[0] // 8, i
    for i in range(count):
        if not first <= address[i] <= last:
            return i
    return -1
