# SPDX-License-Identifier: GPL-2.0-only
"""Strings that an update of a token table takes out of the history and then handles like added ones."""

from libc.stdint cimport int32_t, uint8_t, uint32_t
from libc.string cimport memcmp, memcpy, memmove, strlen

from kallsymsd.core.native.alignment cimport NO_SOURCE
from kallsymsd.core.native.simd cimport CODES, PAIR_GAP, find_places, rename_all
from kallsymsd.core.native.strings cimport Strings
from kallsymsd.core.native.tokentable cimport Step, Stream, stream_place

cdef enum:
    CHUNK = 8192              # bytes searched at a time


cdef size_t count_pair(const Stream *stream, uint8_t a, uint8_t b) noexcept nogil:
    cdef size_t i, count = 0
    for i in range(stream.size):
        count += (stream.codes[i] == a) & (stream.codes[i + 1] == b)
    return count


cdef void undo(Texts *texts, const Step *steps, int count) noexcept nogil:
    """The text of each identity in kept strings before these steps, in identities.

    The steps are in an order in which the parts of each token come before it.
    """
    cdef int x, at
    cdef const Step *step
    cdef uint8_t *text
    for x in range(CODES):
        texts.text[NAME_LIMIT * x] = <uint8_t>x
        texts.length[x] = 1
    for at in range(count):
        step = &steps[at]
        text = texts.text + NAME_LIMIT * step.code
        texts.length[step.code] = 0
        # A token that no kept string has may be too long.
        if step.stats.matches:
            memcpy(text, texts.text + NAME_LIMIT * step.first, texts.length[step.first])
            memcpy(
                text + texts.length[step.first], texts.text + NAME_LIMIT * step.second, texts.length[step.second]
            )
            texts.length[step.code] = texts.length[step.first] + texts.length[step.second]


cdef size_t _write_texts(uint8_t *out, const uint8_t *codes, size_t size, const Texts *texts) noexcept nogil:
    """Write every code as its text. Returns the length. Overwrites up to 8 bytes after the result."""
    cdef uint8_t *begin = out
    cdef size_t i
    cdef const uint8_t *text
    for i in range(size):
        # Nearly all texts are short, and a copy of fixed size needs no call.
        text = texts.text + NAME_LIMIT * codes[i]
        memcpy(out, text, 8)
        if texts.length[codes[i]] > 8:
            memcpy(out, text, texts.length[codes[i]])
        out += texts.length[codes[i]]
    return <size_t>(out - begin)


cdef void find_ends(Ends *ends, const Step *steps, int count, uint8_t a, uint8_t b) noexcept nogil:
    """The ends before these steps. With b == 0, look for the code a instead of a pair."""
    cdef int x, at
    cdef const Step *step
    for x in range(CODES):
        ends.first[x] = ends.last[x] = <uint8_t>x
        ends.inside[x] = b == 0 and x == a
    for at in range(count):
        step = &steps[at]
        ends.first[step.code] = ends.first[step.first]
        ends.last[step.code] = ends.last[step.second]
        ends.inside[step.code] = ends.inside[step.first] or ends.inside[step.second] or (
            ends.last[step.first] == a and ends.first[step.second] == b
        )


cdef bint _has_pair(const Ends *ends, const uint8_t *codes, const uint8_t *end, uint8_t a, uint8_t b) noexcept nogil:
    cdef uint8_t last = 0
    while codes < end:
        if ends.inside[codes[0]] or (last == a and ends.first[codes[0]] == b):
            return True
        last = ends.last[codes[0]]
        codes += 1
    return False


cdef Py_ssize_t find_holders(
    Kept *kept, const int32_t *initial, const uint8_t *text, size_t size, const Ends *ends, uint8_t a, uint8_t b
) noexcept nogil:
    """Put into kept.found the kept strings that contain this text and whose codes have the pair.

    Returns their number, or -1 if there is no room for them. The text has at least two bytes. The search
    begins with three of its bytes, which include the least frequent pair.
    """
    cdef uint32_t places[CHUNK]
    cdef size_t rarest = 0, all_size = kept.start[kept.count], begin = 0, place, places_count, i, at = 0, end = 0
    cdef Py_ssize_t count = 0
    cdef uint32_t source
    for i in range(1, size - 1):
        if initial[text[i] + CODES * text[i + 1]] < initial[text[rarest] + CODES * text[rarest + 1]]:
            rarest = i
    if rarest and rarest + 2 == size:
        rarest -= 1
    while begin < all_size:
        # Two more bytes, for a match that begins in this chunk and ends after it.
        places_count = find_places(
            kept.string + begin, min(all_size - begin, <size_t>CHUNK + min(size - rarest, 3) - 1), text + rarest,
            size - rarest, places
        )
        for i in range(places_count):
            place = begin + places[i]
            # The text has no zero, so a match lies within one string. One match in a string is enough.
            if place < end or place < rarest or all_size - place < size - rarest or memcmp(
                kept.string + place - rarest, text, size
            ):
                continue
            while kept.start[at + 1] <= place:
                at += 1
            end = kept.start[at + 1]
            source = kept.source[at] if kept.taken else kept.old_source[at]
            if source < <uint32_t>TAKEN and _has_pair(
                ends, kept.code + kept.code_start[source], kept.code + kept.code_start[source + 1] - 1, a, b
            ):
                if end - kept.start[at] > kept.room:
                    return -1
                kept.room -= end - kept.start[at]
                kept.found[count] = <uint32_t>at
                count += 1
        begin += CHUNK
    return count


cdef void take_found(
    Kept *kept, Py_ssize_t count, Stream *live, const Texts *texts, const uint8_t *code_of
) noexcept nogil:
    """Expand the found strings with ``texts`` into kept.batch; append them to ``live`` in new codes."""
    cdef uint8_t *begin = kept.batch.memory + PAIR_GAP * CODES
    cdef uint8_t *out = begin
    cdef Py_ssize_t i
    cdef uint32_t source
    if kept.taken == 0:
        memcpy(kept.source, kept.old_source, kept.count * sizeof(uint32_t))
    for i in range(count):
        source = kept.source[kept.found[i]]
        kept.source[kept.found[i]] = <uint32_t>TAKEN + kept.taken
        kept.taken += 1
        out += _write_texts(
            out, kept.code + kept.code_start[source], kept.code_start[source + 1] - kept.code_start[source], texts
        )
    stream_place(&kept.batch, <size_t>(out - begin))
    memmove(live.memory + PAIR_GAP * CODES, live.codes, live.size)
    memcpy(live.memory + PAIR_GAP * CODES + live.size, begin, kept.batch.size)
    rename_all(live.memory + PAIR_GAP * CODES + live.size, kept.batch.size, code_of)
    stream_place(live, live.size + kept.batch.size)


cdef void put_in_order(uint8_t *out, Kept *kept, const Stream *live) noexcept nogil:
    """Write the live strings in symbol order; in ``live`` the added ones come first.

    From then on, strings that were taken out are treated like added ones.
    """
    cdef const uint8_t *added = live.codes
    cdef const uint8_t *p = live.codes + live.size
    cdef uint32_t *place = kept.found
    cdef size_t i, length
    cdef bint is_added
    if kept.taken == 0:
        memcpy(out, live.codes, live.size)
        return
    for i in range(kept.taken):
        # A separator precedes the stream, so this also ends at the first string.
        p -= 1
        while (p - 1)[0]:
            p -= 1
        place[kept.taken - 1 - i] = <uint32_t>(p - live.codes)
    for i in range(kept.count):
        if kept.source[i] < <uint32_t>TAKEN:
            continue
        is_added = kept.source[i] == <uint32_t>NO_SOURCE
        p = added if is_added else live.codes + place[kept.source[i] - <uint32_t>TAKEN]
        length = strlen(<const char *>p) + 1
        memcpy(out, p, length)
        out += length
        if is_added:
            added += length
        kept.source[i] = <uint32_t>NO_SOURCE


cdef void write_all(
    Stream *stream, const uint32_t *source, size_t count, Strings codes, const uint8_t *live, const Texts *texts
) noexcept nogil:
    """Put all strings into a stream: kept ones expanded from ``codes`` with ``texts``, and live ones."""
    cdef uint8_t *begin = stream.memory + PAIR_GAP * CODES
    cdef uint8_t *out = begin
    cdef size_t i = 0, run, length
    while i < count:
        run = 1
        if source[i] == <uint32_t>NO_SOURCE:
            length = strlen(<const char *>live) + 1
            memcpy(out, live, length)
            live += length
            out += length
        else:
            while i + run < count and source[i + run] == source[i] + run:
                run += 1
            length = codes.start[source[i] + run] - codes.start[source[i]]
            out += _write_texts(out, codes.byte + codes.start[source[i]], length, texts)
        i += run
    stream_place(stream, <size_t>(out - begin))
