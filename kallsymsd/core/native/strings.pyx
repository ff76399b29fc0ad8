# SPDX-License-Identifier: GPL-2.0-only
"""Many strings in two columns: the form of the symbol table, the codes and the linker's inputs."""

from cpython.bytes cimport PyBytes_AS_STRING
from libc.stdint cimport uint8_t, uint32_t
from libc.string cimport memcpy

from kallsymsd.core.native.columns cimport new_column, u8, u32


cdef class Strings:
    """Strings without zero bytes, numbered from 0. Immutable.

    data    the strings one after the other, each followed by a zero byte
    starts  u32: where each string begins in ``data``; finally the size of ``data``

    In a symbol table, a string is the type letter and the name of a symbol. In codes, it is the same text in
    the 256 codes of the token table. Raises ValueError for columns that do not belong together.
    """

    def __cinit__(self, bytes data, bytes starts):
        cdef Py_ssize_t size = len(starts)
        if size < 4 or size % 4 or u32(starts)[size // 4 - 1] != <size_t>len(data):
            raise ValueError(f"{size} bytes are not the starts of strings of {len(data)} bytes")
        self.data = data
        self.starts = starts
        self.byte = u8(data)
        self.start = u32(starts)
        self.count = <size_t>(size // 4 - 1)

    @staticmethod
    def of(strings):
        """Strings made from an iterable of bytes."""
        cdef list texts = list(strings)
        cdef bytes starts = new_column((<size_t>len(texts) + 1) * sizeof(uint32_t))
        cdef uint32_t *start = <uint32_t *>PyBytes_AS_STRING(starts)
        cdef size_t i, used = 0
        for i in range(<size_t>len(texts)):
            start[i] = <uint32_t>used
            used += <size_t>len(texts[i]) + 1
        start[len(texts)] = <uint32_t>used
        return Strings(b"".join([text + b"\0" for text in texts]), starts)

    def __len__(self):
        return self.count

    def __getitem__(self, Py_ssize_t index):
        if index < 0 or <size_t>index >= self.count:
            raise IndexError(f"string {index} of {self.count}")
        return self.data[self.start[index] : self.start[index + 1] - 1]

    def __eq__(self, other):
        if not isinstance(other, Strings):
            return NotImplemented
        return self.data == (<Strings>other).data and self.starts == (<Strings>other).starts

    @property
    def nbytes(self):
        """The size of both columns, in bytes."""
        return len(self.data) + len(self.starts)

    def select(self, bytes positions):
        """The strings at the u32 ``positions``, one after the other, each with its zero."""
        cdef const uint32_t *position = u32(positions)
        cdef size_t count = <size_t>len(positions) // 4, i, size = 0, length
        cdef bytes selected
        cdef uint8_t *out
        for i in range(count):
            size += self.start[position[i] + 1] - self.start[position[i]]
        selected = new_column(size)
        out = <uint8_t *>PyBytes_AS_STRING(selected)
        with nogil:
            for i in range(count):
                length = self.start[position[i] + 1] - self.start[position[i]]
                memcpy(out, self.byte + self.start[position[i]], length)
                out += length
        return selected
