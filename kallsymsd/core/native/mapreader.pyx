# SPDX-License-Identifier: GPL-2.0-only
"""Map text -> the columns of a symbol table: parse, drop, mark and sort, all in place."""

from cpython.bytes cimport PyBytes_AS_STRING
from cpython.ref cimport PyObject, Py_XDECREF
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.stdlib cimport free
from libc.string cimport memmove, memset

from kallsymsd.core.native.columns cimport bytes_data, finished, new_bytes, u8
from kallsymsd.core.native.mapnames cimport Filter, Ranges, name_begins, name_is
from kallsymsd.core.native.maporder cimport is_ascending, sort_symbols
from kallsymsd.core.native.mapparser cimport COPY_BLOCK, NO_ROOM, Parsed, parse_fscanf, parse_getline
from kallsymsd.core.native.sorting cimport first_from
from kallsymsd.core.native.strings cimport Strings
from kallsymsd.core.native.text cimport hex_digit


cdef class Origin:
    """Where in the map the symbols of a table came from, for maps whose lines all have the same form.

    The columns are in map order.

    width   digits of each address, 8 or 16; a blank, the type, a blank and the name follow it directly
    places  u32: where each name begins in the text
    ranks   u32: the position of each symbol in the table
    ranges  where the names _text, __per_cpu_start and __per_cpu_end begin in the text; 0 for a missing one
    """


cdef class MapSymbols:
    """The symbols of a map, in the order of the kernel's tables.

    addresses     u64 each
    strings       type letter and name of each
    text_address  address of _text, 0 if there is none
    percpu        addresses of __per_cpu_start and __per_cpu_end
    origin        where in the map the symbols came from; None unless all addresses have the same width of 8
                  or 16 digits, or if symbols may have been dropped because of their address
    overlong      (offset, length) in the text of names with ``name_limit`` bytes or more
    problem       0, the number of a malformed line (then there are no columns), or -2 for an end of file
                  within a line
    """

    cdef readonly bytes addresses
    cdef readonly Strings strings
    cdef readonly uint64_t text_address
    cdef readonly tuple percpu
    cdef readonly Origin origin
    cdef readonly list overlong
    cdef readonly Py_ssize_t problem


cdef void _shrink(Parsed *parsed, bint keep_start_stop) noexcept nogil:
    """Keep only the symbols that a kernel without KALLSYMS_ALL has: those of text and init text."""
    cdef Ranges *ranges = &parsed.ranges
    cdef size_t i, kept = 0, used = 0, length
    cdef uint64_t address
    cdef const uint8_t *name
    cdef bint keep
    for i in range(parsed.columns.count):
        address = parsed.columns.address[i]
        name = parsed.columns.strings + parsed.columns.start[i] + 1
        length = parsed.columns.start[i + 1] - parsed.columns.start[i] - 2
        keep = keep_start_stop and (name_begins(name, length, "__start_") or name_begins(name, length, "__stop_"))
        if not keep:
            keep = ranges.stext <= address <= ranges.etext or ranges.sinittext <= address <= ranges.einittext
            if address == ranges.etext and not name_is(name, length, "_etext"):
                keep = False
            if address == ranges.einittext and not name_is(name, length, "_einittext"):
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


cdef void _mark_percpu(Parsed *parsed, bint ascending) noexcept nogil:
    """Give every symbol in the per-cpu range, both ends included, the type letter A."""
    cdef const uint64_t *address = parsed.columns.address
    cdef size_t i = first_from(address, parsed.columns.count, parsed.ranges.percpu_start) if ascending else 0
    while i < parsed.columns.count and (not ascending or address[i] <= parsed.ranges.percpu_end):
        if parsed.ranges.percpu_start <= address[i] <= parsed.ranges.percpu_end:
            parsed.columns.strings[parsed.columns.start[i]] = c'A'
        i += 1


cdef size_t _first_width(const uint8_t *text, size_t size) noexcept nogil:
    """The number of digits of the first address if that is 8 or 16, else 0."""
    cdef size_t width = 0
    while width < size and width <= 16 and hex_digit[text[width]]:
        width += 1
    return width if width == 8 or width == 16 else 0


cdef enum:
    ADDRESS, STRING, START, PLACE, RANK, COLUMNS

cdef enum:
    FEWEST_BYTES = 24         # the columns are sized for lines of this many bytes or more on average


cdef Py_ssize_t _read(
    Parsed *parsed, Filter *filter, const uint8_t *data, size_t size, bint getline, uint32_t *rank,
    bint all_symbols, bint keep_start_stop, bint absolute_percpu
) noexcept nogil:
    """Fill the columns. Returns what parse_getline() or parse_fscanf() returns."""
    cdef Py_ssize_t problem
    cdef bint ascending
    parsed.ranges.percpu_start = <uint64_t>0xffffffffffffffff
    parsed.width = _first_width(data, size) if all_symbols else 0
    if getline:
        problem = parse_getline(parsed, filter, data, size)
    else:
        problem = parse_fscanf(parsed, filter, data, size)
    if problem != 0 and problem != -2:
        return problem
    parsed.columns.start[parsed.columns.count] = <uint32_t>parsed.columns.used
    if not all_symbols:
        _shrink(parsed, keep_start_stop)
    ascending = is_ascending(parsed)
    if absolute_percpu:
        _mark_percpu(parsed, ascending)
    return -1 if sort_symbols(parsed, rank, ascending) else problem


def read_map(
    bytes text, *, bint getline, bint own_filter, bytes own_tables, bint all_symbols, bint keep_start_stop,
    bint absolute_percpu, size_t name_limit
):
    """Read the symbols of a map. Returns MapSymbols.

    getline           each line is "address type name"; otherwise the text is parsed as fscanf does
    own_filter        drop what mksysmap drops in later kernels, and the names in ``own_tables``
    own_tables        names, each followed by a zero
    all_symbols       also keep symbols outside of text and init text
    keep_start_stop   without all_symbols, keep names that begin with __start_ or __stop_
    absolute_percpu   give symbols in the per-cpu range the type letter A
    name_limit        drop names of this many bytes or more
    """
    cdef const uint8_t *data = u8(text)
    cdef size_t size = <size_t>len(text), most, each
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
    # Columns for the worst case would take five times the size of the map, and the memory that earlier
    # requests freed is in pieces of the size that they needed. So begin with smaller columns. The shortest
    # line is "0 T " and a newline; for fscanf it is "0Ta ", 4 bytes of text for 3 bytes of strings.
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
        return _symbols(&parsed, column, problem)
    finally:
        for each in range(COLUMNS):
            Py_XDECREF(column[each])
        free(parsed.overlong)


cdef MapSymbols _symbols(Parsed *parsed, PyObject **column, Py_ssize_t problem):
    """The result of parsing; takes the columns over."""
    cdef MapSymbols symbols = MapSymbols()
    cdef Ranges *ranges = &parsed.ranges
    cdef size_t count = parsed.columns.count, i
    symbols.problem = problem
    symbols.text_address = ranges.text
    symbols.percpu = (ranges.percpu_start, ranges.percpu_end)
    symbols.overlong = [(parsed.overlong[2 * i], parsed.overlong[2 * i + 1]) for i in range(parsed.overlong_count)]
    if problem > 0:
        return symbols
    symbols.addresses = finished(&column[ADDRESS], count * sizeof(uint64_t))
    symbols.strings = Strings(
        finished(&column[STRING], parsed.columns.used), finished(&column[START], (count + 1) * sizeof(uint32_t))
    )
    if parsed.width:
        symbols.origin = Origin()
        symbols.origin.width = parsed.width
        symbols.origin.places = finished(&column[PLACE], count * sizeof(uint32_t))
        symbols.origin.ranks = finished(&column[RANK], count * sizeof(uint32_t))
        symbols.origin.ranges = (ranges.text_place, ranges.percpu_start_place, ranges.percpu_end_place)
    return symbols
