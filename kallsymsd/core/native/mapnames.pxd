# SPDX-License-Identifier: GPL-2.0-only
"""Names with a meaning for scripts/kallsyms: names that it drops, and names that bound a range."""

from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memchr, memcmp, strlen

cdef struct Ranges:
    uint64_t text, stext, etext, sinittext, einittext, percpu_start, percpu_end
    # Offsets in the text of the names that set _text and the per-cpu range; 0 if there is none.
    uint32_t text_place, percpu_start_place, percpu_end_place

cdef struct Filter:
    bint own                  # drop what mksysmap drops in later kernels
    const uint8_t *tables     # names of the tool's own tables, each followed by a zero
    size_t tables_size


cdef inline bint name_is(const uint8_t *name, size_t length, const char *text) noexcept nogil:
    return strlen(text) == length and memcmp(name, text, length) == 0


cdef inline bint name_begins(const uint8_t *name, size_t length, const char *text) noexcept nogil:
    return strlen(text) <= length and memcmp(name, text, strlen(text)) == 0


cdef inline bint name_ends(const uint8_t *name, size_t length, const char *text) noexcept nogil:
    return strlen(text) <= length and memcmp(name + length - strlen(text), text, strlen(text)) == 0


cdef inline bint name_contains(const uint8_t *name, size_t length, const char *text) noexcept nogil:
    cdef size_t i, size = strlen(text)
    for i in range(length - size + 1 if length >= size else 0):
        if memcmp(name + i, text, size) == 0:
            return True
    return False


cdef inline void note_range(
    Ranges *ranges, const uint8_t *name, size_t length, uint64_t address, uint32_t place
) noexcept nogil:
    """Record the address if the symbol bounds a text range or the per-cpu range; the last one wins."""
    if name_is(name, length, "_stext"):
        ranges.stext = address
    elif name_is(name, length, "_etext"):
        ranges.etext = address
    elif name_is(name, length, "_sinittext"):
        ranges.sinittext = address
    elif name_is(name, length, "_einittext"):
        ranges.einittext = address
    elif name_is(name, length, "__per_cpu_start"):
        ranges.percpu_start = address
        ranges.percpu_start_place = place
    elif name_is(name, length, "__per_cpu_end"):
        ranges.percpu_end = address
        ranges.percpu_end_place = place


cdef inline bint own_filter_drops(Filter *filter, uint8_t kind, const uint8_t *name, size_t length) noexcept nogil:
    """The name lists of scripts/kallsyms up to v6.3. Kernel commit c4802044a0a7 moved them to mksysmap."""
    cdef const uint8_t *own = filter.tables
    cdef const uint8_t *end = own + filter.tables_size
    if kind == c'U' or kind == c'N':
        return True
    if length == 0:
        return False
    if name[0] == c'k':
        while own < end:
            if name_is(name, length, <const char *>own):
                return True
            own += strlen(<const char *>own) + 1
    elif name[0] == c'_':
        if name_is(name, length, "_SDA_BASE_") or name_is(name, length, "_SDA2_BASE_"):
            return True
        if length > 1 and name[1] == c'_' and (
            name_begins(name, length, "__efistub_")
            or name_begins(name, length, "__kvm_nvhe_$")
            or name_begins(name, length, "__kvm_nvhe_.L")
            or name_begins(name, length, "__AArch64ADRPThunk_")
            or name_begins(name, length, "__ARMV5PILongThunk_")
            or name_begins(name, length, "__ARMV7PILongThunk_")
            or name_begins(name, length, "__ThumbV7PILongThunk_")
            or name_begins(name, length, "__LA25Thunk_")
            or name_begins(name, length, "__microLA25Thunk_")
            or name_begins(name, length, "__kcfi_typeid_")
        ):
            return True
    if (
        name_ends(name, length, "_from_arm")
        or name_ends(name, length, "_from_thumb")
        or name_ends(name, length, "_veneer")
    ):
        return True
    if memchr(name, c'.', length) != NULL:
        return name_contains(name, length, ".long_branch.") or name_contains(name, length, ".plt_branch.")
    return False
