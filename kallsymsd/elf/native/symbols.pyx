# SPDX-License-Identifier: GPL-2.0-only
"""ELF symbol tables: decoding entries into columns, and finding symbols by name."""

cimport cython
from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_AS_STRING
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport free
from libc.string cimport memset, strcmp

from kallsymsd.core.native.columns cimport allocate, new_column, u8, u32, u64

from kallsymsd.core.errors import InputError

cdef extern from *:
    """
    /* Numbers of an ELF file; swapped if its byte order is not this machine's. */
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
    SHN_LORESERVE = 0xff00    # in the file, section indices from here on stand for no section
    SHN_XINDEX = 0xffff       # the index is in the section SHT_SYMTAB_SHNDX
    BLOOM_BITS = 12           # bits of a hash that lets find() skip nearly all names


# No garbage collection: it would clear ``strings`` while their buffer is in use. No cycle contains Symbols.
@cython.no_gc
cdef class Symbols:
    """The entries of a symbol table as columns in this machine's byte order, the empty first one included.

    values, sizes  u64
    names          u32: where each name begins in ``strings``
    infos          u8: binding << 4 | type
    sections       u32: index of the section, which may exceed 65,280; reserved indices (SHN_LORESERVE to
                   SHN_HIRESERVE) are moved to the top of the 32 bits, so that they do not collide with the
                   sections of a file with more than 65,280
    strings        memoryview: all names, each followed by a zero; every entry of ``names`` points into it
    """

    def __dealloc__(self):
        PyBuffer_Release(&self.buffer)

    @staticmethod
    def decode(table, large, strings, *, bint wide, bint big_endian):
        """Decode the entries of a symbol table, whose length is a multiple of the entry size.

        table    contents of SHT_SYMTAB
        large    contents of SHT_SYMTAB_SHNDX, empty if there is none
        strings  memoryview of the string table, which ends in a zero
        wide     whether the file is ELFCLASS64

        Raises InputError for a damaged entry.
        """
        cdef Symbols symbols = Symbols()
        cdef Py_buffer entries, indices
        PyObject_GetBuffer(strings, &symbols.buffer, PyBUF_SIMPLE)
        symbols.strings = strings
        PyObject_GetBuffer(table, &entries, PyBUF_SIMPLE)
        try:
            PyObject_GetBuffer(large, &indices, PyBUF_SIMPLE)
            try:
                symbols.fill(&entries, &indices, wide, big_endian)
            finally:
                PyBuffer_Release(&indices)
        finally:
            PyBuffer_Release(&entries)
        return symbols

    cdef void fill(self, Py_buffer *table, Py_buffer *large, bint wide, bint big_endian) except *:
        """Make the columns. The buffer of strings must be set."""
        cdef const uint8_t *data = <const uint8_t *>table.buf
        cdef const uint8_t *indices = <const uint8_t *>large.buf
        cdef size_t entry = 24 if wide else 16
        cdef size_t count = <size_t>table.len // entry, i
        cdef size_t index_count = <size_t>large.len // 4, strings_size = <size_t>self.buffer.len
        cdef bint swapped = big_endian != THIS_IS_BIG_ENDIAN
        self.values = new_column(count * sizeof(uint64_t))
        self.sizes = new_column(count * sizeof(uint64_t))
        self.names = new_column(count * sizeof(uint32_t))
        self.infos = new_column(count)
        self.sections = new_column(count * sizeof(uint32_t))
        cdef uint64_t *value = <uint64_t *>PyBytes_AS_STRING(self.values)
        cdef uint64_t *size = <uint64_t *>PyBytes_AS_STRING(self.sizes)
        cdef uint32_t *name = <uint32_t *>PyBytes_AS_STRING(self.names)
        cdef uint8_t *info = <uint8_t *>PyBytes_AS_STRING(self.infos)
        cdef uint32_t *section = <uint32_t *>PyBytes_AS_STRING(self.sections)
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
        if bad < count:
            problem = b"name outside of the string table" if bad_name else b"no extended section index"
            raise InputError(b"damaged ELF file", detail=b"symbol %d: %b" % (bad, problem))
        self.value = value
        self.size = size
        self.name = name
        self.info = info
        self.section = section
        self.text = <const uint8_t *>self.buffer.buf
        self.text_size = strings_size
        self.count = count

    def find(self, list wanted):
        """Positions of the defined symbols with the names ``wanted``; 0 for a name that is missing.

        A symbol that is not local takes precedence over local ones, then the first one.
        """
        cdef size_t several = <size_t>len(wanted), i, j
        cdef const char **text = NULL
        cdef size_t *found = NULL
        cdef uint8_t[1 << BLOOM_BITS] bloom
        try:
            text = <const char **>allocate(several * sizeof(char *))
            found = <size_t *>allocate(several * sizeof(size_t))
            memset(bloom, 0, sizeof(bloom))
            for j in range(several):
                text[j] = PyBytes_AS_STRING(wanted[j])
                found[j] = 0
                bloom[_bloom(<const uint8_t *>text[j])] = 1
            with nogil:
                for i in range(1, self.count):
                    if self.section[i] == 0 or not bloom[_bloom(self.text + self.name[i])]:
                        continue
                    for j in range(several):
                        if strcmp(text[j], <const char *>self.text + self.name[i]) == 0 and (
                            found[j] == 0 or (self.info[found[j]] >> 4 == 0 and self.info[i] >> 4 != 0)
                        ):
                            found[j] = i
            return [found[j] for j in range(several)]
        finally:
            free(text)
            free(found)


cdef inline uint32_t _bloom(const uint8_t *name) noexcept nogil:
    """A hash of the first bytes of a zero-terminated name."""
    cdef uint32_t hash = 0
    cdef int i
    for i in range(12):
        if name[i] == 0:
            break
        hash = hash * 31 + name[i]
    return (hash * <uint32_t>0x9e3779b1) >> (32 - BLOOM_BITS)
