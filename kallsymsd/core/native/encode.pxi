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
        # Four bytes at once, of which the last one is written over.
        for i in range(count - 1 if count else 0):
            store_be32(out + 3 * i, position[i] << 8)
        for i in range(3 * count - 3 if count else 0, 3 * count):
            out[i] = <uint8_t>(position[count - 1] >> (8 * (3 * count - 1 - i)))
    return seqs


cdef size_t _address_column(
    uint32_t *out, const uint64_t *address, size_t count, uint64_t base, uint64_t flipped, uint64_t bias,
    uint64_t outside
) noexcept nogil:
    """Addresses less ``base``, bits ``flipped``; the first that has, ``bias`` added, bits ``outside``, or count."""
    cdef uint64_t value, wrong = 0
    cdef size_t i
    for i in range(count):
        value = address[i] - base
        out[i] = <uint32_t>(value ^ flipped)
        wrong |= value + bias & outside
    if wrong == 0:
        return count
    i = 0
    while not address[i] - base + bias & outside:
        i += 1
    return i


def encode_offsets(Bytes addresses, uint64_t base, int form, uint64_t percpu_first, uint64_t percpu_last):
    """``(offsets, bad)``: the address column as u32, and the first symbol out of range or -1.

    Addresses are ascending; those in percpu_first .. percpu_last are absolute (form PERCPU).
    """
    cdef const uint64_t *address = <const uint64_t *>_pointer(addresses)
    cdef size_t count = <size_t>addresses.shape[0] // 8, first = 0, last = 0, bad
    cdef bytes offsets = _bytes(NULL, 4 * count)
    cdef uint32_t *out = <uint32_t *>PyBytes_AS_STRING(offsets)
    cdef uint64_t over_31 = ~<uint64_t>0x7fffffff, over_32 = ~<uint64_t>0xffffffff
    with nogil:
        if form == UNSIGNED:
            bad = _address_column(out, address, count, base, 0, 0, over_32)
        elif form == PC_RELATIVE:
            bad = _address_column(out, address, count, base, 0, 0x80000000, over_32)
        elif form == PERCPU:
            # base - 1 - address is the complement of address - base.
            if percpu_first <= percpu_last:
                first = _first_from(address, count, percpu_first)
                last = first + _first_from(address + first, count - first, percpu_last)
                while last < count and address[last] == percpu_last:
                    last += 1
            bad = _address_column(out, address, first, base, ~<uint64_t>0, 0, over_31)
            if bad == first:
                bad += _address_column(out + first, address + first, last - first, 0, 0, 0, over_31)
            if bad == last:
                bad += _address_column(out + last, address + last, count - last, base, ~<uint64_t>0, 0, over_31)
        else:
            bad = _address_column(out, address, count, 0, 0, 0, 0)
    return offsets, -1 if bad == count else bad


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
