# SPDX-License-Identifier: GPL-2.0-only
"""Random System.maps for hypothesis, made of what has its own rule somewhere in scripts/kallsyms.

Names never contain what plain assembly cannot quote (``"``, backslash, ``*/``) unless a strategy says so,
and never have exactly 511 characters: the oracles overrun a buffer there.
"""

from collections.abc import Callable
from dataclasses import dataclass

from hypothesis import strategies as st

from tests.reference.forms import FORMS

#: Kernels begin their text at addresses of these kinds: high half, low 64-bit, 32-bit, zero.
BASES = (0xFFFFFFFF81000000, 0x100000, 0xC1000000, 0)

TYPES = b"TTTTTTttttDdBbRrVvGgWWwwAaUuNn?-"

#: Names that some rule asks for.
SPECIAL_NAMES = (
    b"_text",
    b"_stext",
    b"_etext",
    b"_sinittext",
    b"_einittext",
    b"__per_cpu_start",
    b"__per_cpu_end",
    b"__start_rodata",
    b"__stop_list",
    b"__end_once",
    b"__init_begin_start",
    b"__init_end",
    b"___end",
    b"__start_",
    b"__stop_",
    b"__gp",
    b"__kernel_sigtramp",
    b"__kernel_syscall_via_break",
    b"__kernel_syscall_via_epc",
    b"_SDA_BASE_",
    b"_SDA2_BASE_",
    b"kallsyms_names",
    b"kallsyms_addresses",
    b"kallsyms_seqs_of_names",
    b"_",
    b"__",
)
PREFIXES = (
    b"",
    b"",
    b"",
    b"_",
    b"__",
    b"___",
    b"__start_",
    b"__stop_",
    b"__end_",
    b"__efistub_",
    b"__kvm_nvhe_$",
    b"__kvm_nvhe_.L",
    b"__kcfi_typeid_",
    b"__AArch64ADRPThunk_",
    b"__ARMV5PILongThunk_",
    b"__ARMV7PILongThunk_",
    b"__ThumbV7PILongThunk_",
    b"__LA25Thunk_",
    b"__microLA25Thunk_",
    b".L",
    b"$",
)
SUFFIXES = (
    b"",
    b"",
    b"",
    b"_start",
    b"_end",
    b".llvm.42",
    b".llvm.",
    b".cold",
    b".constprop.0",
    b"_from_arm",
    b"_from_thumb",
    b"_veneer",
    b".long_branch.x",
    b".plt_branch.",
)
LONG = (60, 126, 127, 128, 129, 255, 256, 300, 509, 510, 512, 513, 2047, 2048, 2049, 4096, 5000)

WHITE = b" \t\n\v\f\r"
UNQUOTABLE = b'"\\*'
WIDE = bytes(byte for byte in range(1, 256) if byte not in WHITE + UNQUOTABLE)
HOSTILE = bytes(byte for byte in range(1, 256) if byte not in WHITE)
ALPHABETS = (b"a", b"ab", b"ab_", b"abcdefgh_.", b"aeiou_012.$", b"\x80\xff\xc3a")

#: Lines that fscanf skips or reads in its own way.
SLOPPY_LINES = (
    b"",
    b"   ",
    b"zzz",
    b"                 U undefined",
    b"ffffffff81000010",
    b"ffffffff81000010 T",
    b"0xg T odd",
    b"-1 t minus",
    b"+10 t plus",
    b"- t nothing",
    b"fffffffffffffffff t saturates",
    b"0XFFFFFFFF81000004 t prefix",
    b"g" * 2047 + b" 12 T after",
    b"g" * 2048 + b" 12 T after",
    b"g" * 2060 + b" 12 T after",
)
#: Lines on which getline's reader ends with an error.
MALFORMED_LINES = (
    b"",
    b"   ",
    b"zzz",
    b"                 U undefined",
    b"ffffffff81000010",
    b"ffffffff81000010 T",
    b"ffffffff81000010  T two_spaces",
    b"ffffffff81000010\tT tab",
    b"ffffffff81000010 T\tname",
    b"ffffffff81000010 TT name",
    b"ffffffff81000010 \x80 name",
    b"ffffffff81000010 \xc3 name",
    b"0xg T odd",
    b"- t nothing",
)
#: Lines that getline's reader takes although they look odd.
ODD_LINES = (
    b" \t 81000010 t indented",
    b"-1 t minus",
    b"-fffffffffffffffff t saturates",
    b"+10 t plus",
    b"0XFFFFFFFF81000004 t prefix",
    b"ffffffff81000004 t name with blanks ",
    b"ffffffff81000004 t carriage_return\r",
    b"ffffffff81000004 t ",
    b"ffffffff81000004   ",
    b"ffffffff81000004 t before\0behind",
    b"ffffffff81000004 \x01 control",
)


@dataclass(frozen=True)
class Line:
    """One well-formed line of a map."""

    address: int
    type: int
    name: bytes


@dataclass(frozen=True)
class Case:
    """One run of a tool: options without dashes, and the text of the map."""

    options: tuple[str, ...]
    map_text: bytes


def spelled(alphabet: bytes, min_size: int, max_size: int) -> st.SearchStrategy[bytes]:
    """Byte strings over ``alphabet``, which come much faster than lists of letters."""
    table = bytes(alphabet[value % len(alphabet)] for value in range(256))
    return st.binary(min_size=min_size, max_size=max_size).map(lambda value: value.translate(table))


@st.composite
def _decorated(draw: st.DrawFn) -> bytes:
    return draw(st.sampled_from(PREFIXES)) + draw(spelled(b"abcde_", 0, 8)) + draw(st.sampled_from(SUFFIXES))


@st.composite
def _long(draw: st.DrawFn, alphabet: bytes) -> bytes:
    length = draw(st.sampled_from(LONG))
    unit = draw(spelled(alphabet, 1, 40))
    return (unit * (length // len(unit) + 1))[:length]


def names(alphabet: bytes = WIDE) -> st.SearchStrategy[bytes]:
    """Names of symbols, never empty; ``alphabet`` is that of the unusual ones."""
    plain = [spelled(letters, 1, 12) for letters in ALPHABETS]
    return st.one_of(
        *plain,
        _decorated().filter(bool),
        st.sampled_from(SPECIAL_NAMES),
        spelled(alphabet, 1, 60),
        st.one_of(_long(b"ab_"), _long(alphabet)),
    )


def addresses(base: int) -> st.SearchStrategy[int]:
    """Addresses near ``base``, often equal to each other."""
    near = st.integers(0, 24).map(lambda distance: (base + distance) % (1 << 64))
    far = st.integers(0, (1 << 32) + 2).map(lambda distance: (base + distance) % (1 << 64))
    return st.one_of(near, near, near, near, far)


def anywhere(base: int) -> st.SearchStrategy[int]:
    """Addresses of which some may not fit into an offset."""
    edges = [0, 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 1 << 32, 1 << 63, (1 << 64) - 1]
    edges += [(base + distance) % (1 << 64) for distance in (-1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 1 << 32)]
    return st.one_of(addresses(base), st.sampled_from(edges))


@st.composite
def symbols(draw: st.DrawFn, max_size: int = 40, alphabet: bytes = WIDE) -> list[Line]:
    """The symbols of a map in file order, which need not be the order of addresses."""
    base = draw(st.sampled_from(BASES))
    where = draw(st.sampled_from((addresses, addresses, addresses, anywhere)))
    line = st.builds(Line, where(base), st.sampled_from(TYPES), names(alphabet))
    lines = draw(st.lists(line, max_size=max_size))
    if draw(st.booleans()):  # otherwise most maps would lack it, and fail
        lines.append(Line(base, ord("T"), b"_text"))
    if draw(st.booleans()):
        lines += _bounds(base, draw(st.lists(st.integers(0, 24), min_size=6, max_size=6)))
    if lines and draw(st.integers(0, 3)) == 0:
        lines += draw(st.lists(st.sampled_from(lines), max_size=5))  # duplicates
    if draw(st.integers(0, 15)) == 0:
        lines = _many(lines, draw(st.integers(250, 530)))
    return lines


def _many(lines: list[Line], count: int) -> list[Line]:
    """At least ``count`` symbols made of a few: enough for a second and a third marker."""
    short = [line for line in lines if len(line.name) < 100]
    return lines + [
        Line(line.address, line.type, line.name + b"%d" % number)
        for number in range(count // len(short) if short else 0)
        for line in short
    ]


def _bounds(base: int, distances: list[int]) -> list[Line]:
    """All ends of the ranges, so that a map without --all-symbols keeps something."""
    labels = (b"_stext", b"_etext", b"_sinittext", b"_einittext", b"__per_cpu_start", b"__per_cpu_end")
    return [Line(base + at, ord("T"), name) for at, name in zip(distances, labels, strict=True)]


NUMBERS: tuple[Callable[[int], bytes], ...] = (
    lambda address: b"%016x" % address,
    lambda address: b"%08x" % address,
    lambda address: b"%X" % address,
)


def written(lines: list[Line], number: Callable[[int], bytes] = NUMBERS[0]) -> list[bytes]:
    """The lines as text."""
    return [b"%b %c %b" % (number(line.address), line.type, line.name) for line in lines]


@st.composite
def clean_maps(draw: st.DrawFn, alphabet: bytes = WIDE) -> bytes:
    """Maps as nm prints them, with or without the final newline."""
    lines = written(draw(symbols(alphabet=alphabet)), draw(st.sampled_from(NUMBERS)))
    return _joined(draw, lines)


@st.composite
def odd_maps(draw: st.DrawFn, *, fscanf: bool) -> bytes:
    """Maps that nm would not print; what becomes of them depends on the reader."""
    lines = written(draw(symbols(max_size=15)), draw(st.sampled_from(NUMBERS)))
    if fscanf:
        gap = st.sampled_from((b" ", b"  ", b"\t", b"\r\n", b" \v\f"))
        lines = [
            draw(gap).join(line.split(b" ", 2)) + draw(st.sampled_from((b"", b" ", b"\r"))) for line in lines
        ]
        extras: tuple[bytes, ...] = SLOPPY_LINES
    else:
        extras = ODD_LINES + (MALFORMED_LINES if draw(st.integers(0, 3)) == 0 else ())
    for extra in draw(st.lists(st.sampled_from(extras), max_size=4)):
        lines.insert(draw(st.integers(0, len(lines))), extra)
    return _joined(draw, lines)


def _joined(draw: st.DrawFn, lines: list[bytes]) -> bytes:
    final_newline = draw(st.integers(0, 4)) > 0
    return b"\n".join(lines) + (b"\n" if lines and final_newline else b"")


@st.composite
def _options(draw: st.DrawFn, dialect: str) -> tuple[str, ...]:
    options = tuple(option for option in FORMS[dialect].options if draw(st.booleans()))
    if "all-symbols" not in options and draw(st.booleans()):
        options = ("all-symbols", *options)  # without it, most symbols go
    return options


@st.composite
def cases(draw: st.DrawFn, dialect: str) -> Case:
    """Runs of the tool of ``dialect``: any of its options, mostly clean maps."""
    odd = draw(st.integers(0, 3)) == 0
    maps = odd_maps(fscanf=FORMS[dialect].fscanf) if odd else clean_maps()
    return Case(draw(_options(dialect)), draw(maps))


def hostile_cases(dialect: str) -> st.SearchStrategy[Case]:
    """Runs on clean maps whose names may hold what plain assembly cannot quote."""
    return st.builds(Case, _options(dialect), clean_maps(alphabet=HOSTILE))


def bags_of_strings() -> st.SearchStrategy[list[bytes]]:
    """Input of the token algorithm: strings that make ties, runs of one letter, few or many codes."""
    letters = st.sampled_from((*ALPHABETS, WIDE, HOSTILE))
    few = letters.flatmap(lambda alphabet: st.lists(spelled(alphabet, 1, 30), min_size=1, max_size=30))
    runs = st.lists(
        st.builds(
            lambda letter, length: bytes((letter,)) * length, st.sampled_from(b"abc"), st.integers(1, 70)
        ),
        min_size=1,
        max_size=12,
    )
    full = st.lists(st.binary(min_size=0, max_size=30), max_size=6).map(
        lambda strings: [
            HOSTILE,
            *(bytes(HOSTILE[value % len(HOSTILE)] for value in string) for string in strings),
        ]
    )
    return st.one_of(few, few, runs, full)
