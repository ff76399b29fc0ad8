# SPDX-License-Identifier: GPL-2.0-only
"""The symbols that scripts/mksysmap drops: dialects.SymbolFilter."""

from cpython.bytes cimport PyBytes_AS_STRING
from libc.stdint cimport uint8_t
from libc.stdlib cimport free
from libc.string cimport memcmp, memset, strlen, strstr

from kallsymsd.core.native.columns cimport allocate


cdef class DroppedSymbols:
    """Symbols that get into no map: their letter is in ``types``, or a rule in ``names`` matches their name.

    types  letters
    names  rules of the form of SymbolFilter.rules, each followed by a zero
    """

    def __cinit__(self, bytes types, bytes names):
        self.types = types
        self.names = names
        self.letters = PyBytes_AS_STRING(types)
        self.rules.rule = <Rule *>allocate(<size_t>names.count(b"\0") * sizeof(Rule))
        _read_rules(&self.rules, PyBytes_AS_STRING(names), PyBytes_AS_STRING(names) + len(names))

    def __dealloc__(self):
        free(self.rules.rule)


cdef size_t _alnum(const uint8_t *name, size_t length) noexcept nogil:
    """The number of ASCII letters and digits at the front."""
    cdef size_t i = 0
    while i < length and (
        (name[i] | 0x20 >= c'a' and name[i] | 0x20 <= c'z') or (name[i] >= c'0' and name[i] <= c'9')
    ):
        i += 1
    return i


cdef bint _fits(const Rule *rule, const uint8_t *name, size_t length) noexcept nogil:
    """Whether a rule matches a name, which a zero follows."""
    cdef size_t at = rule.size
    if rule.way == c'*':
        return strstr(<const char *>name, rule.text) != NULL
    if rule.size > length:
        return False
    if rule.size == 0:
        return length == 0  # "=" alone: the empty name
    if rule.way == c'$':
        return memcmp(name + length - rule.size, rule.text, rule.size) == 0
    # One byte is enough to exclude most rules; the last byte distinguishes them best.
    if name[rule.size - 1] != <uint8_t>rule.text[rule.size - 1] or memcmp(name, rule.text, rule.size) != 0:
        return False
    if rule.way == c'^':
        return True
    if rule.way == c'=':
        return rule.size == length
    if rule.way == c'#':
        while at < length and name[at] >= c'0' and name[at] <= c'9':
            at += 1
        return at == length
    at += _alnum(name + at, length - at)
    return at < length and name[at] == c'_' and at >= rule.size + 5 and memcmp(name + at - 5, "Thunk", 5) == 0


cdef bint any_fits(const Rules *rules, const uint8_t *name, size_t length) noexcept nogil:
    cdef size_t i
    for i in range(rules.count):
        if _fits(rules.rule + i, name, length):
            return True
    return False


cdef void _read_rules(Rules *rules, const char *text, const char *end) noexcept nogil:
    """Read rules as text, each followed by a zero. ``rules`` has room for all of them."""
    cdef Rule *rule = rules.rule
    memset(rules.first, 0, sizeof(rules.first))
    memset(rules.last, 0, sizeof(rules.last))
    rules.inside = False
    while text < end:
        rule.way = <uint8_t>text[0]
        rule.text = text + 1
        rule.size = strlen(text + 1)
        if rule.way == c'*':
            rules.inside = True
        elif rule.way == c'$':
            rules.last[<uint8_t>text[rule.size]] = 1
        else:
            rules.first[<uint8_t>text[1]] = 1
        text += rule.size + 2
        rule += 1
    rules.count = <size_t>(rule - rules.rule)
