# SPDX-License-Identifier: GPL-2.0-only
"""The history of a token table's steps: taking strings out of it, and reordering the steps."""

from libc.stdint cimport uint8_t, uint32_t
from libc.string cimport memcpy, memset

from kallsymsd.core.native.simd cimport CODES, pair_stats
from kallsymsd.core.native.tokentable cimport Step, Stream, TokenTable, stream_replace


cdef void swap_steps(Step *earlier, Step *later) noexcept nogil:
    """Put ``later`` before ``earlier``. Their pairs must not overlap in any string.

    The final codes of all strings stay the same. Where the two pairs are neighbours in a string, the step
    that now comes second sees the other's code beside its pair.
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


cdef bint find_nested(
    const Step *steps, int begin, int end, uint8_t a, uint8_t b, int *inner, int *outer
) noexcept nogil:
    """Whether two steps make P = (b, c) and then (a, P) of "abc", or P = (c, a) and then (P, b) of "cab"."""
    cdef int where[CODES]
    cdef int x
    cdef uint8_t c
    cdef const Step *step
    # Ignore steps that replace nothing: their codes may still have the meaning from before a regrouping.
    for x in range(CODES):
        where[x] = -1
    for x in range(begin, end):
        step = &steps[x]
        if step.stats.matches == 0:
            continue
        where[step.code] = x
        outer[0] = x
        inner[0] = where[step.second]
        if step.first == a and inner[0] >= 0 and steps[inner[0]].first == b:
            c = steps[inner[0]].second
        else:
            inner[0] = where[step.first]
            if step.second != b or inner[0] < 0 or steps[inner[0]].second != a:
                continue
            c = steps[inner[0]].first
        # If another of these steps makes c, the two cannot come first.
        if where[c] < 0 and a != b and c != a and c != b:
            return True
    return False


cdef uint32_t shared_matches(const Step *inner, uint8_t first, uint8_t second) noexcept nogil:
    """The number of ``inner``'s pairs that share a code with a pair (first, second)."""
    return inner.stats.left[first] if inner.first == second else inner.stats.right[second]


cdef void regroup_steps(Step *inner, Step *outer, uint8_t first, uint8_t second) noexcept nogil:
    """Turn steps P = (b, c), (a, P) into P = (a, b), (P, c), or P = (a, b), (P, c) into P = (b, c), (a, P).

    (first, second) is the new pair of P. The three codes differ, they occur in the strings only together, as
    "abc", and ``outer`` directly follows ``inner``. So the two steps have the same result as before.
    """
    cdef bint to_front = inner.first == second
    cdef uint8_t p = inner.code
    # The code that leaves P, and the code that joins it.
    cdef uint8_t leaves = inner.second if to_front else inner.first
    cdef uint8_t joins = first if to_front else second
    cdef pair_stats *of_p = &inner.stats
    cdef pair_stats *of_q = &outer.stats
    cdef uint32_t *outside_p = &of_p.left[0] if to_front else &of_p.right[0]
    cdef uint32_t *outside_q = &of_q.left[0] if to_front else &of_q.right[0]
    cdef uint32_t *inside_p = &of_p.right[0] if to_front else &of_p.left[0]
    cdef uint32_t *inside_q = &of_q.right[0] if to_front else &of_q.left[0]
    outside_q[leaves] += of_q.joined
    outside_q[p] = 0
    memcpy(outside_p, outside_q, CODES * sizeof(uint32_t))
    memcpy(inside_q, inside_p, CODES * sizeof(uint32_t))
    inside_q[joins] -= of_q.joined
    inside_q[p] += of_q.joined
    memset(inside_p, 0, CODES * sizeof(uint32_t))
    inside_p[leaves] = of_p.matches
    inner.first = first
    inner.second = second
    outer.first = p if to_front else leaves
    outer.second = leaves if to_front else p


cdef void add_stats(pair_stats *total, const pair_stats *part, const uint8_t *code_of) noexcept nogil:
    """Add the history of kept strings, which is in identities, to that of live strings, which is in codes."""
    cdef int x
    for x in range(CODES):
        total.left[code_of[x]] += part.left[x]
        total.right[code_of[x]] += part.right[x]
    total.matches += part.matches
    total.joined += part.joined


cdef void run_out(Stream *gone, Step *steps, int count) noexcept nogil:
    """Subtract from the history of these steps their effect on the strings ``gone``."""
    cdef pair_stats stats
    cdef pair_stats *total
    cdef int at, x
    for at in range(count):
        stream_replace(gone, steps[at].first, steps[at].second, steps[at].code, &stats)
        if stats.matches:
            total = &steps[at].stats
            for x in range(CODES):
                total.left[x] -= stats.left[x]
                total.right[x] -= stats.right[x]
            total.matches -= stats.matches
            total.joined -= stats.joined


cdef int common_steps(TokenTable table, TokenTable old) noexcept nogil:
    """The number of tokens at the front of two tables that are the same."""
    cdef int at = 0
    while at < table.step_count and at < old.step_count and (
        table.steps[at].first == old.steps[at].first and table.steps[at].second == old.steps[at].second
    ):
        at += 1
    if (
        table.has_zero and old.has_zero and at == table.step_count and at == old.step_count
        and table.zero_first == old.zero_first and table.zero_second == old.zero_second
    ):
        at += 1
    return at
