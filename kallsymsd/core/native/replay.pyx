# SPDX-License-Identifier: GPL-2.0-only
"""Exact update of a token table after a few strings were removed and added.

The removed strings are subtracted from the old table's history. The added strings are *live*: the steps are
repeated on them. All other strings are *kept*. At each step the history of the kept strings, and the live
strings themselves, give the current pair counts. As long as the most frequent pair is the one in the table,
nothing else needs to be examined.

If it is the pair of a later token, that token moves forward, which corrects the history of the tokens that it
passes. This is the usual case: two tokens with nearly equal counts change places. If the move would change
how some kept strings are cut, or if the pair is no token of the old table, only the strings with that pair
are taken out of the history and become live. If the strings merely reach the same token through other tokens,
such as "__pf" and "x" instead of "__" and "pfx", the history is corrected. If too many strings would have to
be taken out, all strings are processed from that step on.

Kept strings and their history have the codes of the old table, called *identities* here. Counts, live strings
and the new table have the new codes. No kept string has a token that is new to the table, so such a token
has no identity.
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
    DROPPED = 4               # searching all strings for more tokens than this costs more than rewriting them


cdef void _begin(
    Stream *stream, const uint8_t *strings, size_t size, int32_t weight, int32_t *initial
) noexcept nogil:
    """Set up a stream with these strings, and count their pairs with ``weight``."""
    stream_place(stream, size)
    memcpy(stream.codes, strings, size)
    count_pairs(stream.codes - 1, size + 1, weight, initial)


cdef class Replay:
    """An update of a token table.

    table      the new table; complete unless ``stuck``
    source     u32: for each new symbol the number of the old one, 0xffffffff for a live string
    codes      the live strings, in symbol order: in identities, or if ``stuck`` in codes
    rename     256 bytes: the code that each identity has in the new table
    kept       number of steps at the front that both tables have in common
    regrouped  number of steps that now make their token of "abc" from another pair of its codes first
    inserted   number of steps for new tokens that no kept string has
    taken      number of strings taken out of the history
    stuck      whether all strings have to be processed; resume() does that
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
    cdef Step *steps           # the steps of the old table, in identities and in their current order
    cdef int step_count
    cdef int settled           # how many of them are already in the new table
    cdef uint8_t identity[CODES]
    cdef uint8_t code_of[CODES]
    cdef bint is_new[CODES]    # whether the code belongs to an inserted step
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

        ``codes`` is ``alignment.old`` in codes. At most ``room`` bytes of kept strings are made live. Returns
        None if the set of bytes that occur in the strings has changed.
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
            # There is no pair left, so no string has a token of a later step: the table ends here.
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
        """The step that replaces this pair of codes in kept strings; step_count if there is none."""
        cdef int at
        cdef const Step *step
        if not self.is_new[first] and not self.is_new[second]:
            for at in range(self.settled, self.step_count):
                step = &self.steps[at]
                if step.first == self.identity[first] and step.second == self.identity[second] and step.stats.matches:
                    return at
        return self.step_count

    cdef bint prepare(self, uint8_t first, uint8_t second, size_t count) noexcept nogil:
        """Prepare this pair to be replaced next: then its step comes next, or no kept string has the pair.

        ``count`` is how often the pair occurs. Returns False if too many strings would have to be taken out.
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
        """Move the step ``found`` forward to ``at``. Returns False like prepare().

        If P = (a, b) comes before Q = (c, d), their order matters only where a P and a Q overlap: in "abd"
        with b == c, in "cab" with d == a. After step P these are (P, d), (c, P) or (P, P). P is no part of Q.
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
        """Let the next step, whose pair has a or b, replace (a, b) instead. Returns False like prepare().

        ``count`` is how often the kept strings have the pair. Strings that have only two of the three codes
        are taken out.
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
        """Make the kept strings live that have (a, b), or with b == 0 just a, right before step ``before``.

        Returns False if there are too many.
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
        """Make the kept strings live that have tokens dropped from the table; False if there are too many."""
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
        """Give an identity its code.

        Identities without a code hold the remaining codes in any order, because nothing uses them.
        """
        cdef uint8_t other = self.identity[code], old = self.code_of[identity]
        self.identity[code] = identity
        self.code_of[identity] = code
        self.identity[old] = other
        self.code_of[other] = old

    @property
    def rename(self):
        return copied(self.code_of, CODES)

    def resume(self):
        """Continue cold from the step at which the replay got stuck, if any. Returns all strings in codes."""
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
