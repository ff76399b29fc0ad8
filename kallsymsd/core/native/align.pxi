# SPDX-License-Identifier: GPL-2.0-only
"""What changed between two symbol tables, and the new columns made from the old ones."""

cdef enum:
    LOOKAHEAD = 48            # symbols to look ahead for where two tables agree again
    NO_SOURCE = 0xffffffff    # an added symbol

cdef extern from "rename.h" nogil:
    void rename_codes(uint8_t *data, size_t n, const uint8_t *to)

cdef struct Column:
    const uint8_t *string
    const uint32_t *start
    size_t count


cdef inline bint _same_string(const Column *old, size_t i, const Column *new, size_t j) noexcept nogil:
    cdef size_t length = old.start[i + 1] - old.start[i]
    return length == new.start[j + 1] - new.start[j] and (
        memcmp(old.string + old.start[i], new.string + new.start[j], length) == 0
    )


cdef size_t _equal_bytes(const uint8_t *a, const uint8_t *b, size_t size) noexcept nogil:
    """How many bytes a and b have in common at the front."""
    cdef size_t i = 0
    while i + 4096 <= size and memcmp(a + i, b + i, 4096) == 0:
        i += 4096
    while i + 512 <= size and memcmp(a + i, b + i, 512) == 0:
        i += 512
    while i + 64 <= size and memcmp(a + i, b + i, 64) == 0:
        i += 64
    while i + 8 <= size and load_be64(a + i) == load_be64(b + i):
        i += 8
    while i < size and a[i] == b[i]:
        i += 1
    return i


cdef size_t _equal_run(const Column *old, size_t i, const Column *new, size_t j) noexcept nogil:
    """How many strings from old[i] and new[j] on are pairwise equal."""
    cdef uint32_t old_from = old.start[i], new_from = new.start[j]
    cdef size_t size = min(old.start[old.count] - old_from, new.start[new.count] - new_from)
    cdef size_t equal = _equal_bytes(old.string + old_from, new.string + new_from, size)
    cdef size_t low = i, high = old.count, middle
    # The last string that begins within the equal bytes is whole only if the next one begins there too.
    while low < high:
        middle = (low + high + 1) // 2
        if old.start[middle] - old_from <= equal:
            low = middle
        else:
            high = middle - 1
    return low - i


cdef bint _agree_again(const Column *old, size_t *i, const Column *new, size_t *j) noexcept nogil:
    """Step over a difference: the nearest place where two neighbours (or the ends) agree."""
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
    """FNV-1a; equal hashes are followed by a comparison."""
    cdef uint64_t value = <uint64_t>0xcbf29ce484222325
    cdef size_t i
    for i in range(size):
        value = (value ^ data[i]) * <uint64_t>0x100000001b3
    return value


cdef struct Bucket:
    uint64_t hash
    uint32_t next             # position + 1 of the next entry of the chain


cdef void _match_moved(
    const Column *old, const uint32_t *removed, size_t *removed_count, const Column *new, const uint32_t *added,
    size_t *added_count, uint32_t *source, uint32_t *heads, size_t heads_mask, Bucket *buckets, uint32_t *left
) noexcept nogil:
    """Pair added strings with equal removed ones: a symbol that moved keeps its codes.

    ``left`` receives the removed symbols that remain, then the added ones that remain.
    """
    cdef size_t i, remaining = 0, old_count = removed_count[0]
    cdef uint32_t at
    cdef uint32_t *link
    cdef uint64_t value
    memset(heads, 0, (heads_mask + 1) * sizeof(uint32_t))
    # Backwards, so that the first of equal strings is found first.
    for i in range(old_count):
        at = removed[old_count - 1 - i]
        value = _hash(old.string + old.start[at], old.start[at + 1] - old.start[at])
        buckets[old_count - 1 - i].hash = value
        buckets[old_count - 1 - i].next = heads[value & heads_mask]
        heads[value & heads_mask] = <uint32_t>(old_count - i)
    for i in range(added_count[0]):
        at = added[i]
        value = _hash(new.string + new.start[at], new.start[at + 1] - new.start[at])
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
    # What is still in a chain was not taken.
    for i in range(heads_mask + 1):
        at = heads[i]
        while at:
            left[remaining] = removed[at - 1]
            remaining += 1
            at = buckets[at - 1].next
    removed_count[0] = remaining


def align(Bytes old_strings, Bytes old_starts, Bytes new_strings, Bytes new_starts):
    """Pair the symbols of two tables that have the same string.

    Returns ``(source, removed, added)``: u32 for each new symbol the old one it is, 0xffffffff for none; u32
    positions of the old symbols without a partner, in no order; u32 positions of the new ones, ascending.
    """
    cdef Column old, new
    cdef size_t i = 0, j = 0, run, k, removed_count = 0, added_count = 0, heads_mask = 15
    cdef uint32_t *removed = NULL
    cdef uint32_t *added = NULL
    cdef uint32_t *left = NULL
    cdef uint32_t *heads = NULL
    cdef Bucket *buckets = NULL
    cdef bytes sources
    cdef uint32_t *source
    old.string = _pointer(old_strings)
    old.start = <const uint32_t *>_pointer(old_starts)
    old.count = <size_t>old_starts.shape[0] // 4 - 1
    new.string = _pointer(new_strings)
    new.start = <const uint32_t *>_pointer(new_starts)
    new.count = <size_t>new_starts.shape[0] // 4 - 1
    sources = _bytes(NULL, new.count * sizeof(uint32_t))
    source = <uint32_t *>PyBytes_AS_STRING(sources)
    try:
        removed = <uint32_t *>_allocate(old.count * sizeof(uint32_t))
        added = <uint32_t *>_allocate(new.count * sizeof(uint32_t))
        with nogil:
            while i < old.count and j < new.count:
                run = _equal_run(&old, i, &new, j)
                for k in range(run):
                    source[j + k] = <uint32_t>(i + k)
                i += run
                j += run
                if i == old.count or j == new.count:
                    break
                run = i
                k = j
                if not _agree_again(&old, &i, &new, &j):
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
        left = <uint32_t *>_allocate((removed_count + added_count) * sizeof(uint32_t))
        heads = <uint32_t *>_allocate((heads_mask + 1) * sizeof(uint32_t))
        buckets = <Bucket *>_allocate(removed_count * sizeof(Bucket))
        with nogil:
            _match_moved(
                &old, removed, &removed_count, &new, added, &added_count, source, heads, heads_mask, buckets, left
            )
        return (
            sources,
            _bytes(left, removed_count * sizeof(uint32_t)),
            _bytes(left + k, added_count * sizeof(uint32_t)),
        )
    finally:
        free(removed)
        free(added)
        free(left)
        free(heads)
        free(buckets)


def select(Bytes strings, Bytes starts, Bytes positions):
    """The strings at u32 ``positions``, one after the other, each with its zero."""
    cdef const uint8_t *string = _pointer(strings)
    cdef const uint32_t *start = <const uint32_t *>_pointer(starts)
    cdef const uint32_t *position = <const uint32_t *>_pointer(positions)
    cdef size_t count = <size_t>positions.shape[0] // 4, i, size = 0, length
    cdef bytes selected
    cdef uint8_t *out
    for i in range(count):
        size += start[position[i] + 1] - start[position[i]]
    selected = _bytes(NULL, size)
    out = <uint8_t *>PyBytes_AS_STRING(selected)
    with nogil:
        for i in range(count):
            length = start[position[i] + 1] - start[position[i]]
            memcpy(out, string + start[position[i]], length)
            out += length
    return selected


def splice(Bytes codes, Bytes code_starts, Bytes source, Bytes added_codes, Bytes rename):
    """The codes of a new table: those of old symbols copied, those of added ones in their order.

    ``codes`` and ``code_starts`` are of the old table, ``source`` as from align(). Every byte goes through
    the 256 bytes of ``rename``.
    """
    cdef const uint8_t *code = _pointer(codes)
    cdef const uint32_t *start = <const uint32_t *>_pointer(code_starts)
    cdef const uint32_t *origin = <const uint32_t *>_pointer(source)
    cdef const uint8_t *fresh = _pointer(added_codes)
    cdef const uint8_t *name_of = _pointer(rename)
    cdef size_t count = <size_t>source.shape[0] // 4, i = 0, run, size = 0, length
    cdef PyObject *spliced = NULL
    cdef uint8_t *out
    try:
        # No old symbol is the source of two, so there is not more.
        spliced = new_bytes(NULL, codes.shape[0] + added_codes.shape[0])
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
            rename_codes(out, size, name_of)
        return _finished(&spliced, size)
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


def merge_name_order(Bytes old_order, size_t old_count, Bytes source, Bytes added, Bytes strings, Bytes starts, bytes cut):
    """The name order of a new table, from that of the old one; ``source`` and ``added`` as from align()."""
    cdef const uint32_t *old_position = <const uint32_t *>_pointer(old_order)
    cdef const uint32_t *origin = <const uint32_t *>_pointer(source)
    cdef const uint32_t *fresh = <const uint32_t *>_pointer(added)
    cdef size_t count = <size_t>source.shape[0] // 4, fresh_count = <size_t>added.shape[0] // 4
    cdef size_t i, k, kept = 0, low, high, middle
    cdef bytes order = _bytes(NULL, count * sizeof(uint32_t))
    cdef uint32_t *out = <uint32_t *>PyBytes_AS_STRING(order)
    cdef uint32_t *now = NULL
    cdef Entry *entries = NULL
    cdef Entry *spare = NULL
    cdef bint monotonic = True
    cdef uint32_t last = 0, moved
    cdef bytes texts = _cut_names(strings, cut)
    cdef Names names
    names.string = <const uint8_t *>PyBytes_AS_STRING(texts) if cut else _pointer(strings)
    names.end = names.string + strings.shape[0]
    names.start = <const uint32_t *>_pointer(starts)
    try:
        now = <uint32_t *>_allocate(old_count * sizeof(uint32_t))
        entries = <Entry *>_allocate(fresh_count * sizeof(Entry))
        spare = <Entry *>_allocate(fresh_count * sizeof(Entry))
        with nogil:
            memset(now, 0xff, old_count * sizeof(uint32_t))
            for i in range(count):
                if origin[i] != <uint32_t>NO_SOURCE:
                    now[origin[i]] = <uint32_t>i
                    if kept and origin[i] < last:
                        monotonic = False
                    last = origin[i]
                    kept = 1
            # The symbols that stayed, in front; where some changed places, equal names may have to as well.
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
            _sort_names(&names, entries, spare, fresh_count)
            # From the back: what follows an added symbol moves up by the added symbols before it.
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
