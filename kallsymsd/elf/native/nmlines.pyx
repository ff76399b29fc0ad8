# SPDX-License-Identifier: GPL-2.0-only
"""ELF symbols -> the lines that "nm -n" prints, except those that mksysmap drops."""

from cpython.bytes cimport PyBytes_AS_STRING
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.stdlib cimport free
from libc.string cimport memchr, memcmp, memcpy, memset, strchr, strlen

from kallsymsd.core.native.columns cimport allocate, new_column, u8
from kallsymsd.core.native.nameorder cimport Names, sort_names
from kallsymsd.core.native.sorting cimport Entry, stable_sort
from kallsymsd.core.native.text cimport HEX_DIGITS
from kallsymsd.elf.native.mksysmap cimport DroppedSymbols, is_dropped
from kallsymsd.elf.native.symbols cimport (
    SHN_ABS, SHN_COMMON, SHN_FIRST, SHN_UNDEF, STB_GLOBAL, STB_GNU_UNIQUE, STB_LOCAL, STB_WEAK, STT_COMMON,
    STT_FILE, STT_FUNC, STT_GNU_IFUNC, STT_OBJECT, STT_SECTION, Symbols
)

# Whose letters and order to use: binutils' nm, llvm-nm, or the ELF reader in scripts/kallsyms since v7.4.
cdef enum:
    BINUTILS = 0
    LLVM = 1
    KALLSYMS = 2

    SHARED_MOST = 8           # how often names may use each byte of the string table, plus 16 bytes a name
    NAME_MOST = 0xffff        # bytes of a name

cdef struct Lines:
    uint64_t *value
    uint8_t *letter
    uint64_t *symbol_size
    uint32_t *start           # where the name begins
    uint32_t *length
    size_t count, size        # number of lines, and bytes of their names
    size_t extended           # lines whose values were extended
    size_t bad                # the first symbol that no line can hold, or 0


cdef class NmForm:
    """How an nm lists the symbols of one file.

    letters        for each section, the letter of a local symbol in it
    flavour        0 binutils, 1 LLVM, 2 the ELF reader in scripts/kallsyms
    clear_low_bit  clear the low bit, which names the instruction set, in values of functions (1), of indirect
                   functions too (2), or of no symbols (0)
    sign_extend    extend values from 32 to 64 bits; negative ones then have 16 digits
    width          digits of a value, 8 or 16
    """

    cdef readonly bytes letters
    cdef readonly int flavour
    cdef readonly int clear_low_bit
    cdef readonly bint sign_extend
    cdef readonly size_t width
    cdef const uint8_t *letter
    cdef size_t sections

    def __cinit__(self, bytes letters, *, int flavour, int clear_low_bit, bint sign_extend, size_t width):
        self.letters = letters
        self.flavour = flavour
        self.clear_low_bit = clear_low_bit
        self.sign_extend = sign_extend
        self.width = width
        self.letter = u8(letters)
        self.sections = <size_t>len(letters)


cdef inline uint8_t _upper(uint8_t letter) noexcept nogil:
    return letter - 32 if letter >= c'a' and letter <= c'z' else letter


cdef inline bint _llvm_common(uint8_t type, uint32_t section) noexcept nogil:
    """Whether LLVM takes this for a common symbol."""
    return section == SHN_COMMON or (type == STT_COMMON and section != SHN_UNDEF)


cdef uint8_t _letter(NmForm form, uint8_t bind, uint8_t type, uint32_t section) noexcept nogil:
    """The letter of a symbol; 0 if nm does not list the symbol."""
    cdef bint weak = bind == STB_WEAK
    # BFD treats STT_COMMON as a kind of object.
    cdef bint is_object = type == STT_OBJECT or (type == STT_COMMON and form.flavour == BINUTILS)
    cdef uint8_t letter
    if type == STT_SECTION or type == STT_FILE:
        return 0
    if form.flavour == LLVM:
        if _llvm_common(type, section) and not weak:
            return c'i' if type == STT_GNU_IFUNC else c'C'
        # A weak symbol in a section that the file does not have.
        if section >= form.sections and section < SHN_FIRST and type != STT_COMMON:
            return c'?'
    elif section == SHN_COMMON:
        return c'C'
    if section == SHN_UNDEF:
        return (c'v' if is_object else c'w') if weak else c'U'
    if type == STT_GNU_IFUNC:
        return c'i'
    if weak:
        return c'V' if is_object else c'W'
    if form.flavour == LLVM and section == SHN_ABS:
        return c'a' if bind == STB_LOCAL else c'A'
    if bind == STB_GNU_UNIQUE:
        return c'u'
    if bind != STB_GLOBAL and bind != STB_LOCAL:
        return c'?'
    if section < form.sections:
        letter = form.letter[section]
    elif form.flavour == BINUTILS or section == SHN_ABS:
        letter = c'a'
    else:
        return c'?'
    return _upper(letter) if bind == STB_GLOBAL else letter


cdef inline bint _sized(int flavour, uint8_t type, uint32_t section) noexcept nogil:
    """Whether nm prints the size instead of the value, which is an alignment."""
    if flavour == LLVM:
        return _llvm_common(type, section)
    return flavour == BINUTILS and section == SHN_COMMON


cdef inline bint _function(int flavour, int which, uint8_t type, uint32_t section) noexcept nogil:
    """Whether the low bit of the value is not part of the address, on a machine that has such functions."""
    if flavour == LLVM:
        return type == STT_FUNC and section != SHN_ABS
    return type == STT_FUNC or (type == STT_GNU_IFUNC and which == 2)


cdef inline bint _blank(int flavour, uint8_t letter) noexcept nogil:
    """Whether nm prints blanks instead of a value, and lists the symbol before all others."""
    return flavour != KALLSYMS and (letter == c'U' or letter == c'w' or letter == c'v')


cdef void _select(Symbols symbols, NmForm form, DroppedSymbols dropped, Lines *lines) noexcept nogil:
    """Select the lines that stay, in the order of the symbol table."""
    # Names may share bytes. Without a limit, the size of the map could be the square of that of the file.
    cdef size_t room = SHARED_MOST * (symbols.text_size + 16 * symbols.count)
    cdef size_t i, length, seen = 0, at = 0
    cdef uint8_t letter, type
    cdef const uint8_t *name
    for i in range(1, symbols.count):
        type = symbols.info[i] & 15
        letter = _letter(form, symbols.info[i] >> 4, type, symbols.section[i])
        if letter == 0 or strchr(dropped.letters, letter) != NULL:
            continue
        name = symbols.text + symbols.name[i]
        length = strlen(<const char *>name)
        seen += length
        if seen > room or length > NAME_MOST:
            lines.bad = i
            break
        if is_dropped(&dropped.rules, name, length):
            continue
        if memchr(name, c'\n', length) != NULL or memchr(name, c' ', length) != NULL:
            lines.bad = i
            break
        lines.value[at] = symbols.value[i]
        if _sized(form.flavour, type, symbols.section[i]):
            lines.value[at] = symbols.size[i]
        elif form.clear_low_bit and _function(
            form.flavour, form.clear_low_bit, type, symbols.section[i]
        ):
            lines.value[at] &= ~<uint64_t>1
        if (
            form.sign_extend
            and lines.value[at] & <uint64_t>0x80000000
            and not _sized(form.flavour, type, symbols.section[i])
        ):
            lines.value[at] |= <uint64_t>0xffffffff00000000
            lines.extended += not _blank(form.flavour, letter)
        lines.symbol_size[at] = symbols.size[i]
        lines.letter[at] = letter
        lines.start[at] = symbols.name[i]
        lines.length[at] = <uint32_t>length
        lines.size += length
        at += 1
    lines.count = at


cdef void _sort_same_name(Names *names, Lines *lines, Entry *entries, Entry *spare, size_t count) noexcept nogil:
    """Sort lines of symbols with the same name, which are neighbours, by size."""
    cdef size_t i, first = 0, end, a, b
    while first < count:
        a = entries[first].index
        end = first + 1
        while end < count:
            b = entries[end].index
            if lines.length[a] != lines.length[b] or memcmp(
                names.string + names.start[a] + 1, names.string + names.start[b] + 1, lines.length[a]
            ) != 0:
                break
            end += 1
        if end - first > 1:
            for i in range(first, end):
                entries[i].key = lines.symbol_size[entries[i].index]
            stable_sort(entries + first, spare, end - first)
        first = end


cdef void _sort_same_value(
    Names *names, int flavour, Lines *lines, Entry *entries, Entry *spare, size_t count
) noexcept nogil:
    """Sort lines with the same value by name, for LLVM also by size."""
    if count > 1:
        sort_names(names, entries, spare, count)
        if flavour == LLVM:
            _sort_same_name(names, lines, entries, spare, count)


cdef void _sort_lines(Symbols symbols, int flavour, Lines *lines, Entry *entries, Entry *spare) noexcept nogil:
    """Put positions of lines into ``entries``: undefined symbols, then by value, name, and for LLVM size.

    Lines that are still equal stay in the order of the symbol table. The qsort() of kernel builds is stable.
    LLVM's sort is stable for short runs only, but no linker makes such symbols.
    """
    cdef size_t i, at = 0, first = 0, end
    cdef size_t undefined = 0
    cdef Names names
    for i in range(lines.count):
        undefined += _blank(flavour, lines.letter[i])
    end = undefined
    for i in range(lines.count):
        if _blank(flavour, lines.letter[i]):
            entries[at].key = 0
            entries[at].index = <uint32_t>i
            at += 1
        else:
            entries[end].key = lines.value[i]
            entries[end].index = <uint32_t>i
            end += 1
    stable_sort(entries + undefined, spare, lines.count - undefined)
    # Names skips a type letter before each name, which these names do not have.
    names.string = symbols.text - 1
    names.end = symbols.text + symbols.text_size
    names.start = lines.start
    _sort_same_value(&names, flavour, lines, entries, spare, undefined)
    first = undefined
    while first < lines.count:
        end = first + 1
        while end < lines.count and entries[end].key == entries[first].key:
            end += 1
        _sort_same_value(&names, flavour, lines, entries + first, spare, end - first)
        first = end


cdef void _print(
    uint8_t *out, Symbols symbols, int flavour, size_t width, Lines *lines, Entry *entries
) noexcept nogil:
    cdef size_t i, line, digit, digits
    cdef uint64_t value
    for i in range(lines.count):
        line = entries[i].index
        digits = width
        if _blank(flavour, lines.letter[line]):
            memset(out, c' ', width)
        else:
            value = lines.value[line]
            if value >> 32:
                digits = 16
            for digit in range(digits):
                out[digits - 1 - digit] = <uint8_t>HEX_DIGITS[value & 15]
                value >>= 4
        out[digits] = c' '
        out[digits + 1] = lines.letter[line]
        out[digits + 2] = c' '
        out += digits + 3
        memcpy(out, symbols.text + lines.start[line], lines.length[line])
        out += lines.length[line]
        out[0] = c'\n'
        out += 1


def nm_lines(Symbols symbols, NmForm form, DroppedSymbols dropped):
    """``(text, 0)``: the lines of "nm -n", without the ``dropped`` ones.

    If no map can hold them: ``(b"", position)`` of the first symbol whose name has a blank or is too long.
    """
    cdef Lines lines
    cdef Entry *entries = NULL
    cdef Entry *spare = NULL
    cdef bytes text
    cdef uint8_t *out
    memset(&lines, 0, sizeof(lines))
    try:
        lines.value = <uint64_t *>allocate(symbols.count * sizeof(uint64_t))
        lines.letter = <uint8_t *>allocate(symbols.count)
        lines.symbol_size = <uint64_t *>allocate(symbols.count * sizeof(uint64_t))
        lines.start = <uint32_t *>allocate(symbols.count * sizeof(uint32_t))
        lines.length = <uint32_t *>allocate(symbols.count * sizeof(uint32_t))
        with nogil:
            _select(symbols, form, dropped, &lines)
        if lines.bad:
            return b"", lines.bad
        text = new_column(lines.count * (form.width + 4) + lines.extended * (16 - form.width) + lines.size)
        out = <uint8_t *>PyBytes_AS_STRING(text)
        entries = <Entry *>allocate(lines.count * sizeof(Entry))
        spare = <Entry *>allocate(lines.count * sizeof(Entry))
        with nogil:
            _sort_lines(symbols, form.flavour, &lines, entries, spare)
            _print(out, symbols, form.flavour, form.width, &lines, entries)
        return text, 0
    finally:
        free(lines.value)
        free(lines.letter)
        free(lines.symbol_size)
        free(lines.start)
        free(lines.length)
        free(entries)
        free(spare)
