# SPDX-License-Identifier: GPL-2.0-only
"""Exact update of a token table for a few strings taken out and put in.

The removed strings are subtracted from the old table's history; the added ones are *live*, that is the steps are
repeated on them. At each step the history of the others, which are *kept*, and the live strings say what the pair
counts are now; as long as the most frequent pair is the one the table has, nothing else needs to be looked at. If
it is the pair of a later token (two tokens with nearly equal counts change places: the usual case), that token
moves forward, which corrects the history of those it passes. Where that would change how some kept strings are
cut, or where the pair is no token of the old table, just the strings that have it are taken out of the history
and become live. Where the strings only have other tokens on the way to the same one, as "__pf" and "x" instead of
"__" and "pfx", the history is corrected. Only when too many would have to be taken out do all strings have to be
touched from that step on.

Kept strings and their history have the codes of the old table, which are called *identities* here; counts, live
strings and the new table have the new codes. A token that is new to the table has no identity, for no kept string
has it.
"""

from cpython.bytes cimport PyBytes_AS_STRING
from cpython.ref cimport PyObject, Py_XDECREF
from libc.stdint cimport int32_t, uint8_t, uint32_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcmp, memcpy, memmove

from kallsymsd.core.native.alignment cimport Alignment
from kallsymsd.core.native.columns cimport allocate, bytes_data, copied, finished, new_bytes, new_column, u8, u32
from kallsymsd.core.native.history cimport (
    add_stats, common_steps, find_nested, regroup_steps, run_out, shared_matches, swap_steps
)
from kallsymsd.core.native.simd cimport CODES, PAIRS, Counts, best_pair, count_pairs, counts_from, counts_replace, rename_all
from kallsymsd.core.native.strings cimport Strings
from kallsymsd.core.native.taken cimport (
    NAME_LIMIT, Ends, Kept, Texts, count_pair, find_ends, find_holders, put_in_order, take_found, undo, write_all
)
from kallsymsd.core.native.tokentable cimport Step, Stream, TokenTable, stream_place, stream_replace, stream_room

cdef enum:
    DROPPED = 4               # to look for more tokens than that in all strings costs more than writing them anew


cdef void _begin(
    Stream *stream, const uint8_t *strings, size_t size, int32_t weight, int32_t *initial
) noexcept nogil:
    """Set a stream up with these strings, and count their pairs."""
    stream_place(stream, size)
    memcpy(stream.codes, strings, size)
    count_pairs(stream.codes - 1, size + 1, weight, initial)


cdef class Replay:
    """A token table under update.

    table      the new table; complete unless ``stuck``
    source     u32 for each new symbol the old one it is, 0xffffffff for a live one
    codes      the live strings, in the order of the symbols: in identities, or if ``stuck`` in codes
    rename     256 bytes: the code that each identity has in the new table
    kept       steps at the front of the new table that are those of the old one
    regrouped  steps whose token is made of two of the three codes of "abc" instead of the other two
    inserted   steps of other tokens that no kept string has
    taken      strings taken out of the history
    stuck      all strings have to be touched: resume() does it
    """

    cdef Strings old_codes
    cdef size_t size           # bytes of the new strings
    cdef readonly TokenTable table
    cdef readonly bytes codes
    cdef readonly bytes source
    cdef readonly int kept
    cdef readonly int regrouped
    cdef readonly int inserted
    cdef readonly size_t taken
    cdef readonly bint stuck
    cdef Counts *counts
    cdef Step *steps           # of the old table, in identities and in the order they have now
    cdef int step_count
    cdef int settled           # how many of them have been taken over into the new table
    cdef uint8_t identity[CODES]
    cdef uint8_t code_of[CODES]
    cdef bint is_new[CODES]    # the code is that of an inserted step
    cdef Texts *texts
    cdef Stream live
    cdef Kept strings

    def __cinit__(self):
        self.live.memory = self.strings.batch.memory = NULL
        self.strings.found = NULL
        self.counts = <Counts *>malloc(sizeof(Counts))
        self.steps = <Step *>malloc(CODES * sizeof(Step))
        self.texts = <Texts *>malloc(sizeof(Texts))
        if self.counts == NULL or self.steps == NULL or self.texts == NULL:
            raise MemoryError("no memory for a token table")

    def __dealloc__(self):
        free(self.counts)
        free(self.steps)
        free(self.texts)
        free(self.live.memory)
        free(self.strings.batch.memory)
        free(self.strings.found)

    @staticmethod
    def start(TokenTable old, Alignment alignment, Strings codes, size_t room):
        """Replay ``old``, the table of ``alignment.old``, for ``alignment.new``.

        ``codes`` is ``alignment.old`` in codes. Kept strings of at most ``room`` bytes are made live. None when
        the bytes that occur are others now.
        """
        cdef Replay self = Replay()
        cdef TokenTable table = TokenTable()
        cdef Kept *kept = &self.strings
        cdef Strings strings = alignment.new
        cdef bytes removed = alignment.old.select(alignment.removed), added = strings.select(alignment.added)
        cdef const uint8_t *removed_data = u8(removed)
        cdef const uint8_t *added_data = u8(added)
        cdef size_t removed_size = <size_t>len(removed), added_size = <size_t>len(added)
        cdef bytes own_source = new_column(strings.count * sizeof(uint32_t))
        cdef bytes live_codes
        cdef uint8_t now[CODES]
        cdef uint8_t before[CODES]
        cdef bint same_bytes
        self.table = table
        self.old_codes = codes
        self.size = <size_t>len(strings.data)
        kept.string = strings.byte
        kept.start = strings.start
        kept.count = strings.count
        kept.code = codes.byte
        kept.code_start = codes.start
        kept.old_source = u32(alignment.source)
        kept.source = <uint32_t *>PyBytes_AS_STRING(own_source)
        kept.room = room
        kept.taken = 0
        kept.found = <uint32_t *>allocate(kept.count * sizeof(uint32_t))
        kept.batch.memory = <uint8_t *>allocate(stream_room(max(room, removed_size)))
        self.live.memory = <uint8_t *>allocate(stream_room(room + added_size))
        with nogil:
            memcpy(table.initial, old.initial, PAIRS * sizeof(int32_t))
            _begin(&kept.batch, removed_data, removed_size, -1, table.initial)
            _begin(&self.live, added_data, added_size, 1, table.initial)
            table.find_literals(now)
            old.find_literals(before)
            same_bytes = memcmp(now, before, CODES) == 0
            if same_bytes:
                memcpy(self.steps, old.steps, old.step_count * sizeof(Step))
                self.step_count = old.step_count
                run_out(&kept.batch, self.steps, self.step_count)
                self.replay(table)
                self.kept = common_steps(table, old)
        if not same_bytes:
            return None
        self.taken = kept.taken
        self.source = own_source if kept.taken else alignment.source
        live_codes = new_column(self.live.size)
        put_in_order(<uint8_t *>PyBytes_AS_STRING(live_codes), kept, &self.live)
        if not self.stuck:
            rename_all(<uint8_t *>PyBytes_AS_STRING(live_codes), self.live.size, self.identity)
        self.codes = live_codes
        return self

    cdef void replay(self, TokenTable table) noexcept nogil:
        cdef uint8_t codes[CODES]
        cdef int free_codes = table.free_codes(codes), at, x
        cdef int32_t count
        cdef uint8_t first, second
        cdef Step *step
        for x in range(CODES):
            self.identity[x] = self.code_of[x] = <uint8_t>x
            self.is_new[x] = False
        counts_from(self.counts, table.initial)
        table.step_count = 0
        for at in range(free_codes):
            # No pair at all: no string has a token of a later step, so the table just ends.
            count = best_pair(self.counts, &first, &second)
            if count == 0:
                break
            if codes[at] == 0:
                table.has_zero = True
                table.zero_first = first
                table.zero_second = second
                break
            if not self.prepare(first, second, <size_t>count):
                self.stuck = True
                return
            step = &table.steps[at]
            step.first = first
            step.second = second
            step.code = codes[at]
            stream_replace(&self.live, first, second, step.code, &step.stats)
            if self.find(first, second) < self.step_count:
                add_stats(&step.stats, &self.steps[self.settled].stats, self.code_of)
                self.give_code(self.steps[self.settled].code, step.code)
                self.settled += 1
            else:
                self.is_new[step.code] = True
                self.inserted += 1
            counts_replace(self.counts, first, second, step.code, &step.stats)
            table.step_count += 1
        self.stuck = not self.take_dropped()

    cdef int find(self, uint8_t first, uint8_t second) noexcept nogil:
        """The step that replaces this pair of codes in kept strings, step_count if there is none."""
        cdef int at
        cdef const Step *step
        if not self.is_new[first] and not self.is_new[second]:
            for at in range(self.settled, self.step_count):
                step = &self.steps[at]
                if step.first == self.identity[first] and step.second == self.identity[second] and step.stats.matches:
                    return at
        return self.step_count

    cdef bint prepare(self, uint8_t first, uint8_t second, size_t count) noexcept nogil:
        """Let this pair be replaced next: its step in the history is the next one, or no kept string has it.

        ``count``: how often the pair is there. False if too many strings had to be taken out for that.
        """
        cdef uint8_t a = self.identity[first], b = self.identity[second]
        cdef int found = self.find(first, second), outer
        if found < self.step_count:
            return self.bring_forward(self.settled, found)
        if count_pair(&self.live, first, second) == count:
            return True
        if find_nested(self.steps, self.settled, self.step_count, a, b, &found, &outer):
            if not self.bring_forward(self.settled, found) or not self.bring_forward(self.settled + 1, outer):
                return False
            if shared_matches(&self.steps[self.settled], a, b) > self.steps[self.settled].stats.matches // 2:
                return self.regroup(a, b, count - count_pair(&self.live, first, second))
        return self.take(self.settled, a, b)

    cdef bint bring_forward(self, int at, int found) noexcept nogil:
        """Let the step ``found`` be step ``at``; False like prepare().

        With P = (a, b) before and Q = (c, d) after it, the order matters only where a P and a Q overlap: "abd" with
        b == c, "cab" with d == a. Behind P these are P and d, c and P, or P twice. No part of Q is P.
        """
        cdef Step *earlier
        cdef Step *later
        cdef uint8_t p
        cdef bint at_end, at_front
        while found > at:
            earlier = &self.steps[found - 1]
            later = &self.steps[found]
            p = earlier.code
            at_end = earlier.second == later.first
            at_front = later.second == earlier.first
            if at_end and earlier.stats.right[later.second] and not self.take(found, p, later.second):
                return False
            if at_front and earlier.stats.left[later.first] and not self.take(found, later.first, p):
                return False
            if at_end and at_front and earlier.stats.left[later.first] and not self.take(found, p, p):
                return False
            swap_steps(earlier, later)
            found -= 1
        return True

    cdef bint regroup(self, uint8_t a, uint8_t b, size_t count) noexcept nogil:
        """Let the next step, one of a pair with a or b, be that of (a, b) instead; False like prepare().

        ``count``: how often the kept strings have the pair. Those that have only two of the three codes are
        taken out.
        """
        cdef Step *inner = &self.steps[self.settled]
        if shared_matches(inner, a, b) < count and not self.take(self.settled + 2, a, b):
            return False
        if shared_matches(inner, a, b) < inner.stats.matches and not self.take(self.settled + 2, inner.code, 0):
            return False
        regroup_steps(inner, inner + 1, a, b)
        self.regrouped += 1
        return True

    cdef bint take(self, int before, uint8_t a, uint8_t b) noexcept nogil:
        """Make live the kept strings that have (a, b), or for b == 0 just a, when the step ``before`` comes.

        False if they are too many.
        """
        cdef Ends ends
        cdef uint8_t text[2 * NAME_LIMIT]
        cdef Texts *texts = self.texts
        cdef size_t size
        cdef Py_ssize_t count
        undo(texts, self.steps, self.step_count)
        size = texts.length[a]
        memcpy(text, texts.text + NAME_LIMIT * a, size)
        if b:
            memcpy(text + size, texts.text + NAME_LIMIT * b, texts.length[b])
            size += texts.length[b]
        find_ends(&ends, self.steps + before, self.step_count - before, a, b)
        count = find_holders(&self.strings, self.table.initial, text, size, &ends, a, b)
        if count <= 0:
            return count == 0
        undo(texts, self.steps + self.settled, self.step_count - self.settled)
        take_found(&self.strings, count, &self.live, texts, self.code_of)
        run_out(&self.strings.batch, self.steps + self.settled, self.step_count - self.settled)
        return True

    cdef bint take_dropped(self) noexcept nogil:
        """Make live the kept strings with tokens that are not in the new table; False if that is too much."""
        cdef int at, dropped = 0
        for at in range(self.settled, self.step_count):
            dropped += self.steps[at].stats.matches != 0
        if dropped > DROPPED:
            return False
        for at in range(self.settled, self.step_count):
            if self.steps[at].stats.matches and not self.take(self.step_count, self.steps[at].code, 0):
                return False
        return True

    cdef void give_code(self, uint8_t identity, uint8_t code) noexcept nogil:
        """Identities without a code yet have the codes that are left, in any order: they count nothing."""
        cdef uint8_t other = self.identity[code], old = self.code_of[identity]
        self.identity[code] = identity
        self.code_of[identity] = code
        self.identity[old] = other
        self.code_of[other] = old

    @property
    def rename(self):
        return copied(self.code_of, CODES)

    def resume(self):
        """Go on cold from the step at which the replay got stuck, if any is left; returns all strings in codes."""
        cdef const uint32_t *source = u32(self.source)
        cdef const uint8_t *live = u8(self.codes)
        cdef Stream stream
        cdef size_t count = <size_t>len(self.source) // 4
        cdef int x
        cdef PyObject *resumed = new_bytes(NULL, <Py_ssize_t>stream_room(self.size))
        stream.memory = <uint8_t *>bytes_data(resumed)
        try:
            with nogil:
                undo(self.texts, self.steps + self.settled, self.step_count - self.settled)
                for x in range(CODES):
                    rename_all(self.texts.text + NAME_LIMIT * x, self.texts.length[x], self.code_of)
                write_all(&stream, source, count, self.old_codes, live, self.texts)
                self.table.run_from(&stream, self.counts)
                memmove(stream.memory, stream.codes, stream.size)
            return finished(&resumed, stream.size)
        finally:
            Py_XDECREF(resumed)
