# SPDX-License-Identifier: GPL-2.0-only
"""Names that mean something to scripts/kallsyms: those it drops, and those that bound a range."""

cdef struct Ranges:
    uint64_t text, stext, etext, sinittext, einittext, percpu_start, percpu_end
    # Offsets in the text of the names that gave _text and the per-cpu range, 0 without.
    uint32_t text_place, percpu_start_place, percpu_end_place

cdef struct Filter:
    bint own                  # drop what mksysmap drops in later kernels
    const uint8_t *tables     # names of the tool's own tables, each followed by a zero
    size_t tables_size


cdef inline bint _is(const uint8_t *name, size_t length, const char *text) noexcept nogil:
    return strlen(text) == length and memcmp(name, text, length) == 0


cdef inline bint _begins(const uint8_t *name, size_t length, const char *text) noexcept nogil:
    return strlen(text) <= length and memcmp(name, text, strlen(text)) == 0


cdef inline bint _ends(const uint8_t *name, size_t length, const char *text) noexcept nogil:
    return strlen(text) <= length and memcmp(name + length - strlen(text), text, strlen(text)) == 0


cdef bint _contains(const uint8_t *name, size_t length, const char *text) noexcept nogil:
    cdef size_t i, size = strlen(text)
    for i in range(length - size + 1 if length >= size else 0):
        if memcmp(name + i, text, size) == 0:
            return True
    return False


cdef void _note_range(
    Ranges *ranges, const uint8_t *name, size_t length, uint64_t address, uint32_t place
) noexcept nogil:
    """Remember the addresses of the symbols that bound the text and per-cpu ranges; the last one wins."""
    if _is(name, length, "_stext"):
        ranges.stext = address
    elif _is(name, length, "_etext"):
        ranges.etext = address
    elif _is(name, length, "_sinittext"):
        ranges.sinittext = address
    elif _is(name, length, "_einittext"):
        ranges.einittext = address
    elif _is(name, length, "__per_cpu_start"):
        ranges.percpu_start = address
        ranges.percpu_start_place = place
    elif _is(name, length, "__per_cpu_end"):
        ranges.percpu_end = address
        ranges.percpu_end_place = place


cdef bint _own_filter_drops(Filter *filter, uint8_t kind, const uint8_t *name, size_t length) noexcept nogil:
    """The name lists of scripts/kallsyms up to v6.3; mksysmap has them since kernel commit c4802044a0a7."""
    cdef const uint8_t *own = filter.tables
    cdef const uint8_t *end = own + filter.tables_size
    if kind == c'U' or kind == c'N':
        return True
    if length == 0:
        return False
    if name[0] == c'k':
        while own < end:
            if _is(name, length, <const char *>own):
                return True
            own += strlen(<const char *>own) + 1
    elif name[0] == c'_':
        if _is(name, length, "_SDA_BASE_") or _is(name, length, "_SDA2_BASE_"):
            return True
        if length > 1 and name[1] == c'_' and (
            _begins(name, length, "__efistub_")
            or _begins(name, length, "__kvm_nvhe_$")
            or _begins(name, length, "__kvm_nvhe_.L")
            or _begins(name, length, "__AArch64ADRPThunk_")
            or _begins(name, length, "__ARMV5PILongThunk_")
            or _begins(name, length, "__ARMV7PILongThunk_")
            or _begins(name, length, "__ThumbV7PILongThunk_")
            or _begins(name, length, "__LA25Thunk_")
            or _begins(name, length, "__microLA25Thunk_")
            or _begins(name, length, "__kcfi_typeid_")
        ):
            return True
    if _ends(name, length, "_from_arm") or _ends(name, length, "_from_thumb") or _ends(name, length, "_veneer"):
        return True
    if memchr(name, c'.', length) != NULL:
        return _contains(name, length, ".long_branch.") or _contains(name, length, ".plt_branch.")
    return False
