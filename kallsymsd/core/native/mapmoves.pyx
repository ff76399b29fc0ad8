# SPDX-License-Identifier: GPL-2.0-only
"""Maps in which only addresses changed: they need no parsing, no sorting and no tokens.

A plain line is "address type name" and a newline, with ``width`` (8 or 16) lower-case hex digits. Its type is
not white space. Its name contains no white space and is no longer than what fscanf takes at once. Every
dialect reads such a line in the same way, whatever the digits are.
"""

from cpython.bytes cimport PyBytes_AS_STRING
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memchr, memcmp

from kallsymsd.core.native.columns cimport copied, u8, u32, u64
from kallsymsd.core.native.mapreader cimport Origin
from kallsymsd.core.native.strings cimport Strings
from kallsymsd.core.native.text cimport SCANF_WIDTH, equal_bytes, is_space, plain_hex, same_text


cdef bint _plain_lines(const uint8_t *before, const uint8_t *now, size_t size, size_t width) noexcept nogil:
    """Whether both texts are the same plain lines except for the addresses.

    These are lines of symbols that are not in the table.
    """
    cdef size_t at = 0, length, i
    cdef const uint8_t *eol
    cdef uint64_t value
    while at < size:
        eol = <const uint8_t *>memchr(now + at, c'\n', size - at)
        length = <size_t>(eol - (now + at)) if eol != NULL else 0
        if (
            length <= width + 3
            or length > width + 3 + SCANF_WIDTH
            or not plain_hex(before + at, width, &value)
            or not plain_hex(now + at, width, &value)
            or memcmp(before + at + width, now + at + width, length + 1 - width)
            or now[at + width] != c' '
            or now[at + width + 1] > 0x7f
            or now[at + width + 1] <= 32
            or now[at + width + 2] != c' '
        ):
            return False
        for i in range(width + 3, length):
            if is_space(now[at + i]) or now[at + i] == 0:
                return False
        at += length + 1
    return True


cdef size_t _lines_before(const uint32_t *place, size_t count, size_t width, size_t end) noexcept nogil:
    """The number of symbols before the last one whose line begins at ``end`` or earlier."""
    cdef size_t low = 0, high = count, middle
    while low < high:
        middle = (low + high) // 2
        if place[middle] - 3 - width <= end:
            low = middle + 1
        else:
            high = middle
    return low - 1 if low else 0


def move(bytes old, bytes text, Origin origin, Strings strings, bytes old_addresses):
    """The new u64 addresses of a table's symbols, if ``text`` differs from the map ``old`` in addresses only.

    Returns None otherwise. ``origin`` says where in ``old`` the symbols came from; ``strings`` and
    ``old_addresses`` are in table order.
    """
    cdef const uint8_t *before = u8(old)
    cdef const uint8_t *now = u8(text)
    cdef const uint32_t *place = u32(origin.places)
    cdef const uint32_t *rank = u32(origin.ranks)
    cdef const uint32_t *start = strings.start
    cdef size_t width = origin.width, size = <size_t>len(text), count = strings.count
    cdef size_t i, begin, at = 0, rest = 0
    cdef bytes addresses
    cdef uint64_t *address
    cdef bint same = True
    if <size_t>len(old) != size:
        return None
    addresses = copied(u8(old_addresses), count * sizeof(uint64_t))
    address = <uint64_t *>PyBytes_AS_STRING(addresses)
    with nogil:
        # Up to the first difference, the old addresses are still right.
        i = _lines_before(place, count, width, equal_bytes(before, now, size))
        if i:
            at = place[i] - 3 - width
        while True:
            # Between the last address and the next: the rest of its line, then any lines of other symbols.
            begin = place[i] - 3 - width if i < count else size
            if at + rest > begin or (rest and not same_text(before + at, now + at, rest, size - at)) or (
                at + rest != begin and not _plain_lines(before + at + rest, now + at + rest, begin - at - rest, width)
            ):
                same = False
                break
            if i == count:
                break
            if not plain_hex(now + begin, width, &address[rank[i]]) or now[begin + width + 2] != c' ' or (
                now[begin + width] != c' ' or (begin and now[begin - 1] != c'\n')
            ):
                same = False
                break
            at = begin + width
            # Blank, type, blank, name, newline.
            rest = start[rank[i] + 1] - start[rank[i]] + 2
            if at + rest > size or now[at + rest - 1] != c'\n':
                same = False
                break
            i += 1
    return addresses if same else None


def same_order(bytes old_addresses, bytes addresses, tuple old_percpu, tuple percpu):
    """Whether the symbols are still in table order at their new addresses.

    A symbol that enters or leaves the per-cpu range counts as a change. So do symbols that newly share an
    address, because they would have to be ranked. The per-cpu ranges are (first, last).
    """
    cdef const uint64_t *before = u64(old_addresses)
    cdef const uint64_t *now = u64(addresses)
    cdef uint64_t old_first = old_percpu[0], old_last = old_percpu[1], first = percpu[0], last = percpu[1]
    cdef size_t count = <size_t>len(addresses) // 8, i
    cdef bint same = True
    with nogil:
        for i in range(count):
            if (old_first <= before[i] <= old_last) != (first <= now[i] <= last):
                same = False
            if i and (now[i] < now[i - 1] or (now[i] == now[i - 1] and before[i] != before[i - 1])):
                same = False
    return same


def address_at(bytes text, size_t place, size_t width):
    """The address on the plain line whose name begins at ``place``; None if it does not look plain."""
    cdef const uint8_t *now = u8(text)
    cdef uint64_t value = 0
    cdef size_t begin = place - 3 - width
    if place < 3 + width or (begin and now[begin - 1] != c'\n') or not plain_hex(now + begin, width, &value):
        return None
    return value
