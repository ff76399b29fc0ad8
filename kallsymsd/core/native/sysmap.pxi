# SPDX-License-Identifier: GPL-2.0-only
"""Map text -> the columns of a symbol table: parse, leave out, mark and sort, all in place."""


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


cdef void _shrink(Parsed *parsed, bint keep_start_stop) noexcept nogil:
    """Leave only the symbols that a kernel without KALLSYMS_ALL has: those of text and init text."""
    cdef Ranges *ranges = &parsed.ranges
    cdef size_t i, kept = 0, used = 0, length
    cdef uint64_t address
    cdef const uint8_t *name
    cdef bint keep
    for i in range(parsed.columns.count):
        address = parsed.columns.address[i]
        name = parsed.columns.strings + parsed.columns.start[i] + 1
        length = parsed.columns.start[i + 1] - parsed.columns.start[i] - 2
        keep = keep_start_stop and (_begins(name, length, "__start_") or _begins(name, length, "__stop_"))
        if not keep:
            keep = ranges.stext <= address <= ranges.etext or ranges.sinittext <= address <= ranges.einittext
            if address == ranges.etext and not _is(name, length, "_etext"):
                keep = False
            if address == ranges.einittext and not _is(name, length, "_einittext"):
                keep = False
        if keep:
            memmove(parsed.columns.strings + used, name - 1, length + 2)
            parsed.columns.address[kept] = address
            parsed.columns.start[kept] = <uint32_t>used
            used += length + 2
            kept += 1
    parsed.columns.start[kept] = <uint32_t>used
    parsed.columns.count = kept
    parsed.columns.used = used


cdef bint _ascending(const Parsed *parsed) noexcept nogil:
    """Whether the addresses come sorted, as nm -n sorts them."""
    cdef const uint64_t *address = parsed.columns.address
    cdef size_t i = 1
    while i < parsed.columns.count and address[i] >= address[i - 1]:
        i += 1
    return i >= parsed.columns.count


cdef void _mark_percpu(Parsed *parsed, bint ascending) noexcept nogil:
    """The type letter A for every symbol of the per-cpu range, both its ends included."""
    cdef const uint64_t *address = parsed.columns.address
    cdef size_t i = _first_from(address, parsed.columns.count, parsed.ranges.percpu_start) if ascending else 0
    while i < parsed.columns.count and (not ascending or address[i] <= parsed.ranges.percpu_end):
        if parsed.ranges.percpu_start <= address[i] <= parsed.ranges.percpu_end:
            parsed.columns.strings[parsed.columns.start[i]] = c'A'
        i += 1


cdef int _permute_strings(
    Parsed *parsed, size_t first, const Entry *entries, size_t count, uint32_t *rank
) noexcept nogil:
    """Bring the strings first .. first+count-1 into the order of ``entries``; -1 without memory."""
    cdef size_t begin = parsed.columns.start[first], size = parsed.columns.start[first + count] - begin, i, length, at
    cdef uint8_t *strings = <uint8_t *>malloc(size)
    cdef uint32_t *start = <uint32_t *>malloc((count + 1) * sizeof(uint32_t))
    cdef size_t used = begin
    if strings == NULL or start == NULL:
        free(strings)
        free(start)
        return -1
    memcpy(strings, parsed.columns.strings + begin, size)
    memcpy(start, parsed.columns.start + first, (count + 1) * sizeof(uint32_t))
    for i in range(count):
        at = entries[i].index - first
        length = start[at + 1] - start[at]
        memcpy(parsed.columns.strings + used, strings + start[at] - begin, length)
        parsed.columns.start[first + i] = <uint32_t>used
        rank[entries[i].index] = <uint32_t>(first + i)
        used += length
    free(strings)
    free(start)
    return 0


cdef int _sort_run(Parsed *parsed, size_t first, size_t count, uint32_t *rank) noexcept nogil:
    """Order ``count`` symbols that share an address; -1 without memory."""
    cdef Entry small[32]
    cdef Entry *entries = small
    cdef size_t i
    cdef int result = 0
    cdef bint ascending = True
    if count > 16:
        entries = <Entry *>malloc(2 * count * sizeof(Entry))
        if entries == NULL:
            return -1
    for i in range(count):
        entries[i].index = <uint32_t>(first + i)
        entries[i].key = _rank(
            parsed.columns.strings + parsed.columns.start[first + i], parsed.columns.start[first + i + 1] - parsed.columns.start[first + i] - 1
        )
        if i and entries[i].key < entries[i - 1].key:
            ascending = False
    if not ascending:
        _stable_sort(entries, entries + count, count)
        result = _permute_strings(parsed, first, entries, count, rank)
    if entries != small:
        free(entries)
    return result


cdef int _sort_addresses(Parsed *parsed, uint32_t *rank) noexcept nogil:
    """Order a map that does not come sorted by address, symbols at one address as they came; -1 without memory."""
    cdef size_t count = parsed.columns.count, i
    cdef Entry *entries = <Entry *>malloc(2 * count * sizeof(Entry))
    cdef int result
    if entries == NULL:
        return -1
    for i in range(count):
        entries[i].key = parsed.columns.address[i]
        entries[i].index = <uint32_t>i
    _stable_sort(entries, entries + count, count)
    for i in range(count):
        parsed.columns.address[i] = entries[i].key
    result = _permute_strings(parsed, 0, entries, count, rank)
    free(entries)
    return result


cdef int _sort(Parsed *parsed, uint32_t *rank, bint ascending) noexcept nogil:
    """By address, rank among those at one address, then as in the map; ``rank[i]`` is where symbol i went.

    Returns -1 without memory.
    """
    cdef size_t count = parsed.columns.count, i, first
    cdef uint64_t *address = parsed.columns.address
    cdef uint32_t *sorted_rank = NULL
    for i in range(count):
        rank[i] = <uint32_t>i
    if not ascending:
        sorted_rank = <uint32_t *>malloc(2 * count * sizeof(uint32_t))
        if sorted_rank == NULL or _sort_addresses(parsed, sorted_rank):
            free(sorted_rank)
            return -1
        # What the runs do is noted for the positions after the first sort.
        memcpy(sorted_rank + count, rank, count * sizeof(uint32_t))
    i = 1
    while i < count:
        if address[i] != address[i - 1]:
            i += 1
            continue
        first = i - 1
        while i < count and address[i] == address[first]:
            i += 1
        if _sort_run(parsed, first, i - first, rank if ascending else sorted_rank + count):
            free(sorted_rank)
            return -1
    if not ascending:
        for i in range(count):
            rank[i] = sorted_rank[count + sorted_rank[i]]
        free(sorted_rank)
    return 0


cdef size_t _first_width(const uint8_t *text, size_t size) noexcept nogil:
    """Digits of the first address if that is 8 or 16, else 0."""
    cdef size_t width = 0
    while width < size and width <= 16 and not _HEX[text[width]] & 0x80:
        width += 1
    return width if width == 8 or width == 16 else 0


cdef enum:
    ADDRESS, STRING, START, PLACE, RANK, COLUMNS

cdef enum:
    FEWEST_BYTES = 24         # the columns are made for lines of so many bytes, or more, on average


cdef Py_ssize_t _read(
    Parsed *parsed, Filter *filter, const uint8_t *data, size_t size, bint getline, uint32_t *rank,
    bint all_symbols, bint keep_start_stop, bint absolute_percpu
) noexcept nogil:
    """Fill the columns; returns what _parse_getline() or _parse_fscanf() does."""
    cdef Py_ssize_t problem
    cdef bint ascending
    parsed.ranges.percpu_start = <uint64_t>0xffffffffffffffff
    parsed.width = _first_width(data, size) if all_symbols else 0
    if getline:
        problem = _parse_getline(parsed, filter, data, size)
    else:
        problem = _parse_fscanf(parsed, filter, data, size)
    if problem != 0 and problem != -2:
        return problem
    parsed.columns.start[parsed.columns.count] = <uint32_t>parsed.columns.used
    if not all_symbols:
        _shrink(parsed, keep_start_stop)
    ascending = _ascending(parsed)
    if absolute_percpu:
        _mark_percpu(parsed, ascending)
    return -1 if _sort(parsed, rank, ascending) else problem


def read_map(
    Bytes text, bint getline, bint own_filter, bytes own_tables, bint all_symbols, bint keep_start_stop,
    bint absolute_percpu, size_t name_limit
):
    """The symbols of a map, in the order of the tables.

    Returns ``(addresses, strings, starts, places, ranks, width, ranges, range_places, overlong, problem)``:

    places        u32, in the order of the map: where in the text each name begins
    ranks         u32, in the order of the map: position in the table
    width         8 or 16 if each address has so many characters and stands three before its name, and no
                  symbol is left out because of its address; else 0
    ranges        addresses of _text, __per_cpu_start, __per_cpu_end
    range_places  where the names of these begin in the text, 0 for none
    overlong      list of (offset, length) of names of ``name_limit`` bytes and more in the text
    problem       0, the number of a malformed line (and no columns), or -2 for an end of file inside a line
    """
    cdef const uint8_t *data = _pointer(text)
    cdef size_t size = <size_t>text.shape[0], most, each
    cdef Parsed parsed
    cdef Filter filter
    cdef Py_ssize_t problem = NO_ROOM
    cdef PyObject *column[COLUMNS]
    if size >= <size_t>1 << 31:
        raise OverflowError(f"map of {size} bytes; 2 GiB is the limit")
    memset(&parsed, 0, sizeof(parsed))
    memset(column, 0, sizeof(column))
    filter.own = own_filter
    filter.tables = <const uint8_t *>PyBytes_AS_STRING(own_tables)
    filter.tables_size = <size_t>len(own_tables)
    # Columns for the worst would take five times the map, and the memory that earlier requests left is in pieces of
    # what they needed. The shortest line is "0 T " and a newline; for fscanf "0Ta ", 4 bytes of text for 3 of strings.
    most = size // FEWEST_BYTES
    try:
        while problem == NO_ROOM:
            for each in range(COLUMNS):
                Py_XDECREF(column[each])
                column[each] = NULL
            free(parsed.overlong)
            memset(&parsed, 0, sizeof(parsed))
            parsed.name_limit = name_limit
            parsed.columns.room = most
            parsed.columns.strings_room = (size // 4 * 3 if most < size // 4 else size) + 2 * COPY_BLOCK
            column[ADDRESS] = new_bytes(NULL, most * sizeof(uint64_t))
            column[STRING] = new_bytes(NULL, parsed.columns.strings_room)
            column[START] = new_bytes(NULL, (most + 1) * sizeof(uint32_t))
            column[PLACE] = new_bytes(NULL, most * sizeof(uint32_t))
            column[RANK] = new_bytes(NULL, most * sizeof(uint32_t))
            parsed.columns.address = <uint64_t *>bytes_data(column[ADDRESS])
            parsed.columns.strings = <uint8_t *>bytes_data(column[STRING])
            parsed.columns.start = <uint32_t *>bytes_data(column[START])
            parsed.columns.place = <uint32_t *>bytes_data(column[PLACE])
            with nogil:
                problem = _read(
                    &parsed, &filter, data, size, getline, <uint32_t *>bytes_data(column[RANK]), all_symbols,
                    keep_start_stop, absolute_percpu
                )
            most = size // 4 + 1
        if problem == -1:
            raise MemoryError(f"no memory for the symbols of a map of {size} bytes")
        ranges = parsed.ranges
        return (
            _finished(&column[ADDRESS], parsed.columns.count * sizeof(uint64_t)),
            _finished(&column[STRING], parsed.columns.used),
            _finished(&column[START], (parsed.columns.count + 1) * sizeof(uint32_t)),
            _finished(&column[PLACE], parsed.columns.count * sizeof(uint32_t) if parsed.width else 0),
            _finished(&column[RANK], parsed.columns.count * sizeof(uint32_t) if parsed.width else 0),
            parsed.width,
            (ranges.text, ranges.percpu_start, ranges.percpu_end),
            (ranges.text_place, ranges.percpu_start_place, ranges.percpu_end_place),
            [(parsed.overlong[2 * i], parsed.overlong[2 * i + 1]) for i in range(parsed.overlong_count)],
            problem,
        )
    finally:
        for each in range(COLUMNS):
            Py_XDECREF(column[each])
        free(parsed.overlong)
