# SPDX-License-Identifier: GPL-2.0-only
"""Map text -> columns, with the filters that need only the line itself."""

cdef enum:
    NAME_LIMIT = 512          # KSYM_NAME_LEN: longer names are dropped with a warning
    SCANF_WIDTH = 2048        # longest word that "%2048s" takes
    COPY_BLOCK = 32           # bytes copied at once

cdef struct Ranges:
    uint64_t text, stext, etext, sinittext, einittext, percpu_start, percpu_end
    # Offsets in the text of the names that gave _text and the per-cpu range, 0 without.
    uint32_t text_place, percpu_start_place, percpu_end_place

cdef struct Parsed:
    uint64_t *address
    uint32_t *start
    uint32_t *place           # where in the text each name begins
    uint8_t *strings
    size_t count, used
    Ranges ranges
    size_t width              # digits of every kept symbol's address: 8 or 16; 0 as soon as one differs
    # Names of 512 bytes and more, as (offset, length) in the text.
    size_t *overlong
    size_t overlong_count, overlong_room

cdef struct Filter:
    bint own                  # drop what mksysmap drops in later kernels
    const uint8_t *tables     # names of the tool's own tables, each followed by a zero
    size_t tables_size


cdef inline bint _is(const uint8_t *name, size_t length, const char *text) noexcept nogil:
    return strlen(text) == length and memcmp(name, text, length) == 0


cdef inline bint _begins(const uint8_t *name, size_t length, const char *text) noexcept nogil:
    return strlen(text) <= length and memcmp(name, text, strlen(text)) == 0


cdef inline bint _ends(const uint8_t *name, size_t length, const char *text) noexcept nogil:
    return strlen(text) <= length and memcmp(name + length - strlen(text), text, strlen(text)) == 0


cdef bint _contains(const uint8_t *name, size_t length, const char *text) noexcept nogil:
    cdef size_t i, size = strlen(text)
    for i in range(length - size + 1 if length >= size else 0):
        if memcmp(name + i, text, size) == 0:
            return True
    return False


cdef void _note_range(
    Ranges *ranges, const uint8_t *name, size_t length, uint64_t address, uint32_t place
) noexcept nogil:
    """Remember the addresses of the symbols that bound the text and per-cpu ranges; the last one wins."""
    if _is(name, length, "_stext"):
        ranges.stext = address
    elif _is(name, length, "_etext"):
        ranges.etext = address
    elif _is(name, length, "_sinittext"):
        ranges.sinittext = address
    elif _is(name, length, "_einittext"):
        ranges.einittext = address
    elif _is(name, length, "__per_cpu_start"):
        ranges.percpu_start = address
        ranges.percpu_start_place = place
    elif _is(name, length, "__per_cpu_end"):
        ranges.percpu_end = address
        ranges.percpu_end_place = place


cdef bint _own_filter_drops(Filter *filter, uint8_t kind, const uint8_t *name, size_t length) noexcept nogil:
    """The name lists of scripts/kallsyms up to v6.3; mksysmap has them since kernel commit c4802044a0a7."""
    cdef const uint8_t *own = filter.tables
    cdef const uint8_t *end = own + filter.tables_size
    if kind == c'U' or kind == c'N':
        return True
    if length == 0:
        return False
    if name[0] == c'k':
        while own < end:
            if _is(name, length, <const char *>own):
                return True
            own += strlen(<const char *>own) + 1
    elif name[0] == c'_':
        if _is(name, length, "_SDA_BASE_") or _is(name, length, "_SDA2_BASE_"):
            return True
        if length > 1 and name[1] == c'_' and (
            _begins(name, length, "__efistub_")
            or _begins(name, length, "__kvm_nvhe_$")
            or _begins(name, length, "__kvm_nvhe_.L")
            or _begins(name, length, "__AArch64ADRPThunk_")
            or _begins(name, length, "__ARMV5PILongThunk_")
            or _begins(name, length, "__ARMV7PILongThunk_")
            or _begins(name, length, "__ThumbV7PILongThunk_")
            or _begins(name, length, "__LA25Thunk_")
            or _begins(name, length, "__microLA25Thunk_")
            or _begins(name, length, "__kcfi_typeid_")
        ):
            return True
    if _ends(name, length, "_from_arm") or _ends(name, length, "_from_thumb") or _ends(name, length, "_veneer"):
        return True
    if memchr(name, c'.', length) != NULL:
        return _contains(name, length, ".long_branch.") or _contains(name, length, ".plt_branch.")
    return False


cdef int _overlong(Parsed *parsed, size_t offset, size_t length) noexcept nogil:
    """Note a name for the warnings; -1 without memory."""
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
    """One symbol, whose address begins at ``line``: filter it, note ranges, append it; -1 without memory."""
    cdef uint8_t *out
    cdef uint32_t place = <uint32_t>(name - text)
    if length >= NAME_LIMIT:
        return _overlong(parsed, place, length)
    if length == 5 and _is(name, length, "_text"):
        parsed.ranges.text = address
        parsed.ranges.text_place = place
    if kind == c'u' or kind == c'n':
        return 0
    if (kind == c'a' or kind == c'A') and not (
        _is(name, length, "__kernel_syscall_via_break")
        or _is(name, length, "__kernel_syscall_via_epc")
        or _is(name, length, "__kernel_sigtramp")
        or _is(name, length, "__gp")
    ):
        return 0
    if filter.own and _own_filter_drops(filter, kind, name, length):
        return 0
    if length >= 6 and length <= 15 and name[0] == c'_':
        _note_range(&parsed.ranges, name, length, address, place)
    parsed.address[parsed.count] = address
    parsed.start[parsed.count] = <uint32_t>parsed.used
    parsed.place[parsed.count] = place
    if <size_t>(name - line) != parsed.width + 3:
        parsed.width = 0
    parsed.count += 1
    out = parsed.strings + parsed.used
    out[0] = kind
    # Most names fit into a block of fixed size, which needs no call; there is room behind both.
    if length <= COPY_BLOCK and name + COPY_BLOCK <= end:
        memcpy(out + 1, name, COPY_BLOCK)
    else:
        memcpy(out + 1, name, length)
    out[length + 1] = 0
    parsed.used += length + 2
    return 0


cdef Py_ssize_t _parse_getline(Parsed *parsed, Filter *filter, const uint8_t *text, size_t size) noexcept nogil:
    """Lines "address type name"; returns the number of a malformed line (from 1), 0, or -1 without memory."""
    cdef const uint8_t *end = text + size
    cdef const uint8_t *line = text
    cdef const uint8_t *eol
    cdef const uint8_t *p
    cdef const uint8_t *nul
    cdef uint64_t address
    cdef size_t digits
    cdef Py_ssize_t number = 0
    cdef bint negative, overflow
    cdef bint has_nul = memchr(text, 0, size) != NULL
    while line < end:
        number += 1
        eol = <const uint8_t *>memchr(line, c'\n', <size_t>(end - line))
        if eol == NULL:
            eol = end
        p = line
        negative = False
        digits = _hex(p, eol, &address, &overflow)
        if digits != 16 and (digits == 0 or (digits == 1 and p[0] == c'0')):
            # What else strtoull() accepts: white space, a sign, 0x.
            while p < eol and _SPACE[p[0]]:
                p += 1
            if p < eol and (p[0] == c'-' or p[0] == c'+'):
                negative = p[0] == c'-'
                p += 1
            if eol - p > 2 and p[0] == c'0' and p[1] | 0x20 == c'x' and not _HEX[p[2]] & 0x80:
                p += 2
            digits = _hex(p, eol, &address, &overflow)
            if digits == 0:
                return number
            if negative and not overflow:
                address = 0 - address
        p += digits
        if eol - p < 3 or p[0] != c' ' or p[1] >= 0x80 or p[1] == 0 or p[2] != c' ':
            return number
        nul = <const uint8_t *>memchr(p + 3, 0, <size_t>(eol - p - 3)) if has_nul else NULL
        if nul == NULL:
            nul = eol
        if _take(parsed, filter, text, end, line, address, p[1], p + 3, <size_t>(nul - p - 3)):
            return -1
        line = eol + 1
    return 0


cdef Py_ssize_t _parse_fscanf(Parsed *parsed, Filter *filter, const uint8_t *text, size_t size) noexcept nogil:
    """What fscanf("%llx %c %2048s\\n") makes of the text; lines that do not fit are skipped.

    Returns 0, -1 without memory, or -2 when the tool would have printed "Read error or end of file.".
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
    while True:
        while p < end and _SPACE[p[0]]:
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
            p += _hex(p, end, &address, &overflow)
        else:
            digits = _hex(p, end, &address, &overflow)
            p += digits
        if digits:
            if negative and not overflow:
                address = 0 - address
            while p < end and _SPACE[p[0]]:
                p += 1
            if p == end:
                at_end = True
                break
            kind = p[0]
            p += 1
            while p < end and _SPACE[p[0]]:
                p += 1
            if p == end:
                at_end = True
                break
            name = p
            while p < end and p - name < SCANF_WIDTH and not _SPACE[p[0]]:
                p += 1
            q = <const uint8_t *>memchr(name, 0, <size_t>(p - name))
            if q == NULL:
                q = p
            if kind and _take(parsed, filter, text, end, line, address, kind, name, <size_t>(q - name)):
                return -1
        else:
            # fgets() takes the rest of the line, or as much as its buffer holds.
            if p == end:
                at_end = True
                break
            q = <const uint8_t *>memchr(p, c'\n', min(<size_t>(end - p), <size_t>SCANF_WIDTH))
            p = q + 1 if q != NULL else p + min(<size_t>(end - p), <size_t>SCANF_WIDTH)
    return -2 if at_end else 0


cdef size_t _first_width(const uint8_t *text, size_t size) noexcept nogil:
    """Digits of the first address if that is 8 or 16, else 0."""
    cdef size_t width = 0
    while width < size and width <= 16 and not _HEX[text[width]] & 0x80:
        width += 1
    return width if width == 8 or width == 16 else 0


def parse(Bytes text, bint getline, bint own_filter, bytes own_tables):
    """Symbols of a map in its order.

    Returns ``(addresses, strings, starts, places, width, ranges, range_places, overlong, problem)``: places are
    the u32 offsets of the names in the text; width is 8 or 16 if each address has so many characters and stands
    three before its name, else 0; ranges is the tuple (_text, _stext, _etext, _sinittext, _einittext,
    __per_cpu_start, __per_cpu_end), range_places where the first and the last two came from; overlong is a list of (offset, length)
    of names of 512 bytes and more in the text; problem is 0, the number of a malformed line, or -2 for an
    end of file inside a line.
    """
    cdef const uint8_t *data = _pointer(text)
    cdef size_t size = <size_t>text.shape[0], most
    cdef Parsed parsed
    cdef Filter filter
    cdef Py_ssize_t problem
    if size >= <size_t>1 << 31:
        raise OverflowError(f"map of {size} bytes; 2 GiB is the limit")
    memset(&parsed, 0, sizeof(parsed))
    parsed.ranges.percpu_start = <uint64_t>0xffffffffffffffff
    parsed.width = _first_width(data, size)
    filter.own = own_filter
    filter.tables = <const uint8_t *>PyBytes_AS_STRING(own_tables)
    filter.tables_size = <size_t>len(own_tables)
    # The shortest line is "0Ta " for fscanf: 4 bytes of text for 3 of strings.
    most = size // 4 + 2
    try:
        parsed.address = <uint64_t *>_allocate(most * sizeof(uint64_t))
        parsed.start = <uint32_t *>_allocate(most * sizeof(uint32_t))
        parsed.place = <uint32_t *>_allocate(most * sizeof(uint32_t))
        parsed.strings = <uint8_t *>_allocate(size + 2 * COPY_BLOCK)
        with nogil:
            if getline:
                problem = _parse_getline(&parsed, &filter, data, size)
            else:
                problem = _parse_fscanf(&parsed, &filter, data, size)
        if problem == -1:
            raise MemoryError("no memory for the list of overlong names")
        parsed.start[parsed.count] = <uint32_t>parsed.used
        ranges = parsed.ranges
        return (
            _bytes(parsed.address, parsed.count * sizeof(uint64_t)),
            _bytes(parsed.strings, parsed.used),
            _bytes(parsed.start, (parsed.count + 1) * sizeof(uint32_t)),
            _bytes(parsed.place, parsed.count * sizeof(uint32_t)),
            parsed.width,
            (
                ranges.text,
                ranges.stext,
                ranges.etext,
                ranges.sinittext,
                ranges.einittext,
                ranges.percpu_start,
                ranges.percpu_end,
            ),
            (ranges.text_place, ranges.percpu_start_place, ranges.percpu_end_place),
            [(parsed.overlong[2 * i], parsed.overlong[2 * i + 1]) for i in range(parsed.overlong_count)],
            problem,
        )
    finally:
        free(parsed.address)
        free(parsed.start)
        free(parsed.place)
        free(parsed.strings)
        free(parsed.overlong)


def shrink(Bytes addresses, Bytes strings, Bytes starts, tuple ranges, bint keep_start_stop):
    """Only the symbols that a kernel without KALLSYMS_ALL has: those of text and init text.

    Returns new ``(addresses, strings, starts)``.
    """
    cdef const uint64_t *address = <const uint64_t *>_pointer(addresses)
    cdef const uint8_t *string = _pointer(strings)
    cdef const uint32_t *start = <const uint32_t *>_pointer(starts)
    cdef size_t count = <size_t>addresses.shape[0] // 8, i, kept = 0, used = 0, length
    cdef uint64_t stext = ranges[1], etext = ranges[2], sinittext = ranges[3], einittext = ranges[4], value
    cdef uint64_t *to_address = NULL
    cdef uint8_t *to_string = NULL
    cdef uint32_t *to_start = NULL
    cdef const uint8_t *name
    cdef bint keep
    try:
        to_address = <uint64_t *>_allocate(count * sizeof(uint64_t))
        to_string = <uint8_t *>_allocate(<size_t>strings.shape[0])
        to_start = <uint32_t *>_allocate((count + 1) * sizeof(uint32_t))
        with nogil:
            for i in range(count):
                value = address[i]
                name = string + start[i] + 1
                length = start[i + 1] - start[i] - 2
                keep = keep_start_stop and (_begins(name, length, "__start_") or _begins(name, length, "__stop_"))
                if not keep:
                    keep = (stext <= value <= etext) or (sinittext <= value <= einittext)
                    if value == etext and not _is(name, length, "_etext"):
                        keep = False
                    if value == einittext and not _is(name, length, "_einittext"):
                        keep = False
                if keep:
                    to_address[kept] = value
                    to_start[kept] = <uint32_t>used
                    memcpy(to_string + used, name - 1, length + 2)
                    used += length + 2
                    kept += 1
            to_start[kept] = <uint32_t>used
        return (
            _bytes(to_address, kept * sizeof(uint64_t)),
            _bytes(to_string, used),
            _bytes(to_start, (kept + 1) * sizeof(uint32_t)),
        )
    finally:
        free(to_address)
        free(to_string)
        free(to_start)


def mark_percpu(Bytes addresses, Bytes strings, Bytes starts, uint64_t first, uint64_t last):
    """``strings`` with the type letter A for every symbol whose address is in first..last, both included."""
    cdef const uint64_t *address = <const uint64_t *>_pointer(addresses)
    cdef const uint32_t *start = <const uint32_t *>_pointer(starts)
    cdef size_t count = <size_t>addresses.shape[0] // 8, i
    cdef bytes marked = _bytes(_pointer(strings), <size_t>strings.shape[0])
    cdef uint8_t *out = <uint8_t *>PyBytes_AS_STRING(marked)
    with nogil:
        for i in range(count):
            if first <= address[i] <= last:
                out[start[i]] = c'A'
    return marked
