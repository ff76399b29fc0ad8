# SPDX-License-Identifier: GPL-2.0-only
"""The order of the symbols by name."""

cdef struct Names:
    const uint8_t *string     # of all symbols
    const uint8_t *end        # behind the last string
    const uint32_t *start
    const uint32_t *length    # of each name without the type, as far as it counts for the order


cdef inline uint64_t _name_key(Names *names, uint32_t index, size_t depth) noexcept nogil:
    """Bytes depth .. depth+7 of a name as a big-endian number, zeros behind its end."""
    cdef const uint8_t *at = names.string + names.start[index] + 1 + depth
    cdef size_t length = names.length[index]
    cdef uint64_t key = 0
    cdef int i
    if length <= depth:
        return 0
    length -= depth
    if names.end - at >= 8:
        key = load_be64(at)
        return key if length >= 8 else key >> (8 * (8 - length)) << (8 * (8 - length))
    for i in range(8):
        key = key << 8 | (at[i] if <size_t>i < length else 0)
    return key


cdef void _sort_names(Names *names, Entry *entries, Entry *spare, size_t count, size_t depth) noexcept nogil:
    """Sort entries whose names agree in the first ``depth`` bytes; equal names keep their order."""
    cdef size_t i, first = 0, length
    for i in range(count):
        entries[i].key = _name_key(names, entries[i].index, depth)
    _stable_sort(entries, spare, count)
    while first < count:
        length = 1
        while first + length < count and entries[first + length].key == entries[first].key:
            length += 1
        # A zero as last byte: these names ended, so they are equal.
        if length > 1 and entries[first].key & 0xff:
            _sort_names(names, entries + first, spare, length, depth + 8)
        first += length


cdef void _name_lengths(
    uint32_t *lengths, const uint8_t *string, const uint32_t *start, size_t count, const char *cut
) noexcept nogil:
    """Length of each name without the type, up to the first ``cut`` in it (all of it where cut is empty)."""
    cdef size_t i, size = strlen(cut)
    cdef const uint8_t *name
    cdef const uint8_t *dot
    cdef const uint8_t *end
    for i in range(count):
        name = string + start[i] + 1
        lengths[i] = start[i + 1] - start[i] - 2
        if size:
            end = name + lengths[i]
            dot = <const uint8_t *>memchr(name, cut[0], lengths[i])
            while dot != NULL and (<size_t>(end - dot) < size or memcmp(dot, cut, size) != 0):
                dot = <const uint8_t *>memchr(dot + 1, cut[0], <size_t>(end - dot - 1))
            if dot != NULL:
                lengths[i] = <uint32_t>(dot - name)


def name_order(Bytes strings, Bytes starts, bytes cut):
    """The order of symbols by name without type, cut at the first ``cut``, then position; u32 positions."""
    cdef Names names
    cdef size_t count = <size_t>starts.shape[0] // 4 - 1, i
    cdef bytes order = _bytes(NULL, count * sizeof(uint32_t))
    cdef uint32_t *out = <uint32_t *>PyBytes_AS_STRING(order)
    cdef const char *cut_text = PyBytes_AS_STRING(cut)
    cdef Entry *entries = NULL
    cdef Entry *spare = NULL
    cdef uint32_t *lengths = NULL
    names.string = _pointer(strings)
    names.end = names.string + strings.shape[0]
    names.start = <const uint32_t *>_pointer(starts)
    try:
        entries = <Entry *>_allocate(count * sizeof(Entry))
        spare = <Entry *>_allocate(count * sizeof(Entry))
        lengths = <uint32_t *>_allocate(count * sizeof(uint32_t))
        with nogil:
            _name_lengths(lengths, names.string, names.start, count, cut_text)
            names.length = lengths
            for i in range(count):
                entries[i].index = <uint32_t>i
            _sort_names(&names, entries, spare, count, 0)
            for i in range(count):
                out[i] = entries[i].index
        return order
    finally:
        free(entries)
        free(spare)
        free(lengths)
