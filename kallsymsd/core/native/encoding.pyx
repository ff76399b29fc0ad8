# SPDX-License-Identifier: GPL-2.0-only
"""Columns and codes -> the bytes of the kernel's tables, numbers in the byte order of this machine."""

from cpython.bytes cimport PyBytes_AS_STRING
from cpython.ref cimport PyObject, Py_XDECREF
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport free
from libc.string cimport memcpy, memset

from kallsymsd.core.native.columns cimport allocate, bytes_data, finished, new_bytes, new_column, u8, u32, u64
from kallsymsd.core.native.simd cimport PAIR_GAP, SPELL_GAP, spell_names, spelled
from kallsymsd.core.native.sorting cimport first_from
from kallsymsd.core.native.strings cimport Strings
from kallsymsd.core.native.text cimport store_be32

cdef enum:
    # What the address column holds. tables.py has the same numbers.
    UNSIGNED = 0              # address - base, 0 .. 2**32-1
    PERCPU = 1                # the address of an absolute symbol; for others base - 1 - address, negative
    PC_RELATIVE = 2           # address - base, -2**31 .. 2**31-1
    LOW_HALF = 3              # the low 32 bits of the address, without a check


def encode_names(bytes codes, size_t count, zero_pair, int marker_shift):
    """``(names, markers, codes)`` for ``count`` strings in codes, each followed by a zero.

    names   for each string, its length as ULEB128 (one or two bytes, at most 0x3fff), then its codes with the
            token of code 0 (TokenTable.zero_pair) applied
    markers u32: offset in names of every 2**marker_shift'th string
    codes   the given codes, as Strings
    """
    cdef const uint8_t *code = u8(codes)
    cdef size_t size = <size_t>len(codes), mask = (<size_t>1 << marker_shift) - 1, front = 0
    cdef bytes markers = new_column(((count + mask) >> marker_shift) * sizeof(uint32_t))
    cdef uint8_t *padded = NULL
    cdef uint8_t *out
    cdef uint8_t first = zero_pair[0] if zero_pair else 0, second = zero_pair[1] if zero_pair else 0
    cdef PyObject *names = NULL
    cdef PyObject *starts = NULL
    cdef spelled columns
    memset(&columns, 0, sizeof(columns))
    columns.marker = <uint32_t *>PyBytes_AS_STRING(markers)
    columns.marker_shift = marker_shift
    # All strings except the last few have enough readable memory after them. Those few are copied and padded.
    if size > PAIR_GAP:
        front = size - PAIR_GAP
        while front and code[front - 1]:
            front -= 1
    try:
        padded = <uint8_t *>allocate(size - front + PAIR_GAP)
        starts = new_bytes(NULL, (count + 1 + SPELL_GAP) * sizeof(uint32_t))
        columns.start = <uint32_t *>bytes_data(starts)
        names = new_bytes(NULL, size + count + PAIR_GAP)
        out = <uint8_t *>bytes_data(names)
        with nogil:
            spell_names(out, code, front, first, second, &columns)
            memcpy(padded, code + front, size - front)
            memset(padded + size - front, 0, PAIR_GAP)
            spell_names(out + columns.made, padded, size - front, first, second, &columns)
        return (
            finished(&names, columns.made),
            markers,
            Strings(codes, finished(&starts, (count + 1) * sizeof(uint32_t))),
        )
    finally:
        free(padded)
        Py_XDECREF(names)
        Py_XDECREF(starts)


def encode_seqs(bytes order):
    """Three bytes, most significant first, for each u32 of ``order``."""
    cdef const uint32_t *position = u32(order)
    cdef size_t count = <size_t>len(order) // 4, i
    cdef bytes seqs = new_column(3 * count)
    cdef uint8_t *out = <uint8_t *>PyBytes_AS_STRING(seqs)
    with nogil:
        # Four bytes at a time; the next number overwrites the fourth.
        for i in range(count - 1 if count else 0):
            store_be32(out + 3 * i, position[i] << 8)
        for i in range(3 * count - 3 if count else 0, 3 * count):
            out[i] = <uint8_t>(position[count - 1] >> (8 * (3 * count - 1 - i)))
    return seqs


cdef size_t _address_column(
    uint32_t *out, const uint64_t *address, size_t count, uint64_t base, uint64_t flipped, uint64_t bias,
    uint64_t outside
) noexcept nogil:
    """Write (address - base) ^ flipped for each address.

    Returns the position of the first address for which address - base + bias has one of the bits ``outside``,
    or ``count`` if there is none.
    """
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


def encode_offsets(bytes addresses, uint64_t base, int form, uint64_t percpu_first, uint64_t percpu_last):
    """``(offsets, bad)``: the address column as u32, and the position of the first bad address or -1.

    An address is bad if it is out of range. ``addresses`` are u64, ascending. In form PERCPU, those in
    percpu_first .. percpu_last are absolute.
    """
    cdef const uint64_t *address = u64(addresses)
    cdef size_t count = <size_t>len(addresses) // 8, first = 0, last = 0, bad
    cdef bytes offsets = new_column(4 * count)
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
                first = first_from(address, count, percpu_first)
                last = first + first_from(address + first, count - first, percpu_last)
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


def encode_distances(bytes offsets, int64_t start):
    """``(distances, is_bad)``: entry i plus ``start`` minus 4 * i, as i32; is_bad if one does not fit.

    If ``offsets`` are i32 from _text, and ``start`` is the distance from the first entry to _text, the result
    is the distance from each entry to its symbol.
    """
    cdef const int32_t *offset = <const int32_t *>u32(offsets)
    cdef size_t count = <size_t>len(offsets) // 4, i
    cdef bytes distances = new_column(4 * count)
    cdef int32_t *out = <int32_t *>PyBytes_AS_STRING(distances)
    cdef int64_t value
    cdef bint is_bad = False
    with nogil:
        for i in range(count):
            value = offset[i] + start - 4 * <int64_t>i
            is_bad |= value > 0x7fffffff or value < -<int64_t>0x80000000
            out[i] = <int32_t>value
    return distances, is_bad


def first_outside(bytes addresses, uint64_t first, uint64_t last):
    """Position of the first address that is not in first .. last, or -1."""
    cdef const uint64_t *address = u64(addresses)
    cdef size_t count = <size_t>len(addresses) // 8, i
    for i in range(count):
        if not first <= address[i] <= last:
            return i
    return -1
