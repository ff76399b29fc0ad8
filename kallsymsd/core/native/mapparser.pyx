# SPDX-License-Identifier: GPL-2.0-only
"""Map lines -> symbols, with the filters that look at a single line only."""

from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memchr, memcpy

from kallsymsd.core.native.mapnames cimport Filter, name_is, note_range, own_filter_drops
from kallsymsd.core.native.text cimport SCANF_WIDTH, hex_digit, is_space, line_end, plain_hex16, read_hex

cdef extern from "lines.h" nogil:
    const uint8_t *plain_lines(columns *to, const uint8_t *text, const uint8_t *line, const uint8_t *end)


cdef int _overlong(Parsed *parsed, size_t offset, size_t length) noexcept nogil:
    """Record a name for the warnings; -1 if there is no memory."""
    cdef size_t room
    cdef size_t *grown
    if parsed.overlong_count == parsed.overlong_room:
        room = 2 * parsed.overlong_room + 16
        grown = <size_t *>malloc(2 * room * sizeof(size_t))
        if grown == NULL:
            return -1
        if parsed.overlong_count:
            memcpy(grown, parsed.overlong, 2 * parsed.overlong_count * sizeof(size_t))
        free(parsed.overlong)
        parsed.overlong = grown
        parsed.overlong_room = room
    parsed.overlong[2 * parsed.overlong_count] = offset
    parsed.overlong[2 * parsed.overlong_count + 1] = length
    parsed.overlong_count += 1
    return 0


cdef inline int _take(
    Parsed *parsed, Filter *filter, const uint8_t *text, const uint8_t *end, const uint8_t *line,
    uint64_t address, uint8_t kind, const uint8_t *name, size_t length
) noexcept nogil:
    """Filter one symbol, whose address begins at ``line``; record ranges, append it.

    Returns 0, -1 if there is no memory, or NO_ROOM.
    """
    cdef columns *to = &parsed.columns
    cdef uint8_t *out
    cdef uint32_t place = <uint32_t>(name - text)
    if length >= parsed.name_limit:
        return _overlong(parsed, place, length)
    if length == 5 and name_is(name, length, "_text"):
        parsed.ranges.text = address
        parsed.ranges.text_place = place
    if kind == c'u' or kind == c'n':
        return 0
    if (kind == c'a' or kind == c'A') and not (
        name_is(name, length, "__kernel_syscall_via_break")
        or name_is(name, length, "__kernel_syscall_via_epc")
        or name_is(name, length, "__kernel_sigtramp")
        or name_is(name, length, "__gp")
    ):
        return 0
    if filter.own and own_filter_drops(filter, kind, name, length):
        return 0
    if to.count == to.room or length + 2 * COPY_BLOCK > to.strings_room - to.used:
        return NO_ROOM
    if length >= 6 and length <= 15 and name[0] == c'_':
        note_range(&parsed.ranges, name, length, address, place)
    to.address[to.count] = address
    to.start[to.count] = <uint32_t>to.used
    to.place[to.count] = place
    if <size_t>(name - line) != parsed.width + 3:
        parsed.width = 0
    to.count += 1
    out = to.strings + to.used
    out[0] = kind
    # Most names fit into a block of fixed size, which needs no call to copy. Source and target have the room.
    if length <= COPY_BLOCK and name + COPY_BLOCK <= end:
        memcpy(out + 1, name, COPY_BLOCK)
    else:
        memcpy(out + 1, name, length)
    out[length + 1] = 0
    to.used += length + 2
    return 0


cdef Py_ssize_t parse_getline(Parsed *parsed, Filter *filter, const uint8_t *text, size_t size) noexcept nogil:
    """Parse lines "address type name". Returns 0, the number of a malformed line, or _take()'s error."""
    cdef const uint8_t *end = text + size
    cdef const uint8_t *line = text
    cdef const uint8_t *eol
    cdef const uint8_t *p
    cdef const uint8_t *nul
    cdef uint64_t address
    cdef size_t digits
    cdef Py_ssize_t number = 0
    cdef bint negative, overflow
    cdef size_t before
    cdef int problem
    while line < end:
        if not filter.own:  # the tool's own filter examines every name
            before = parsed.columns.count
            line = plain_lines(&parsed.columns, text, line, end)
            if parsed.columns.count != before:
                number += <Py_ssize_t>(parsed.columns.count - before)
                if parsed.width != 16:
                    parsed.width = 0
                if line == end:
                    break
        number += 1
        p = line
        negative = False
        if end - line > 16 and not hex_digit[line[16]] and plain_hex16(line, &address):
            digits = 16
            eol = line_end(line + 16, end)
        else:
            eol = line_end(line, end)
            digits = read_hex(p, eol, &address, &overflow)
        if digits != 16 and (digits == 0 or (digits == 1 and p[0] == c'0')):
            # strtoull() also accepts white space, a sign and 0x.
            while p < eol and is_space(p[0]):
                p += 1
            if p < eol and (p[0] == c'-' or p[0] == c'+'):
                negative = p[0] == c'-'
                p += 1
            if eol - p > 2 and p[0] == c'0' and p[1] | 0x20 == c'x' and hex_digit[p[2]]:
                p += 2
            digits = read_hex(p, eol, &address, &overflow)
            if digits == 0:
                return number
            if negative and not overflow:
                address = 0 - address
        p += digits
        if eol - p < 3 or p[0] != c' ' or p[1] >= 0x80 or p[1] == 0 or p[2] != c' ':
            return number
        nul = <const uint8_t *>memchr(p + 3, 0, <size_t>(eol - p - 3))
        if nul == NULL:
            nul = eol
        problem = _take(parsed, filter, text, end, line, address, p[1], p + 3, <size_t>(nul - p - 3))
        if problem:
            return problem
        line = eol + 1
    return 0


cdef Py_ssize_t parse_fscanf(Parsed *parsed, Filter *filter, const uint8_t *text, size_t size) noexcept nogil:
    """Parse the text as fscanf("%llx %c %2048s\\n") does; lines of another form are skipped.

    Returns 0, _take()'s error, or -2 if the tool would have printed "Read error or end of file.".
    """
    cdef const uint8_t *end = text + size
    cdef const uint8_t *p = text
    cdef const uint8_t *q
    cdef const uint8_t *line
    cdef const uint8_t *name
    cdef uint64_t address
    cdef size_t digits
    cdef uint8_t kind
    cdef bint negative, overflow, at_end = False
    cdef int problem
    while True:
        while p < end and is_space(p[0]):
            p += 1
        if p == end:
            break
        line = p
        negative = p[0] == c'-'
        if p[0] == c'-' or p[0] == c'+':
            p += 1
        digits = 0
        if end - p >= 2 and p[0] == c'0' and p[1] | 0x20 == c'x':
            p += 2
            address = 0
            overflow = False
            digits = 1  # the 0 of 0x is a number already
            p += read_hex(p, end, &address, &overflow)
        else:
            digits = read_hex(p, end, &address, &overflow)
            p += digits
        if digits:
            if negative and not overflow:
                address = 0 - address
            while p < end and is_space(p[0]):
                p += 1
            if p == end:
                at_end = True
                break
            kind = p[0]
            p += 1
            while p < end and is_space(p[0]):
                p += 1
            if p == end:
                at_end = True
                break
            name = p
            while p < end and p - name < SCANF_WIDTH and not is_space(p[0]):
                p += 1
            q = <const uint8_t *>memchr(name, 0, <size_t>(p - name))
            if q == NULL:
                q = p
            if kind:
                problem = _take(parsed, filter, text, end, line, address, kind, name, <size_t>(q - name))
                if problem:
                    return problem
        else:
            # fgets() takes the rest of the line, or as much as its buffer holds.
            if p == end:
                at_end = True
                break
            q = <const uint8_t *>memchr(p, c'\n', min(<size_t>(end - p), <size_t>SCANF_WIDTH))
            p = q + 1 if q != NULL else p + min(<size_t>(end - p), <size_t>SCANF_WIDTH)
    return -2 if at_end else 0
