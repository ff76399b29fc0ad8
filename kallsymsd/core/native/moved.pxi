# SPDX-License-Identifier: GPL-2.0-only
"""Maps in which nothing but addresses changed: no parsing, no sorting, no tokens."""

cdef enum:
    NO_SLOT = 0xffffffff      # a line whose symbol is not in the table


def index_lines(Bytes text, size_t width, Bytes places):
    """``(starts, slots)`` of a map of plain lines, None where a line is not plain.

    A plain line is "address type name" and a newline, with ``width`` (8 or 16) lower-case hex digits and no
    white space in the name, which is no longer than what fscanf takes at once: every dialect reads it alike.
    starts: u32 offset of each line and of the end. slots: u32 position of its symbol in the table whose names
    stand at ``places`` in the text.
    """
    cdef const uint8_t *data = _pointer(text)
    cdef const uint32_t *place = <const uint32_t *>_pointer(places)
    cdef size_t size = <size_t>text.shape[0], symbols = <size_t>places.shape[0] // 4
    cdef size_t count = 0, at = 0, i, length, low, high, blanks = 0
    cdef const uint8_t *eol
    cdef bint plain = True
    cdef uint64_t value
    cdef uint32_t *start = <uint32_t *>_allocate((size // (width + 4) + 2) * sizeof(uint32_t))
    cdef uint32_t *slot = NULL
    try:
        with nogil:
            while at < size and plain:
                eol = <const uint8_t *>memchr(data + at, c'\n', size - at)
                length = <size_t>(eol - (data + at)) if eol != NULL else 0
                plain = (
                    length >= width + 3
                    and length <= width + 3 + SCANF_WIDTH
                    and _plain_hex(data + at, width, &value)
                    and data[at + width] == c' '
                    and data[at + width + 1] < 0x80
                    and data[at + width + 1] > 32
                    and data[at + width + 2] == c' '
                )
                start[count] = <uint32_t>at
                count += 1
                at += length + 1
            start[count if plain else 0] = <uint32_t>at
            # White space and control bytes: the two blanks and the newline of each line, nothing else.
            for i in range(size):
                blanks += data[i] <= 32
            plain = plain and blanks == 3 * count
        if not plain:
            return None
        slot = <uint32_t *>_allocate(count * sizeof(uint32_t))
        with nogil:
            memset(slot, 0xff, count * sizeof(uint32_t))
            low = 0
            for i in range(symbols):
                # Nearly always the line behind the last one.
                low += 1
                if low >= count or start[low] + width + 3 != place[i]:
                    low = 0
                    high = count
                    while high - low > 1:
                        if start[(low + high) // 2] <= place[i]:
                            low = (low + high) // 2
                        else:
                            high = (low + high) // 2
                slot[low] = <uint32_t>i
        return _bytes(start, (count + 1) * sizeof(uint32_t)), _bytes(slot, count * sizeof(uint32_t))
    finally:
        free(start)
        free(slot)


cdef inline bint _equal_short(const uint8_t *a, const uint8_t *b, size_t size) noexcept nogil:
    """memcmp() == 0 without the call, which costs more than comparing the rest of a line."""
    cdef uint64_t x, y
    cdef size_t at = 0
    if size < 8:
        return memcmp(a, b, size) == 0
    while at + 8 < size:
        memcpy(&x, a + at, 8)
        memcpy(&y, b + at, 8)
        if x != y:
            return False
        at += 8
    memcpy(&x, a + size - 8, 8)
    memcpy(&y, b + size - 8, 8)
    return x == y


def move(Bytes old, Bytes text, size_t width, Bytes starts, Bytes slots, size_t count):
    """u64 addresses of the ``count`` symbols of a table for a map that differs in addresses only, else None.

    ``starts`` and ``slots`` are index_lines()' of the ``old`` text.
    """
    cdef const uint8_t *before = _pointer(old)
    cdef const uint8_t *now = _pointer(text)
    cdef const uint32_t *start = <const uint32_t *>_pointer(starts)
    cdef const uint32_t *slot = <const uint32_t *>_pointer(slots)
    cdef size_t lines = <size_t>slots.shape[0] // 4, i, rest, length
    cdef bytes addresses
    cdef uint64_t *address
    cdef uint64_t value
    cdef bint same = True
    if old.shape[0] != text.shape[0]:
        return None
    addresses = _bytes(NULL, count * sizeof(uint64_t))
    address = <uint64_t *>PyBytes_AS_STRING(addresses)
    with nogil:
        for i in range(lines):
            rest = start[i] + width
            length = start[i + 1] - rest
            if not _plain_hex(now + start[i], width, &value) or not _equal_short(now + rest, before + rest, length):
                same = False
                break
            if slot[i] != <uint32_t>NO_SLOT:
                address[slot[i]] = value
    return addresses if same else None


def same_order(Bytes old_addresses, Bytes addresses, uint64_t old_first, uint64_t old_last, uint64_t first, uint64_t last):
    """Whether symbols in table order stay in it, and on their side of the per-cpu range, at new addresses.

    Symbols that newly share an address would have to be ranked, so that counts as a change.
    """
    cdef const uint64_t *before = <const uint64_t *>_pointer(old_addresses)
    cdef const uint64_t *now = <const uint64_t *>_pointer(addresses)
    cdef size_t count = <size_t>addresses.shape[0] // 8, i
    cdef bint same = True
    with nogil:
        for i in range(count):
            if (old_first <= before[i] <= old_last) != (first <= now[i] <= last):
                same = False
            if i and (now[i] < now[i - 1] or (now[i] == now[i - 1] and before[i] != before[i - 1])):
                same = False
    return same


def address_at(Bytes text, size_t place, size_t width):
    """The address on the plain line whose name begins at ``place``."""
    cdef uint64_t value = 0
    _plain_hex(_pointer(text) + place - 3 - width, width, &value)
    return value
