# SPDX-License-Identifier: GPL-2.0-only
"""The token optimisation: which texts the 256 codes stand for.

The kernel's own tool repeats: take the pair of codes that is most frequent in all strings, give it the
highest free code, replace it everywhere. The result depends only on the multiset of strings.
"""

from cpython.bytes cimport PyBytes_AS_STRING
from cpython.ref cimport PyObject, Py_XDECREF
from libc.stdint cimport int32_t, uint8_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, memmove, memset

from kallsymsd.core.native.columns cimport bytes_data, copied, finished, new_bytes
from kallsymsd.core.native.simd cimport CODES, PAIRS, Counts, best_pair, count_pairs, counts_from, counts_replace, pair_stats
from kallsymsd.core.native.strings cimport Strings


cdef class TokenTable:
    """The token table with its history, which an exact update needs.

    The history has for each step the neighbours of the pairs that it replaced (struct pair_stats). These are
    sums over the strings, so strings can be taken out and put in without looking at the others.
    """

    def __cinit__(self):
        self.initial = <int32_t *>calloc(PAIRS, sizeof(int32_t))
        self.steps = <Step *>calloc(CODES, sizeof(Step))
        if self.initial == NULL or self.steps == NULL:
            raise MemoryError("no memory for a token table")

    def __dealloc__(self):
        free(self.initial)
        free(self.steps)

    @staticmethod
    def build(Strings strings):
        """``(table, codes)``: the table of these strings, and the strings in codes.

        In ``codes`` a zero follows each string. The token of code 0 is not applied.
        """
        cdef TokenTable table = TokenTable()
        cdef size_t size = <size_t>len(strings.data)
        cdef const uint8_t *source = strings.byte
        cdef Stream stream
        cdef PyObject *codes = new_bytes(NULL, stream_room(size))
        stream.memory = <uint8_t *>bytes_data(codes)
        try:
            with nogil:
                stream_place(&stream, size)
                memcpy(stream.codes, source, size)
                # Start at the separator before the first string.
                count_pairs(stream.codes - 1, size + 1, 1, table.initial)
                table.run(&stream)
                memmove(stream.memory, stream.codes, stream.size)
            return table, finished(&codes, stream.size)
        finally:
            Py_XDECREF(codes)

    cdef void run(self, Stream *stream) noexcept nogil:
        """Make all steps, on a stream of the strings themselves."""
        cdef Counts counts
        counts_from(&counts, self.initial)
        self.step_count = 0
        self.run_from(stream, &counts)

    cdef void run_from(self, Stream *stream, Counts *counts) noexcept nogil:
        """Make the remaining steps. ``stream`` and ``counts`` must reflect the steps that the table has."""
        cdef uint8_t codes[CODES]
        cdef int free_codes = self.free_codes(codes)
        cdef Step *step
        cdef uint8_t first = 0, second = 0
        self.has_zero = False
        while self.step_count < free_codes and best_pair(counts, &first, &second):
            if codes[self.step_count] == 0:
                self.has_zero = True
                self.zero_first = first
                self.zero_second = second
                break
            step = &self.steps[self.step_count]
            step.first = first
            step.second = second
            step.code = codes[self.step_count]
            self.step_count += 1
            stream_replace(stream, first, second, step.code, &step.stats)
            counts_replace(counts, first, second, step.code, &step.stats)

    cdef void find_literals(self, uint8_t *is_literal) noexcept nogil:
        """For each byte, whether some string has it. If so, a byte follows it, at least a separator."""
        cdef int first, second
        cdef const int32_t *row
        memset(is_literal, 0, CODES)
        for second in range(CODES):
            row = self.initial + CODES * second
            for first in range(CODES):
                is_literal[first] |= row[first] != 0
        is_literal[0] = 0

    cdef int free_codes(self, uint8_t *codes) noexcept nogil:
        """The codes that are not bytes of the strings, in the order in which tokens get them."""
        cdef uint8_t is_literal[CODES]
        cdef int code, count = 0
        self.find_literals(is_literal)
        for code in range(CODES - 1, -1, -1):
            if not is_literal[code]:
                codes[count] = <uint8_t>code
                count += 1
        return count

    @property
    def literals(self):
        """The bytes that occur in the strings, ascending."""
        cdef uint8_t is_literal[CODES]
        self.find_literals(is_literal)
        return bytes(byte for byte in range(CODES) if is_literal[byte])

    @property
    def pairs(self):
        """The tokens in the order in which they were made, each ``(code, first, second)``."""
        pairs = [
            (self.steps[i].code, self.steps[i].first, self.steps[i].second) for i in range(self.step_count)
        ]
        if self.has_zero:
            pairs.append((0, self.zero_first, self.zero_second))
        return pairs

    @property
    def zero_pair(self):
        """The two codes that code 0 stands for; None if it is no token."""
        return (self.zero_first, self.zero_second) if self.has_zero else None

    def dump(self):
        """The table with its history, for load(): 256 KiB and 2 KiB a step, in this machine's byte order."""
        cdef bytearray head = bytearray((self.step_count, self.has_zero, self.zero_first, self.zero_second))
        for i in range(self.step_count):
            head += bytes((self.steps[i].first, self.steps[i].second, self.steps[i].code))
        return b"".join(
            (
                bytes(head),
                copied(self.initial, PAIRS * sizeof(int32_t)),
                *(copied(&self.steps[i].stats, sizeof(pair_stats)) for i in range(self.step_count)),
            )
        )

    @staticmethod
    def load(bytes data):
        """Read what dump() wrote. Raises ValueError for a wrong size; the contents are not checked."""
        cdef TokenTable table = TokenTable()
        cdef const uint8_t *p = <const uint8_t *>PyBytes_AS_STRING(data)
        cdef size_t size = <size_t>len(data), i
        if size < 4 or size != 4 + 3 * p[0] + PAIRS * sizeof(int32_t) + p[0] * sizeof(pair_stats):
            raise ValueError(f"{size} bytes are not a token table")
        table.step_count = p[0]
        table.has_zero = p[1] != 0
        table.zero_first = p[2]
        table.zero_second = p[3]
        p += 4
        for i in range(<size_t>table.step_count):
            table.steps[i].first = p[3 * i]
            table.steps[i].second = p[3 * i + 1]
            table.steps[i].code = p[3 * i + 2]
        p += 3 * table.step_count
        memcpy(table.initial, p, PAIRS * sizeof(int32_t))
        p += PAIRS * sizeof(int32_t)
        for i in range(<size_t>table.step_count):
            memcpy(&table.steps[i].stats, p + i * sizeof(pair_stats), sizeof(pair_stats))
        return table
