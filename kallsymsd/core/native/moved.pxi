# SPDX-License-Identifier: GPL-2.0-only
"""Maps in which nothing but addresses changed: no parsing, no sorting, no tokens."""

cdef enum:
    NO_SLOT = 0xffffffff      # a line whose symbol is not in the table


cdef inline bint _plain_hex(const uint8_t *digits, size_t width, uint64_t *value) noexcept nogil:
    """Decode 8 or 16 lower-case hex digits, eight at a time; False for anything else."""
    cdef uint64_t low = <uint64_t>0x0f0f0f0f0f0f0f0f, ones = <uint64_t>0x0101010101010101
    cdef uint64_t text, nibbles, letters
    cdef size_t at
    value[0] = 0
    for at in range(0, width, 8):
        # Most significant byte first, whatever this machine's byte order: compilers make one load of it.
        text = (
            <uint64_t>digits[at] << 56 | <uint64_t>digits[at + 1] << 48 | <uint64_t>digits[at + 2] << 40
            | <uint64_t>digits[at + 3] << 32 | <uint64_t>digits[at + 4] << 24 | <uint64_t>digits[at + 5] << 16
            | <uint64_t>digits[at + 6] << 8 | <uint64_t>digits[at + 7]
        )
        # '0'..'9' are 0x30..0x39, 'a'..'f' are 0x61..0x66; what does not turn into the same text is no digit.
        nibbles = (text & low) + (text >> 6 & ones) * <uint64_t>9
        letters = (nibbles + ones * <uint64_t>6) >> 4 & ones
        if (nibbles & ~low) != 0 or nibbles + ones * <uint64_t>0x30 + letters * <uint64_t>0x27 != text:
            return False
        nibbles = (nibbles >> 4 | nibbles) & <uint64_t>0x00ff00ff00ff00ff
        nibbles = (nibbles >> 8 | nibbles) & <uint64_t>0x0000ffff0000ffff
        nibbles = (nibbles >> 16 | nibbles) & <uint64_t>0xffffffff
        value[0] = value[0] << 32 | nibbles
    return True


def index_lines(Bytes text, size_t width, Bytes places):
    """``(starts, slots)`` of a map of plain lines, None where a line is not plain.

    A plain line is "address type name" and a newline, with ``width`` (8 or 16) lower-case hex digits and no
    white space in the name: every dialect reads it alike. starts: u32 offset of each line and of the end.
    slots: u32 position of its symbol in the table whose names stand at ``places`` in the text.
    """
    cdef const uint8_t *data = _pointer(text)
    cdef const uint32_t *place = <const uint32_t *>_pointer(places)
    cdef size_t size = <size_t>text.shape[0], symbols = <size_t>places.shape[0] // 4
    cdef size_t count = 0, at = 0, i, length, low, high
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
                    and _plain_hex(data + at, width, &value)
                    and data[at + width] == c' '
                    and data[at + width + 1] < 0x80
                    and data[at + width + 1] > 32
                    and data[at + width + 2] == c' '
                )
                for i in range(width + 3, length):
                    if _SPACE[data[at + i]] or data[at + i] == 0:
                        plain = False
                start[count] = <uint32_t>at
                count += 1
                at += length + 1
            start[count if plain else 0] = <uint32_t>at
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


def move(Bytes old, Bytes text, size_t width, Bytes starts, Bytes slots, size_t count):
    """u64 addresses of the ``count`` symbols of a table for a map that differs in addresses only, else None.

    ``starts`` and ``slots`` are index_lines()' of the ``old`` text.
    """
    cdef const uint8_t *before = _pointer(old)
    cdef const uint8_t *now = _pointer(text)
    cdef const uint32_t *start = <const uint32_t *>_pointer(starts)
    cdef const uint32_t *slot = <const uint32_t *>_pointer(slots)
    cdef size_t lines = <size_t>slots.shape[0] // 4, i, rest
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
            if not _plain_hex(now + start[i], width, &value) or memcmp(
                now + rest, before + rest, start[i + 1] - rest
            ):
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
