# SPDX-License-Identifier: GPL-2.0-only
"""ELF symbol tables: entries -> columns, and symbols by name."""

cdef extern from *:
    """
    /* Numbers of an ELF file; swapped where its byte order is not this machine's. */
    static inline uint16_t elf16(const uint8_t *at, int swapped)
    {
        uint16_t value;

        memcpy(&value, at, sizeof(value));
        return swapped ? __builtin_bswap16(value) : value;
    }

    static inline uint32_t elf32(const uint8_t *at, int swapped)
    {
        uint32_t value;

        memcpy(&value, at, sizeof(value));
        return swapped ? __builtin_bswap32(value) : value;
    }

    static inline uint64_t elf64(const uint8_t *at, int swapped)
    {
        uint64_t value;

        memcpy(&value, at, sizeof(value));
        return swapped ? __builtin_bswap64(value) : value;
    }

    #define THIS_IS_BIG_ENDIAN (__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__)
    """
    uint16_t elf16(const uint8_t *at, bint swapped) nogil
    uint32_t elf32(const uint8_t *at, bint swapped) nogil
    uint64_t elf64(const uint8_t *at, bint swapped) nogil
    bint THIS_IS_BIG_ENDIAN

cdef enum:
    SHN_LORESERVE = 0xff00    # section indices from here on are no sections
    SHN_XINDEX = 0xffff       # the index stands in the section SHT_SYMTAB_SHNDX
    BLOOM_BITS = 12           # of a hash, by which find_symbols() passes over nearly all names


def decode_symbols(Bytes table, Bytes large, size_t strings_size, bint wide, bint big_endian):
    """Decode the entries of a symbol table, whose length is a multiple of the entry size.

    large         contents of SHT_SYMTAB_SHNDX, empty without
    strings_size  bytes of the string table
    wide          ELFCLASS64

    Returns (values u64, sizes u64, names u32, infos u8, sections u32, problem). problem is None or (number of a
    damaged entry, what is wrong). Reserved section indices are moved to 0xffffff00 and above.
    """
    cdef const uint8_t *data = _pointer(table)
    cdef const uint8_t *indices = _pointer(large)
    cdef size_t entry = 24 if wide else 16
    cdef size_t count = <size_t>table.shape[0] // entry, i
    cdef size_t index_count = <size_t>large.shape[0] // 4
    cdef bint swapped = big_endian != THIS_IS_BIG_ENDIAN
    cdef bytes values = _bytes(NULL, count * sizeof(uint64_t))
    cdef bytes sizes = _bytes(NULL, count * sizeof(uint64_t))
    cdef bytes names = _bytes(NULL, count * sizeof(uint32_t))
    cdef bytes infos = _bytes(NULL, count)
    cdef bytes sections = _bytes(NULL, count * sizeof(uint32_t))
    cdef uint64_t *value = <uint64_t *>PyBytes_AS_STRING(values)
    cdef uint64_t *size = <uint64_t *>PyBytes_AS_STRING(sizes)
    cdef uint32_t *name = <uint32_t *>PyBytes_AS_STRING(names)
    cdef uint8_t *info = <uint8_t *>PyBytes_AS_STRING(infos)
    cdef uint32_t *section = <uint32_t *>PyBytes_AS_STRING(sections)
    cdef size_t bad = count
    cdef bint bad_name = False
    with nogil:
        for i in range(count):
            name[i] = elf32(data, swapped)
            if wide:
                info[i] = data[4]
                section[i] = elf16(data + 6, swapped)
                value[i] = elf64(data + 8, swapped)
                size[i] = elf64(data + 16, swapped)
            else:
                value[i] = elf32(data + 4, swapped)
                size[i] = elf32(data + 8, swapped)
                info[i] = data[12]
                section[i] = elf16(data + 14, swapped)
            if section[i] == SHN_XINDEX and index_count:
                if i >= index_count:
                    bad = i
                    break
                section[i] = elf32(indices + 4 * i, swapped)
            elif section[i] >= SHN_LORESERVE:
                section[i] += <uint32_t>0xffff0000
            if name[i] >= strings_size:
                bad = i
                bad_name = True
                break
            data += entry
    problem = None
    if bad < count:
        problem = (bad, b"name outside of the string table" if bad_name else b"no index of its section")
    return values, sizes, names, infos, sections, problem


cdef inline uint32_t _bloom(const uint8_t *name) noexcept nogil:
    """A hash of the first bytes of a name that ends in a zero."""
    cdef uint32_t hash = 0
    cdef int i
    for i in range(12):
        if name[i] == 0:
            break
        hash = hash * 31 + name[i]
    return (hash * <uint32_t>0x9e3779b1) >> (32 - BLOOM_BITS)


def find_symbols(list wanted, Bytes names, Bytes infos, Bytes sections, Bytes strings):
    """Positions of the defined symbols with the names ``wanted``, 0 for none; columns as of decode_symbols().

    A symbol that is not local comes before a local one, then the first one.
    """
    cdef const uint32_t *name = <const uint32_t *>_pointer(names)
    cdef const uint8_t *info = _pointer(infos)
    cdef const uint32_t *section = <const uint32_t *>_pointer(sections)
    cdef const uint8_t *string = _pointer(strings)
    cdef size_t count = <size_t>names.shape[0] // 4, several = <size_t>len(wanted), i, j
    cdef const char **text = NULL
    cdef size_t *found = NULL
    cdef uint8_t[1 << BLOOM_BITS] bloom
    try:
        text = <const char **>_allocate(several * sizeof(char *))
        found = <size_t *>_allocate(several * sizeof(size_t))
        memset(bloom, 0, sizeof(bloom))
        for j in range(several):
            text[j] = PyBytes_AS_STRING(wanted[j])
            found[j] = 0
            bloom[_bloom(<const uint8_t *>text[j])] = 1
        with nogil:
            for i in range(1, count):
                if section[i] == 0 or not bloom[_bloom(string + name[i])]:
                    continue
                for j in range(several):
                    if strcmp(text[j], <const char *>string + name[i]) == 0 and (
                        found[j] == 0 or (info[found[j]] >> 4 == 0 and info[i] >> 4 != 0)
                    ):
                        found[j] = i
        return [found[j] for j in range(several)]
    finally:
        free(text)
        free(found)
