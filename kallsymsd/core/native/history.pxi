# SPDX-License-Identifier: GPL-2.0-only
"""The history of a token table's steps: strings taken out of it, and steps in another order."""


cdef void _swap_steps(Step *earlier, Step *later) noexcept nogil:
    """Make ``later`` come before ``earlier``, which must not overlap in any string.

    Then no string's final codes change, but where the two are neighbours the one that comes second sees the
    other's code.
    """
    cdef uint8_t a = earlier.first, b = earlier.second, p = earlier.code
    cdef uint8_t c = later.first, d = later.second, q = later.code
    cdef pair_stats *of_p = &earlier.stats
    cdef pair_stats *of_q = &later.stats
    cdef uint32_t p_then_q = of_q.left[p], q_then_p = of_q.right[p]
    cdef Step step
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


cdef void _add_stats(pair_stats *total, const pair_stats *part) noexcept nogil:
    cdef int x
    for x in range(CODES):
        total.left[x] += part.left[x]
        total.right[x] += part.right[x]
    total.matches += part.matches
    total.joined += part.joined


cdef void _run_out(Stream *gone, Step *steps, int count) noexcept nogil:
    """Subtract from the history of these steps what they do to strings that are no longer in it."""
    cdef pair_stats stats
    cdef pair_stats *total
    cdef int at, x
    for at in range(count):
        _stream_replace(gone, steps[at].first, steps[at].second, steps[at].code, &stats)
        if stats.matches:
            total = &steps[at].stats
            for x in range(CODES):
                total.left[x] -= stats.left[x]
                total.right[x] -= stats.right[x]
            total.matches -= stats.matches
            total.joined -= stats.joined


cdef void _rename_neighbours(uint32_t *counts, const uint8_t *code_of) noexcept nogil:
    cdef uint32_t renamed[CODES]
    cdef int x
    for x in range(CODES):
        renamed[code_of[x]] = counts[x]
    memcpy(counts, renamed, sizeof(renamed))
