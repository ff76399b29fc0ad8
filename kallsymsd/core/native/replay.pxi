# SPDX-License-Identifier: GPL-2.0-only
"""Exact update of a token table for a few strings taken out and put in.

The steps of the old table are repeated on the removed and added strings only. At each step the history says
what the pair counts are now; as long as the most frequent pair is the one the table has, nothing else needs to
be looked at. If it is the pair of a later token (two tokens with nearly equal counts change places: the
usual case), that token moves forward, which corrects the history of those it passes. Only when the pair is
no token of the table, or moving it would change how some string is cut, do the strings themselves have to be
touched from that step on.

During the replay a token is known by its old code, its *identity*; which code an identity has now matters for
ties and for the result only.
"""


cdef bint _swap_steps(Step *earlier, Step *later) noexcept nogil:
    """Make ``later`` come before ``earlier`` without changing any string's final codes; False if it would.

    With P = (a, b) before and Q = (c, d) after it, the order matters only where a P and a Q overlap: "abd" with
    b == c, "cab" with d == a. Where they are neighbours, the one that comes second sees the other's code.
    """
    cdef uint8_t a = earlier.first, b = earlier.second, p = earlier.code
    cdef uint8_t c = later.first, d = later.second, q = later.code
    cdef pair_stats *of_p = &earlier.stats
    cdef pair_stats *of_q = &later.stats
    cdef uint32_t p_then_q = of_q.left[p], q_then_p = of_q.right[p]
    cdef Step step
    if c == p or d == p:
        return False
    if (b == c and of_p.right[d]) or (d == a and of_p.left[c]):
        return False
    of_q.left[p] = 0
    of_q.left[b] += p_then_q
    of_p.right[c] -= p_then_q
    of_p.right[q] += p_then_q
    of_q.right[p] = 0
    of_q.right[a] += q_then_p
    of_p.left[d] -= q_then_p
    of_p.left[q] += q_then_p
    step = earlier[0]
    earlier[0] = later[0]
    later[0] = step
    return True


cdef void _rename_neighbours(uint32_t *counts, const uint8_t *code_of) noexcept nogil:
    cdef uint32_t renamed[CODES]
    cdef int x
    for x in range(CODES):
        renamed[code_of[x]] = counts[x]
    memcpy(counts, renamed, sizeof(renamed))


cdef class Replay:
    """A token table under update.

    table   the new table; complete unless ``stuck``
    codes   the added strings in codes, in the identities of the old table
    rename  256 bytes: the code that each identity has in the new table
    kept    steps at the front of the new table that are those of the old one
    stuck   the strings have to be touched: give their identities to resume()
    """

    cdef readonly TokenTable table
    cdef readonly bytes codes
    cdef readonly int kept
    cdef readonly bint stuck
    cdef Counts *counts
    cdef Step *steps           # of the old table, in the order they have now; identities
    cdef int step_count
    cdef uint8_t identity[CODES]
    cdef uint8_t code_of[CODES]

    def __cinit__(self):
        self.counts = <Counts *>malloc(sizeof(Counts))
        self.steps = <Step *>malloc(CODES * sizeof(Step))
        if self.counts == NULL or self.steps == NULL:
            raise MemoryError("no memory for a token table")

    def __dealloc__(self):
        free(self.counts)
        free(self.steps)

    @staticmethod
    def start(TokenTable old, Bytes removed, Bytes added):
        """Replay ``old`` for strings removed and added; None when the bytes that occur are others now.

        Every removed string must be one of those that ``old`` is of.
        """
        cdef Replay self = Replay()
        cdef TokenTable table = TokenTable()
        cdef Stream out, into
        cdef size_t removed_size = <size_t>removed.shape[0], added_size = <size_t>added.shape[0]
        cdef const uint8_t *removed_data = _pointer(removed)
        cdef const uint8_t *added_data = _pointer(added)
        cdef uint8_t now[CODES]
        cdef uint8_t before[CODES]
        cdef bint same_bytes
        out.memory = into.memory = NULL
        self.table = table
        try:
            out.memory = <uint8_t *>_allocate(_stream_room(removed_size))
            into.memory = <uint8_t *>_allocate(_stream_room(added_size))
            with nogil:
                _stream_place(&out, removed_size)
                memcpy(out.codes, removed_data, removed_size)
                _stream_place(&into, added_size)
                memcpy(into.codes, added_data, added_size)
                memcpy(table.initial, old.initial, PAIRS * sizeof(int32_t))
                pair_count(out.codes - 1, removed_size + 1, -1, table.initial)
                pair_count(into.codes - 1, added_size + 1, 1, table.initial)
                table.find_literals(now)
                old.find_literals(before)
                same_bytes = memcmp(now, before, CODES) == 0
                if same_bytes:
                    memcpy(self.steps, old.steps, old.step_count * sizeof(Step))
                    self.step_count = old.step_count
                    self.replay(table, &out, &into)
                    self.count_kept(table, old)
            if not same_bytes:
                return None
            self.codes = _bytes(into.codes, into.size)
            return self
        finally:
            free(out.memory)
            free(into.memory)

    cdef void replay(self, TokenTable table, Stream *out, Stream *into) noexcept nogil:
        cdef uint8_t codes[CODES]
        cdef int free_codes = table.free_codes(codes), at, x
        cdef uint8_t first, second
        cdef pair_stats gone, new
        cdef Step *step
        for x in range(CODES):
            self.identity[x] = self.code_of[x] = <uint8_t>x
        _counts_from(self.counts, table.initial)
        table.step_count = 0
        for at in range(free_codes):
            # No pair at all: no string has a token of a later step, so the table just ends.
            if not _best_pair(self.counts, self.identity, &first, &second):
                break
            if codes[at] == 0:
                table.has_zero = True
                table.zero_first = self.code_of[first]
                table.zero_second = self.code_of[second]
                break
            if not self.bring_forward(at, first, second):
                self.stuck = True
                break
            step = &self.steps[at]
            _stream_replace(out, first, second, step.code, &gone)
            _stream_replace(into, first, second, step.code, &new)
            for x in range(CODES):
                step.stats.left[x] += new.left[x] - gone.left[x]
                step.stats.right[x] += new.right[x] - gone.right[x]
            step.stats.matches += new.matches - gone.matches
            step.stats.joined += new.joined - gone.joined
            _counts_replace(self.counts, first, second, step.code, &step.stats)
            self.give_code(step.code, codes[at])
            self.settle(at, step)

    cdef bint bring_forward(self, int at, uint8_t first, uint8_t second) noexcept nogil:
        """Let the token of this pair be step ``at``; False when the history does not allow it."""
        cdef int found = at
        while found < self.step_count and not (
            self.steps[found].first == first and self.steps[found].second == second
        ):
            found += 1
        if found == self.step_count:
            return False
        while found > at:
            if not _swap_steps(&self.steps[found - 1], &self.steps[found]):
                return False
            found -= 1
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
        cdef const uint8_t *p = _pointer(identities)
        cdef const uint8_t *end = p + identities.shape[0]
        cdef Stream stream
        cdef uint8_t *texts = NULL
        cdef uint16_t length[CODES]
        cdef uint8_t *out
        cdef Counts *renamed = NULL
        cdef PyObject *codes = new_bytes(NULL, _stream_room(size))
        stream.memory = <uint8_t *>bytes_data(codes)
        try:
            # No token is longer than a string: type letter and at most 511 bytes of name.
            texts = <uint8_t *>_allocate(CODES * NAME_LIMIT)
            renamed = <Counts *>_allocate(sizeof(Counts))
            with nogil:
                self.expand_unsettled(texts, length)
                out = stream.memory + PAIR_GAP * CODES
                while p < end:
                    # Nearly all are short: a copy of fixed size needs no call.
                    memcpy(out, texts + NAME_LIMIT * p[0], 8)
                    if length[p[0]] > 8:
                        memcpy(out, texts + NAME_LIMIT * p[0], length[p[0]])
                    out += length[p[0]]
                    p += 1
                _stream_place(&stream, <size_t>(out - (stream.memory + PAIR_GAP * CODES)))
                self.rename_counts(renamed)
                table.run_from(&stream, renamed)
                memmove(stream.memory, stream.codes, stream.size)
            return _finished(&codes, stream.size)
        finally:
            Py_XDECREF(codes)
            free(texts)
            free(renamed)

    cdef void expand_unsettled(self, uint8_t *texts, uint16_t *length) noexcept nogil:
        """For each identity the codes it stands for before the step that got stuck."""
        cdef int x, at
        cdef Step *step
        for x in range(CODES):
            texts[NAME_LIMIT * x] = self.code_of[x]
            length[x] = 1
        for at in range(self.table.step_count, self.step_count):
            length[self.steps[at].code] = 0
        # The steps behind stand in an order in which each one's parts come before it.
        for at in range(self.table.step_count, self.step_count):
            step = &self.steps[at]
            memcpy(texts + NAME_LIMIT * step.code, texts + NAME_LIMIT * step.first, length[step.first])
            memcpy(
                texts + NAME_LIMIT * step.code + length[step.first], texts + NAME_LIMIT * step.second,
                length[step.second]
            )
            length[step.code] = length[step.first] + length[step.second]

    cdef void rename_counts(self, Counts *renamed) noexcept nogil:
        cdef int first, second
        for second in range(CODES):
            for first in range(CODES):
                renamed.count[self.code_of[first] + CODES * self.code_of[second]] = (
                    self.counts.count[first + CODES * second]
                )
        for second in range(CODES):
            renamed.row_max[second] = pair_row_max(renamed.count + CODES * second)
