# SPDX-License-Identifier: GPL-2.0-only
"""Which strings of two tables are equal."""

from cpython.bytes cimport PyBytes_AS_STRING
from libc.stdint cimport uint32_t, uint64_t, uint8_t
from libc.stdlib cimport free
from libc.string cimport memcmp, memset

from kallsymsd.core.native.columns cimport allocate, copied, new_column
from kallsymsd.core.native.strings cimport Strings
from kallsymsd.core.native.text cimport equal_bytes

cdef enum:
    LOOKAHEAD = 48            # symbols to look ahead for where two tables agree again


cdef class Alignment:
    """The strings of two tables, with equal strings paired. Each string has at most one partner.

    old, new  the strings
    source    u32: for each new string the number of its old partner, 0xffffffff if it has none
    removed   u32: numbers of the old strings without a partner, in no particular order
    added     u32: numbers of the new strings without a partner, ascending
    """


cdef inline bint _same_string(Strings old, size_t i, Strings new, size_t j) noexcept nogil:
    cdef size_t length = old.start[i + 1] - old.start[i]
    return length == new.start[j + 1] - new.start[j] and (
        memcmp(old.byte + old.start[i], new.byte + new.start[j], length) == 0
    )


cdef size_t _equal_run(Strings old, size_t i, Strings new, size_t j) noexcept nogil:
    """The number of strings that are pairwise equal, starting at old[i] and new[j]."""
    cdef uint32_t old_from = old.start[i], new_from = new.start[j]
    cdef size_t size = min(old.start[old.count] - old_from, new.start[new.count] - new_from)
    cdef size_t equal = equal_bytes(old.byte + old_from, new.byte + new_from, size)
    cdef size_t low = i, high = old.count, middle
    # The last string that begins within the equal bytes is whole only if the next one begins there too.
    while low < high:
        middle = (low + high + 1) // 2
        if old.start[middle] - old_from <= equal:
            low = middle
        else:
            high = middle - 1
    return low - i


cdef bint _agree_again(Strings old, size_t *i, Strings new, size_t *j) noexcept nogil:
    """Step over a difference, to the nearest place where two neighbours (or the ends) agree, if any."""
    cdef size_t distance, a, b, x, y
    for distance in range(1, 2 * LOOKAHEAD):
        for a in range(distance + 1):
            b = distance - a
            x = i[0] + a
            y = j[0] + b
            if a > LOOKAHEAD or b > LOOKAHEAD or x >= old.count or y >= new.count:
                continue
            if _same_string(old, x, new, y) and (
                (x + 1 == old.count and y + 1 == new.count)
                or (x + 1 < old.count and y + 1 < new.count and _same_string(old, x + 1, new, y + 1))
            ):
                i[0] = x
                j[0] = y
                return True
    return False


cdef uint64_t _hash(const uint8_t *data, size_t size) noexcept nogil:
    """FNV-1a. Strings with equal hashes are then compared."""
    cdef uint64_t value = <uint64_t>0xcbf29ce484222325
    cdef size_t i
    for i in range(size):
        value = (value ^ data[i]) * <uint64_t>0x100000001b3
    return value


cdef struct Bucket:
    uint64_t hash
    uint32_t next             # position + 1 of the next entry of the chain, 0 at its end


cdef void _match_moved(
    Strings old, const uint32_t *removed, size_t *removed_count, Strings new, const uint32_t *added,
    size_t *added_count, uint32_t *source, uint32_t *heads, size_t heads_mask, Bucket *buckets, uint32_t *left
) noexcept nogil:
    """Pair added strings with equal removed ones, so that a symbol that moved keeps its codes.

    ``left`` receives the removed strings that remain; the added strings that remain follow at the old
    removed_count.
    """
    cdef size_t i, remaining = 0, old_count = removed_count[0]
    cdef uint32_t at
    cdef uint32_t *link
    cdef uint64_t value
    memset(heads, 0, (heads_mask + 1) * sizeof(uint32_t))
    # Backwards, so that of several equal strings the first is found first.
    for i in range(old_count):
        at = removed[old_count - 1 - i]
        value = _hash(old.byte + old.start[at], old.start[at + 1] - old.start[at])
        buckets[old_count - 1 - i].hash = value
        buckets[old_count - 1 - i].next = heads[value & heads_mask]
        heads[value & heads_mask] = <uint32_t>(old_count - i)
    for i in range(added_count[0]):
        at = added[i]
        value = _hash(new.byte + new.start[at], new.start[at + 1] - new.start[at])
        link = &heads[value & heads_mask]
        while link[0] and not (
            buckets[link[0] - 1].hash == value and _same_string(old, removed[link[0] - 1], new, at)
        ):
            link = &buckets[link[0] - 1].next
        if link[0]:
            source[at] = removed[link[0] - 1]
            link[0] = buckets[link[0] - 1].next
        else:
            left[old_count + remaining] = at
            remaining += 1
    added_count[0] = remaining
    remaining = 0
    # Entries that are still in a chain found no partner.
    for i in range(heads_mask + 1):
        at = heads[i]
        while at:
            left[remaining] = removed[at - 1]
            remaining += 1
            at = buckets[at - 1].next
    removed_count[0] = remaining


def align(Strings old, Strings new):
    """Pair the equal strings of two tables. Returns an Alignment."""
    cdef size_t i = 0, j = 0, run, k, removed_count = 0, added_count = 0, heads_mask = 15
    cdef uint32_t *removed = NULL
    cdef uint32_t *added = NULL
    cdef uint32_t *left = NULL
    cdef uint32_t *heads = NULL
    cdef Bucket *buckets = NULL
    cdef bytes sources = new_column(new.count * sizeof(uint32_t))
    cdef uint32_t *source = <uint32_t *>PyBytes_AS_STRING(sources)
    cdef Alignment alignment = Alignment()
    try:
        removed = <uint32_t *>allocate(old.count * sizeof(uint32_t))
        added = <uint32_t *>allocate(new.count * sizeof(uint32_t))
        with nogil:
            while i < old.count and j < new.count:
                run = _equal_run(old, i, new, j)
                for k in range(run):
                    source[j + k] = <uint32_t>(i + k)
                i += run
                j += run
                if i == old.count or j == new.count:
                    break
                run = i
                k = j
                if not _agree_again(old, &i, new, &j):
                    i = old.count
                    j = new.count
                while run < i:
                    removed[removed_count] = <uint32_t>run
                    removed_count += 1
                    run += 1
                while k < j:
                    source[k] = NO_SOURCE
                    added[added_count] = <uint32_t>k
                    added_count += 1
                    k += 1
            while i < old.count:
                removed[removed_count] = <uint32_t>i
                removed_count += 1
                i += 1
            while j < new.count:
                source[j] = NO_SOURCE
                added[added_count] = <uint32_t>j
                added_count += 1
                j += 1
        while heads_mask < removed_count:
            heads_mask = 2 * heads_mask + 1
        k = removed_count
        left = <uint32_t *>allocate((removed_count + added_count) * sizeof(uint32_t))
        heads = <uint32_t *>allocate((heads_mask + 1) * sizeof(uint32_t))
        buckets = <Bucket *>allocate(removed_count * sizeof(Bucket))
        with nogil:
            _match_moved(
                old, removed, &removed_count, new, added, &added_count, source, heads, heads_mask, buckets, left
            )
        alignment.old = old
        alignment.new = new
        alignment.source = sources
        alignment.removed = copied(left, removed_count * sizeof(uint32_t))
        alignment.added = copied(left + k, added_count * sizeof(uint32_t))
        return alignment
    finally:
        free(removed)
        free(added)
        free(left)
        free(heads)
        free(buckets)
