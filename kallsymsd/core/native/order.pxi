# SPDX-License-Identifier: GPL-2.0-only
"""The two orders of the symbol table: by address and by name."""

cdef struct Entry:
    uint64_t key
    uint32_t index

cdef enum:
    INSERTION_MOST = 16       # runs up to this length are sorted by insertion
    RADIX_LEAST = 1024        # runs from this length on are sorted by radix


cdef void _insertion_sort(Entry *entries, size_t count) noexcept nogil:
    cdef size_t i, j
    cdef Entry moved
    for i in range(1, count):
        moved = entries[i]
        j = i
        while j and entries[j - 1].key > moved.key:
            entries[j] = entries[j - 1]
            j -= 1
        entries[j] = moved


cdef void _merge_sort(Entry *entries, Entry *spare, size_t count) noexcept nogil:
    cdef size_t half = count // 2, i = 0, j = half, out = 0
    if count <= INSERTION_MOST:
        _insertion_sort(entries, count)
        return
    _merge_sort(entries, spare, half)
    _merge_sort(entries + half, spare, count - half)
    if entries[half - 1].key <= entries[half].key:
        return
    memcpy(spare, entries, half * sizeof(Entry))
    while i < half and j < count:
        if entries[j].key < spare[i].key:
            entries[out] = entries[j]
            j += 1
        else:
            entries[out] = spare[i]
            i += 1
        out += 1
    memcpy(entries + out, spare + i, (half - i) * sizeof(Entry))


cdef void _radix_sort(Entry *entries, Entry *spare, size_t count) noexcept nogil:
    """Least significant byte first; bytes that are equal in all keys cost one look."""
    cdef size_t histogram[8][256]
    cdef size_t i, total, here
    cdef int byte, value
    cdef Entry *source = entries
    cdef Entry *target = spare
    cdef Entry *swap
    memset(histogram, 0, sizeof(histogram))
    for i in range(count):
        for byte in range(8):
            histogram[byte][entries[i].key >> (8 * byte) & 0xff] += 1
    for byte in range(8):
        if histogram[byte][source[0].key >> (8 * byte) & 0xff] == count:
            continue
        total = 0
        for value in range(256):
            here = histogram[byte][value]
            histogram[byte][value] = total
            total += here
        for i in range(count):
            value = <int>(source[i].key >> (8 * byte) & 0xff)
            target[histogram[byte][value]] = source[i]
            histogram[byte][value] += 1
        swap = source
        source = target
        target = swap
    if source != entries:
        memcpy(entries, source, count * sizeof(Entry))


cdef inline void _stable_sort(Entry *entries, Entry *spare, size_t count) noexcept nogil:
    if count >= RADIX_LEAST:
        _radix_sort(entries, spare, count)
    else:
        _merge_sort(entries, spare, count)


cdef bint _linker_provided(const uint8_t *name, size_t length) noexcept nogil:
    return length >= 8 and name[0] == c'_' and name[1] == c'_' and (
        memcmp(name + 2, <const char *>"start_", 6) == 0
        or memcmp(name + 2, <const char *>"stop_", 5) == 0
        or memcmp(name + 2, <const char *>"end_", 4) == 0
        or _ends(name, length, "_start")
        or _ends(name, length, "_end")
    )


cdef uint64_t _rank(const uint8_t *string, size_t length) noexcept nogil:
    """Sort key among symbols at one address: strong first, then not linker-provided, then few underscores."""
    cdef uint64_t weak = string[0] == c'w' or string[0] == c'W'
    cdef uint64_t provided = _linker_provided(string + 1, length - 1)
    cdef uint64_t underscores = 0
    while underscores + 1 < length and string[1 + underscores] == c'_':
        underscores += 1
    return weak << 33 | provided << 32 | underscores


def address_order(Bytes addresses, Bytes strings, Bytes starts):
    """The order of symbols by address, rank and position, as u32 positions; None when they are in it already."""
    cdef const uint64_t *address = <const uint64_t *>_pointer(addresses)
    cdef const uint8_t *string = _pointer(strings)
    cdef const uint32_t *start = <const uint32_t *>_pointer(starts)
    cdef size_t count = <size_t>addresses.shape[0] // 8, i, first = 0, length
    cdef uint32_t at
    cdef bint ascending = True, changed = False
    cdef bytes order = _bytes(NULL, count * sizeof(uint32_t))
    cdef uint32_t *out = <uint32_t *>PyBytes_AS_STRING(order)
    cdef Entry *entries = NULL
    cdef Entry *spare = NULL
    try:
        # A map comes sorted by address, so usually only the few that share one are touched.
        entries = <Entry *>_allocate(count * sizeof(Entry))
        spare = <Entry *>_allocate(count * sizeof(Entry))
        with nogil:
            for i in range(count):
                out[i] = <uint32_t>i
                if i and address[i] < address[i - 1]:
                    ascending = False
            if not ascending:
                for i in range(count):
                    entries[i].key = address[i]
                    entries[i].index = <uint32_t>i
                _stable_sort(entries, spare, count)
                for i in range(count):
                    out[i] = entries[i].index
            while first < count:
                length = 1
                while first + length < count and address[out[first + length]] == address[out[first]]:
                    length += 1
                if length > 1:
                    for i in range(length):
                        at = out[first + i]
                        entries[i].index = at
                        entries[i].key = _rank(string + start[at], start[at + 1] - start[at] - 1)
                    _stable_sort(entries, spare, length)
                    for i in range(length):
                        out[first + i] = entries[i].index
                first += length
            for i in range(count):
                if out[i] != i:
                    changed = True
        return order if changed else None
    finally:
        free(entries)
        free(spare)


def ranks(Bytes order):
    """For each u32 position the place in ``order`` that it has."""
    cdef const uint32_t *position = <const uint32_t *>_pointer(order)
    cdef size_t count = <size_t>order.shape[0] // 4, i
    cdef bytes inverse = _bytes(NULL, count * sizeof(uint32_t))
    cdef uint32_t *out = <uint32_t *>PyBytes_AS_STRING(inverse)
    with nogil:
        for i in range(count):
            out[position[i]] = <uint32_t>i
    return inverse


def identity(size_t count):
    """The positions 0 .. count-1 as u32."""
    cdef bytes order = _bytes(NULL, count * sizeof(uint32_t))
    cdef uint32_t *out = <uint32_t *>PyBytes_AS_STRING(order)
    cdef size_t i
    for i in range(count):
        out[i] = <uint32_t>i
    return order


def reorder(Bytes addresses, Bytes strings, Bytes starts, Bytes order):
    """``(addresses, strings, starts)`` with the symbols in ``order``."""
    cdef const uint64_t *address = <const uint64_t *>_pointer(addresses)
    cdef const uint8_t *string = _pointer(strings)
    cdef const uint32_t *start = <const uint32_t *>_pointer(starts)
    cdef const uint32_t *position = <const uint32_t *>_pointer(order)
    cdef size_t count = <size_t>addresses.shape[0] // 8, i, used = 0, length
    cdef uint32_t at
    cdef bytes to_addresses = _bytes(NULL, count * sizeof(uint64_t))
    cdef bytes to_strings = _bytes(NULL, <size_t>strings.shape[0])
    cdef bytes to_starts = _bytes(NULL, (count + 1) * sizeof(uint32_t))
    cdef uint64_t *to_address = <uint64_t *>PyBytes_AS_STRING(to_addresses)
    cdef uint8_t *to_string = <uint8_t *>PyBytes_AS_STRING(to_strings)
    cdef uint32_t *to_start = <uint32_t *>PyBytes_AS_STRING(to_starts)
    with nogil:
        for i in range(count):
            at = position[i]
            length = start[at + 1] - start[at]
            to_address[i] = address[at]
            to_start[i] = <uint32_t>used
            memcpy(to_string + used, string + start[at], length)
            used += length
        to_start[count] = <uint32_t>used
    return to_addresses, to_strings, to_starts


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
