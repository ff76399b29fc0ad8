# SPDX-License-Identifier: GPL-2.0-only
"""Symbols of the linker's input files, and where their names are in a map."""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memchr, memcmp, memcpy, memset, strlen

from kallsymsd.core.native.columns cimport allocate, copied, u8
from kallsymsd.core.native.strings cimport Strings
from kallsymsd.elf.native.symbols cimport (
    SHN_ABS, SHN_UNDEF, STT_FILE, STT_GNU_IFUNC, STT_OBJECT, STT_SECTION, Symbols
)

cdef enum:
    KINDS = 12                # classes of symbols in one section: 4 bindings, 3 types


cdef inline uint32_t _class(const uint16_t *class_of, uint32_t section, uint8_t info) noexcept nogil:
    cdef uint32_t number = class_of[0 if section == SHN_ABS else section] * KINDS
    number += min(<uint32_t>(info >> 4), <uint32_t>3) * 3
    if info & 15 == STT_OBJECT:
        return number + 1
    return number + 2 if info & 15 == STT_GNU_IFUNC else number


def input_symbols(Symbols symbols, bytes section_classes):
    """The defined symbols of one object file, in its order, as Strings.

    ``section_classes`` has a u16 for each section; the one for section 0 is for absolute symbols. Each string
    is two bytes for the symbol's class (its section's class, binding and type; never zero), then its name.
    Returns None if the names take more room than a linker's sharing of common endings explains.
    """
    cdef const char *text = <const char *>symbols.text
    cdef const uint16_t *class_of = <const uint16_t *>u8(section_classes)
    cdef size_t known = <size_t>len(section_classes) // 2
    cdef size_t limit = min(8 * (symbols.text_size + symbols.count), <size_t>0xffffffff)
    cdef size_t i, kept = 0, used = 0, room = 0, length
    cdef uint32_t kind
    cdef uint32_t *starts = NULL
    cdef uint8_t *out = NULL
    try:
        starts = <uint32_t *>allocate((symbols.count + 1) * sizeof(uint32_t))
        with nogil:
            for i in range(symbols.count):
                room += strlen(text + symbols.name[i]) + 3
                if room > limit:
                    break
        if room > limit:
            return None
        out = <uint8_t *>allocate(room)
        with nogil:
            for i in range(1, symbols.count):
                if symbols.section[i] == SHN_UNDEF or (symbols.section[i] >= known and symbols.section[i] != SHN_ABS):
                    continue
                length = strlen(text + symbols.name[i])
                if length == 0 or symbols.info[i] & 15 == STT_SECTION or symbols.info[i] & 15 == STT_FILE:
                    continue
                kind = _class(class_of, symbols.section[i], symbols.info[i])
                starts[kept] = <uint32_t>used
                kept += 1
                out[used] = <uint8_t>(kind // 255 + 1)
                out[used + 1] = <uint8_t>(kind % 255 + 1)
                memcpy(out + used + 2, text + symbols.name[i], length + 1)
                used += length + 3
            starts[kept] = <uint32_t>used
        return Strings(copied(out, used), copied(starts, (kept + 1) * sizeof(uint32_t)))
    finally:
        free(starts)
        free(out)


def of_class(Strings strings, bytes symbol_class, size_t most):
    """Positions of up to ``most`` strings that begin with the two bytes ``symbol_class``, evenly spread."""
    cdef const uint8_t *string = strings.byte
    cdef const uint32_t *start = strings.start
    cdef const uint8_t *wanted = u8(symbol_class)
    cdef size_t count = strings.count, i, found = 0, taken = 0
    cdef list positions = []
    with nogil:
        for i in range(count):
            found += string[start[i]] == wanted[0] and string[start[i] + 1] == wanted[1]
    if found == 0:
        return positions
    taken = found
    found = 0
    for i in range(count):
        if string[start[i]] == wanted[0] and string[start[i] + 1] == wanted[1]:
            if found % (taken // most + 1) == 0:
                positions.append(i)
            found += 1
    return positions


cdef inline uint64_t _name_hash(const uint8_t *name, size_t length) noexcept nogil:
    cdef uint64_t front = 0, back = 0
    if length >= 8:
        memcpy(&front, name, 8)
        memcpy(&back, name + length - 8, 8)
    else:
        memcpy(&front, name, length)
    front = (front ^ length) * <uint64_t>0x9e3779b97f4a7c15
    front ^= (back ^ front >> 29) * <uint64_t>0xbf58476d1ce4e5b9
    return front ^ front >> 32


def lines_of(bytes text, Strings names):
    """Where the names are in a map: u32 pairs of the name's position and its line's offset, by offset.

    No two names are equal.
    """
    cdef const uint8_t *line = u8(text)
    cdef const uint8_t *begin = line
    cdef const uint8_t *end = line + len(text)
    cdef const uint8_t *newline
    cdef const uint8_t *name
    cdef const uint8_t *string = names.byte
    cdef const uint32_t *start = names.start
    cdef size_t count = names.count, i, mask = 15, length, found = 0, room = 0
    cdef uint64_t value
    cdef uint32_t *slots = NULL
    cdef uint32_t *hits = NULL
    cdef uint32_t *grown
    cdef bint failed = False
    while mask < 4 * count:
        mask = 2 * mask + 1
    slots = <uint32_t *>allocate((mask + 1) * sizeof(uint32_t))
    try:
        with nogil:
            memset(slots, 0, (mask + 1) * sizeof(uint32_t))
            for i in range(count):
                value = _name_hash(string + start[i], start[i + 1] - start[i] - 1) & mask
                while slots[value]:
                    value = (value + 1) & mask
                slots[value] = <uint32_t>(i + 1)
            while line < end:
                newline = <const uint8_t *>memchr(line, c'\n', end - line)
                if newline == NULL:
                    newline = end
                name = <const uint8_t *>memchr(line, c' ', newline - line)
                if name != NULL and name + 3 < newline:
                    name += 3
                    length = newline - name
                    value = _name_hash(name, length) & mask
                    while slots[value]:
                        i = slots[value] - 1
                        if start[i + 1] - start[i] - 1 == length and memcmp(string + start[i], name, length) == 0:
                            if found == room:
                                room = 2 * room + 64
                                grown = <uint32_t *>malloc(2 * room * sizeof(uint32_t))
                                if grown == NULL:
                                    failed = True
                                    break
                                if found:
                                    memcpy(grown, hits, 2 * found * sizeof(uint32_t))
                                free(hits)
                                hits = grown
                            hits[2 * found] = <uint32_t>i
                            hits[2 * found + 1] = <uint32_t>(line - begin)
                            found += 1
                            break
                        value = (value + 1) & mask
                    if failed:
                        break
                line = newline + 1
        if failed:
            raise MemoryError("cannot note where names stand")
        return copied(hits, 2 * found * sizeof(uint32_t))
    finally:
        free(slots)
        free(hits)
