# SPDX-License-Identifier: GPL-2.0-only
"""Exact update of a token table for a few strings taken out and put in.

The removed strings are subtracted from the old table's history; the added ones are *live*, that is the steps are
repeated on them. At each step the history of the others, which are *kept*, and the live strings say what the pair
counts are now; as long as the most frequent pair is the one the table has, nothing else needs to be looked at. If
it is the pair of a later token (two tokens with nearly equal counts change places: the usual case), that token
moves forward, which corrects the history of those it passes. Where that would change how some kept strings are
cut, or where the pair is no token of the old table, just the strings that have it are taken out of the history
and become live. Only when they are too many do all strings have to be touched from that step on.

During the replay a token is known by its old code, its *identity*; which code an identity has now matters for
ties and for the result only. A token that is new to the table gets an identity that no other has, or that of the
last one, which is then forgotten.
"""


cdef void _begin(
    Stream *stream, const uint8_t *strings, size_t size, int32_t weight, int32_t *initial
) noexcept nogil:
    """Set a stream up with these strings, and count their pairs."""
    _stream_place(stream, size)
    memcpy(stream.codes, strings, size)
    pair_count(stream.codes - 1, size + 1, weight, initial)


cdef class Replay:
    """A token table under update.

    table     the new table; complete unless ``stuck``
    codes     the live strings in codes, in the identities of the old table, in the order of the symbols
    source    u32 for each new symbol the old one it is, 0xffffffff for a live one
    rename    256 bytes: the code that each identity has in the new table
    kept      steps at the front of the new table that are those of the old one
    inserted  steps that no token of the old table was there for
    taken     strings taken out of the history
    stuck     all strings have to be touched: give their identities to resume()
    """

    cdef readonly TokenTable table
    cdef readonly object codes
    cdef readonly object source
    cdef readonly int kept
    cdef readonly int inserted
    cdef readonly size_t taken
    cdef readonly bint stuck
    cdef Counts *counts
    cdef Step *steps           # in the order they have now, first those of the new table; identities
    cdef int step_count
    cdef uint8_t identity[CODES]
    cdef uint8_t code_of[CODES]
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
    def start(
        TokenTable old, Bytes removed, Bytes added, Bytes strings, Bytes starts, Bytes codes, Bytes code_starts,
        bytes source, size_t room
    ):
        """Replay ``old`` for strings removed and added; None when the bytes that occur are others now.

        Every removed string must be one of those that ``old`` is of. ``strings`` and ``starts`` are all of the new
        table, ``codes`` and ``code_starts`` of the old one, ``source`` is what align() says of the two. Kept
        strings of at most ``room`` bytes are made live.
        """
        cdef Replay self = Replay()
        cdef TokenTable table = TokenTable()
        cdef Kept *kept = &self.strings
        cdef const uint8_t *removed_data = _pointer(removed)
        cdef const uint8_t *added_data = _pointer(added)
        cdef size_t removed_size = <size_t>removed.shape[0], added_size = <size_t>added.shape[0]
        cdef bytes own_source = _bytes(NULL, len(source))
        cdef bytes live_codes
        cdef uint8_t now[CODES]
        cdef uint8_t before[CODES]
        cdef bint same_bytes
        self.table = table
        kept.string = _pointer(strings)
        kept.start = <const uint32_t *>_pointer(starts)
        kept.count = <size_t>len(source) // 4
        kept.code = _pointer(codes)
        kept.code_start = <const uint32_t *>_pointer(code_starts)
        kept.old_source = <const uint32_t *>PyBytes_AS_STRING(source)
        kept.source = <uint32_t *>PyBytes_AS_STRING(own_source)
        kept.room = room
        kept.taken = 0
        kept.found = <uint32_t *>_allocate(kept.count * sizeof(uint32_t))
        kept.batch.memory = <uint8_t *>_allocate(_stream_room(max(room, removed_size)))
        self.live.memory = <uint8_t *>_allocate(_stream_room(room + added_size))
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
                _run_out(&kept.batch, self.steps, self.step_count)
                self.replay(table)
                self.count_kept(table, old)
        if not same_bytes:
            return None
        self.taken = kept.taken
        self.source = own_source if kept.taken else source
        live_codes = _bytes(NULL, self.live.size)
        _put_in_order(<uint8_t *>PyBytes_AS_STRING(live_codes), kept, &self.live)
        self.codes = live_codes
        return self

    cdef void replay(self, TokenTable table) noexcept nogil:
        cdef uint8_t codes[CODES]
        cdef int free_codes = table.free_codes(codes), at, found, x
        cdef int32_t best
        cdef uint8_t first, second
        cdef pair_stats new
        cdef Step *step
        for x in range(CODES):
            self.identity[x] = self.code_of[x] = <uint8_t>x
        _counts_from(self.counts, table.initial)
        table.step_count = 0
        for at in range(free_codes):
            # No pair at all: no string has a token of a later step, so the table just ends.
            best = _best_pair(self.counts, self.identity, &first, &second)
            if best == 0:
                break
            if codes[at] == 0:
                table.has_zero = True
                table.zero_first = self.code_of[first]
                table.zero_second = self.code_of[second]
                break
            found = at
            while found < self.step_count and not (
                self.steps[found].first == first and self.steps[found].second == second
            ):
                found += 1
            if found == self.step_count:
                self.stuck = not self.insert(at, first, second, <size_t>best, codes)
            else:
                self.stuck = not self.bring_forward(at, found)
            if self.stuck:
                break
            step = &self.steps[at]
            _stream_replace(&self.live, first, second, step.code, &new)
            if new.matches:
                _add_stats(&step.stats, &new)
            _counts_replace(self.counts, first, second, step.code, &step.stats)
            self.give_code(step.code, codes[at])
            self.settle(at, step)

    cdef bint bring_forward(self, int at, int found) noexcept nogil:
        """Let the step ``found`` be step ``at``; False if too many strings had to be taken out for that.

        With P = (a, b) before and Q = (c, d) after it, the order matters only where a P and a Q overlap: "abd" with
        b == c, "cab" with d == a. Behind P these are P and d, c and P, or P twice. No part of Q is P: its pair is
        there now, and P is not yet.
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
            _swap_steps(earlier, later)
            found -= 1
        return True

    cdef bint insert(self, int at, uint8_t first, uint8_t second, size_t count, const uint8_t *codes) noexcept nogil:
        """Let a new token of this pair be step ``at``; False like bring_forward().

        ``count``: how often the pair is there. ``codes``: the free ones, 0 is the last.
        """
        cdef Step *step = &self.steps[at]
        cdef Step *last
        cdef uint8_t identity
        if _count_pair(&self.live, first, second) < count and not self.take(at, first, second):
            return False
        if codes[self.step_count] == 0:
            # No other step has or sees the last one's code.
            last = &self.steps[self.step_count - 1]
            identity = last.code
            if last.stats.matches and not self.take(self.step_count, identity, 0):
                return False
            self.step_count -= 1
        else:
            identity = self.unused(codes)
        memmove(step + 1, step, (self.step_count - at) * sizeof(Step))
        memset(step, 0, sizeof(Step))
        step.first = first
        step.second = second
        step.code = identity
        self.step_count += 1
        self.inserted += 1
        return True

    cdef uint8_t unused(self, const uint8_t *codes) noexcept nogil:
        """A free code that is no step's identity."""
        cdef uint8_t used[CODES]
        cdef int at
        memset(used, 0, CODES)
        for at in range(self.step_count):
            used[self.steps[at].code] = True
        while used[codes[0]]:
            codes += 1
        return codes[0]

    cdef bint take(self, int before, uint8_t a, uint8_t b) noexcept nogil:
        """Make live the kept strings that have (a, b), or for b == 0 just a, when step ``before`` comes.

        False if they are too many.
        """
        cdef int at = self.table.step_count
        cdef Ends ends
        cdef uint8_t same[CODES]
        cdef uint8_t text[2 * NAME_LIMIT]
        cdef Texts *texts = self.texts
        cdef size_t size
        cdef Py_ssize_t count
        cdef int x
        for x in range(CODES):
            same[x] = <uint8_t>x
        _undo(texts, self.steps, self.step_count, same)
        size = texts.length[a]
        memcpy(text, texts.text + NAME_LIMIT * a, size)
        if b:
            memcpy(text + size, texts.text + NAME_LIMIT * b, texts.length[b])
            size += texts.length[b]
        _find_ends(&ends, self.steps + before, self.step_count - before, a, b)
        count = _find_text(&self.strings, self.table.initial, text, size, &ends, a, b)
        if count < 0:
            return False
        _undo(texts, self.steps + at, self.step_count - at, same)
        _take_found(&self.strings, count, &self.live, texts)
        _run_out(&self.strings.batch, self.steps + at, self.step_count - at)
        return True

    cdef void give_code(self, uint8_t identity, uint8_t code) noexcept nogil:
        """Identities without a code yet have the codes that are left, in any order: they count nothing."""
        cdef uint8_t other = self.identity[code], old = self.code_of[identity]
        self.identity[code] = identity
        self.code_of[identity] = code
        self.identity[old] = other
        self.code_of[other] = old

    cdef void settle(self, int at, const Step *step) noexcept nogil:
        """Take a step over into the new table."""
        cdef Step *settled = &self.table.steps[at]
        settled[0] = step[0]
        settled.first = self.code_of[step.first]
        settled.second = self.code_of[step.second]
        settled.code = self.code_of[step.code]
        self.table.step_count = at + 1

    cdef void count_kept(self, TokenTable table, TokenTable old) noexcept nogil:
        """Finish what could only be done once every identity has its code."""
        cdef Step *step
        cdef int at, x
        cdef bint moved = False
        for x in range(CODES):
            if self.code_of[x] != x:
                moved = True
        self.kept = 0
        for at in range(table.step_count):
            step = &table.steps[at]
            if moved:
                _rename_neighbours(step.stats.left, self.code_of)
                _rename_neighbours(step.stats.right, self.code_of)
            if self.kept == at and at < old.step_count and (
                step.first == old.steps[at].first and step.second == old.steps[at].second
            ):
                self.kept += 1
        if (
            table.has_zero and old.has_zero and self.kept == table.step_count and self.kept == old.step_count
            and table.zero_first == old.zero_first and table.zero_second == old.zero_second
        ):
            self.kept += 1

    @property
    def rename(self):
        return _bytes(self.code_of, CODES)

    def resume(self, Bytes identities, size_t size):
        """Go on cold from the step at which the replay got stuck; returns all strings in codes.

        ``identities``: all strings of the new table, as the old table's codes where they are old and as
        ``codes`` where they were added. ``size``: bytes of the strings themselves with their separators.
        """
        cdef TokenTable table = self.table
        cdef const uint8_t *data = _pointer(identities)
        cdef Stream stream
        cdef uint8_t *out
        cdef Counts *renamed = NULL
        cdef PyObject *codes = new_bytes(NULL, _stream_room(size))
        stream.memory = <uint8_t *>bytes_data(codes)
        try:
            renamed = <Counts *>_allocate(sizeof(Counts))
            with nogil:
                _undo(self.texts, self.steps + table.step_count, self.step_count - table.step_count, self.code_of)
                out = stream.memory + PAIR_GAP * CODES
                _stream_place(&stream, _write_texts(out, data, <size_t>identities.shape[0], self.texts))
                self.rename_counts(renamed)
                table.run_from(&stream, renamed)
                memmove(stream.memory, stream.codes, stream.size)
            return _finished(&codes, stream.size)
        finally:
            Py_XDECREF(codes)
            free(renamed)

    cdef void rename_counts(self, Counts *renamed) noexcept nogil:
        cdef int first, second
        for second in range(CODES):
            for first in range(CODES):
                renamed.count[self.code_of[first] + CODES * self.code_of[second]] = (
                    self.counts.count[first + CODES * second]
                )
        for second in range(CODES):
            renamed.row_max[second] = pair_row_max(renamed.count + CODES * second)
