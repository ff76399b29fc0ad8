# SPDX-License-Identifier: GPL-2.0-only
"""What differs between kernel versions: one row per dialect of scripts/kallsyms.

Nothing else in this project asks for a kernel version. A kernel that behaves differently gets a row here that
says what changed since the row before. A new kind of difference also gets a column, whose value for v6.1 goes
into the first row.

The client reads this table in every build, so the module imports nothing.
"""

# Options of scripts/kallsyms, as bits. They are part of the wire format and of cache keys: never renumber.
ALL_SYMBOLS = 1
ABSOLUTE_PERCPU = 2
BASE_RELATIVE = 4
LTO_CLANG = 8
PC_RELATIVE = 16

OPTION_BITS = {
    "all-symbols": ALL_SYMBOLS,
    "absolute-percpu": ABSOLUTE_PERCPU,
    "base-relative": BASE_RELATIVE,
    "lto-clang": LTO_CLANG,
    "pc-relative": PC_RELATIVE,
}

# How a dialect reads a map line.
FSCANF = 0  # words separated by any white space; lines of another form are skipped
GETLINE = 1  # "address type name" with single spaces; anything else is fatal

# The tables in the two orders that kernels have used. "offsets" stands for the address column in whichever
# form the options select (offsets, absolute addresses, pc-relative).
OFFSETS_FIRST = (
    "offsets",
    "relative_base",
    "num_syms",
    "names",
    "markers",
    "seqs_of_names",
    "token_table",
    "token_index",
)
OFFSETS_LAST = (
    "num_syms",
    "names",
    "markers",
    "token_table",
    "token_index",
    "offsets",
    "relative_base",
    "seqs_of_names",
)


class SymbolFilter:
    """What scripts/mksysmap drops from the output of ``nm -n``.

    types     type letters of the symbols it drops
    rules     names it drops: "^a" begins with a; "$a" ends with a; "*.a" contains .a; "=a" is a;
              "#a" is a and digits; "~a" begins with a, then letters and digits, then Thunk_
    previous  whether it also drops the symbols of the object made from the last output of scripts/kallsyms
              (its third argument)
    """

    __slots__ = ("previous", "rules", "types")

    def __init__(self, *rules: str, types: str = "aNUw", previous: bool = False) -> None:
        self.types = types
        self.rules = rules
        self.previous = previous


class Dialect:
    """One form of scripts/kallsyms; a row of :data:`DIALECTS`.

    name            what ``--dialect`` takes
    release         first kernel release (major, minor) that has it; (0, 0) for forms outside mainline
    commit          kernel commit that began it
    options         its long options, in its getopt order (which is the order in "ambiguous" messages)
    usage           its usage text
    positionals     the exact number of positional arguments it takes, 0 for "at least one, extras ignored"
    reads_elf       its input is the linked kernel, not a map; --sysmap=FILE writes the map, and then one
                    positional argument is enough
    parser          FSCANF or GETLINE
    mksysmap        what mksysmap keeps out of its map; if several releases share a form of scripts/kallsyms,
                    as in the newest of them; with reads_elf, what the tool drops itself
    own_filter      it drops types U and N, and the names that mksysmap drops in later kernels
    own_tables      names of its own tables that own_filter drops
    lto_cut         --lto-clang sorts by the name up to this text; b"" if the option does not exist
    keep_start_stop without --all-symbols, it keeps names that begin with __start_ or __stop_
    empty           a map without symbols gives empty tables instead of "No valid symbol."
    order           its tables, in the order in which it prints them
    absolute_form   without --base-relative the address column holds absolute addresses
    preamble        the assembly begins by deriving PTR and ALGN from <asm/bitsperlong.h>
    comments        tables whose plain lines end in a comment with the symbol's name
    sizes           tables followed by a .size line
    binary          tables that the tool itself writes to a .bin, in its order
    name_limit      KSYM_NAME_LEN: names of this many bytes or more are dropped with a warning
    marker_shift    log2 of the symbols per marker
    range_error     message for an address out of range; takes "absolute"/"relative" and the value in hex
    """

    name: str
    release: tuple[int, int]
    commit: str
    options: tuple[str, ...]
    usage: str
    positionals: int
    reads_elf: bool
    parser: int
    mksysmap: SymbolFilter
    own_filter: bool
    own_tables: tuple[str, ...]
    lto_cut: bytes
    keep_start_stop: bool
    empty: bool
    order: tuple[str, ...]
    absolute_form: bool
    preamble: bool
    comments: tuple[str, ...]
    sizes: tuple[str, ...]
    binary: tuple[str, ...]
    name_limit: int
    marker_shift: int
    range_error: str

    def __init__(self, **columns: object) -> None:
        """Take a value for each column of the class. Raises TypeError if one is missing or unknown."""
        if columns.keys() != Dialect.__annotations__.keys():
            raise TypeError(f"columns: {sorted(columns.keys() ^ Dialect.__annotations__.keys())}")
        self.__dict__.update(columns)

    def __repr__(self) -> str:
        return f"<dialect {self.name}>"

    def accepts(self, options: int) -> bool:
        """Whether every bit of ``options`` is an option of this dialect."""
        return options & ~sum(OPTION_BITS[name] for name in self.options) == 0

    def then(
        self,
        name: str,
        *,
        release: tuple[int, int] = (0, 0),
        commit: str = "",
        **changes: object,
    ) -> "Dialect":
        """The row of a later form: columns that are not named here have the values of this row."""
        return Dialect(**{**vars(self), "name": name, "release": release, "commit": commit, **changes})


def _without(table: str, order: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(each for each in order if each != table)


def _usage(*options: str, positionals: str = "in.map > out.S") -> str:
    return "Usage: kallsyms " + "".join(f"[--{name}] " for name in options) + positionals + "\n"


_MKSYSMAP_6_1 = ("^$", "^.L", "^__crc_", "^__kstrtab_", "^__kstrtabns_", "=L0")
# Kernel commit c4802044a0a7 moved the rules of own_filter into mksysmap.
_MKSYSMAP_6_4 = (
    *_MKSYSMAP_6_1,
    *("^__efistub_", "^__kvm_nvhe_$", "^__kvm_nvhe_.L", "^__kcfi_typeid_"),
    *("$_from_arm", "$_from_thumb", "$_veneer"),
    *("=_SDA_BASE_", "=_SDA2_BASE_", "*.long_branch.", "*.plt_branch."),
)
_THUNKS = (
    *("^__AArch64ADRPThunk_", "^__ARMV5PILongThunk_", "^__ARMV7PILongThunk_"),
    *("^__ThumbV7PILongThunk_", "^__LA25Thunk_", "^__microLA25Thunk_"),
)
_MKSYSMAP_6_9 = (
    *_MKSYSMAP_6_4,
    *("^__pi_$", "^__pi_.L", "^__kvm_nvhe___kcfi_typeid_", "^__pi___kcfi_typeid_", "~__"),
)
# v6.18 added these rules; v6.19 put an underscore before the number.
_MKSYSMAP_6_19 = (
    *_MKSYSMAP_6_9,
    *("^__mod_device_table__", "#__UNIQUE_ID_modinfo", "#__UNIQUE_ID_modinfo_"),
)
_MKSYSMAP_7_0 = (*_MKSYSMAP_6_9, "^__mod_device_table__", "#__UNIQUE_ID_modinfo_")

_V6_1_TABLES = (
    "kallsyms_addresses",
    "kallsyms_offsets",
    "kallsyms_relative_base",
    "kallsyms_num_syms",
    "kallsyms_names",
    "kallsyms_markers",
    "kallsyms_token_table",
    "kallsyms_token_index",
)
_OPTIONS_6_1 = ("all-symbols", "absolute-percpu", "base-relative")
_OPTIONS_6_2 = (*_OPTIONS_6_1, "lto-clang")
_OPTIONS_MAIL = ("all-symbols", "absolute-percpu", "lto-clang")
_OPTIONS_6_11 = ("all-symbols", "absolute-percpu")
_OPTIONS_7_0 = ("all-symbols", "pc-relative")
_V7_4_USAGE = """\
Usage: kallsyms [--all-symbols] [--pc-relative] [--sysmap=out.map]
                in out.bin > out.S
       kallsyms --sysmap=out.map vmlinux
"""

_V6_1 = Dialect(
    name="v6.1",
    release=(6, 1),
    commit="73bbb94466fd",
    options=_OPTIONS_6_1,
    usage=_usage(*_OPTIONS_6_1),
    positionals=0,
    reads_elf=False,
    parser=FSCANF,
    mksysmap=SymbolFilter(*_MKSYSMAP_6_1),
    own_filter=True,
    own_tables=_V6_1_TABLES,
    lto_cut=b"",
    keep_start_stop=False,
    empty=False,
    order=_without("seqs_of_names", OFFSETS_FIRST),
    absolute_form=True,
    preamble=True,
    comments=(),
    sizes=(),
    binary=(),
    name_limit=512,
    marker_shift=8,
    range_error="kallsyms failure: %s symbol value %s out of range in relative mode",
)
_V6_2 = _V6_1.then(
    "v6.2",
    release=(6, 2),
    commit="60443c88f3a8",
    options=_OPTIONS_6_2,
    usage=_usage(*_OPTIONS_6_2),
    lto_cut=b".",
    order=OFFSETS_FIRST,
)
# Its commit is not known.
_V6_3 = _V6_2.then(
    "v6.3",
    release=(6, 3),
    own_tables=(*_V6_1_TABLES, "kallsyms_seqs_of_names"),
)
# From 6.1.60 on, 6.1.y has backports of 6.3's tables and of 6.5's cut. Releases before 6.1.42 have the form
# of v6.1. In the releases between, the new table had four bytes for each symbol; no row covers them.
_V6_1_Y = _V6_3.then(
    "v6.1.y",
    commit="60443c88f3a8",
    lto_cut=b".llvm.",
)
_V6_4 = _V6_3.then(
    "v6.4",
    release=(6, 4),
    commit="404bad70fcf7",
    mksysmap=SymbolFilter(*_MKSYSMAP_6_4, *_THUNKS, previous=True),
    own_filter=False,
    own_tables=(),
    order=OFFSETS_LAST,
    comments=("offsets",),
)
_V6_5 = _V6_4.then(
    "v6.5",
    release=(6, 5),
    commit="1c975da56a6f",
    parser=GETLINE,
    lto_cut=b".llvm.",
)
# The tool is 6.5's; the rules of mksysmap are 6.9's.
_V6_6 = _V6_5.then(
    "v6.6",
    release=(6, 6),
    commit="8cc32a9bbf29",
    mksysmap=SymbolFilter(*_MKSYSMAP_6_9, previous=True),
)
# Its commit is not known.
_V6_10 = _V6_6.then(
    "v6.10",
    release=(6, 10),
    mksysmap=SymbolFilter(*_MKSYSMAP_6_9),
    keep_start_stop=True,
)
_V6_11 = _V6_10.then(
    "v6.11",
    release=(6, 11),
    commit="c442db3f49f2",
    options=_OPTIONS_6_11,
    usage=_usage(*_OPTIONS_6_11),
    lto_cut=b"",
    empty=True,
    absolute_form=False,
    comments=("names", "offsets", "seqs_of_names"),
)
_V6_15 = _V6_11.then(
    "v6.15",
    release=(6, 15),
    commit="01157ddc58dc",
    options=("all-symbols",),
    usage=_usage("all-symbols"),
    mksysmap=SymbolFilter(*_MKSYSMAP_6_19),
    range_error="kallsyms failure: %s symbol value %s out of range",
)
_V7_0 = _V6_15.then(
    "v7.0",
    release=(7, 0),
    commit="a081b5789255",
    options=_OPTIONS_7_0,
    mksysmap=SymbolFilter(*_MKSYSMAP_7_0),
    order=_without("relative_base", OFFSETS_LAST),
    preamble=False,
)
# In v7.3, not yet in v7.2; the commit is not known.
_V7_3 = _V7_0.then(
    "v7.3",
    release=(7, 3),
    sizes=("names", "markers", "token_table", "offsets"),
)
_V7_4 = _V7_3.then(
    "v7.4",
    release=(7, 4),
    commit="531980b4b17e",
    usage=_V7_4_USAGE,
    positionals=2,
    reads_elf=True,
    comments=("offsets",),
    binary=("names", "token_table", "seqs_of_names"),
)
# No known release has it.
_V7_4_MARKERS16 = _V7_4.then(
    "v7.4-markers16",
    commit="a79448913c91",
    marker_shift=4,
)
# Posted in February 2024, never merged; v6.8 without --base-relative.
_MAIL_2024 = _V6_6.then(
    "mail-2024",
    options=_OPTIONS_MAIL,
    usage=_usage(*_OPTIONS_MAIL, positionals="vmlinux in.map out.S out.bin"),
    positionals=4,
    absolute_form=False,
)

#: Every dialect, oldest first. A form outside mainline follows the form that it derives from, or comes last.
DIALECTS = (
    _V6_1,
    _V6_1_Y,
    _V6_2,
    _V6_3,
    _V6_4,
    _V6_5,
    _V6_6,
    _V6_10,
    _V6_11,
    _V6_15,
    _V7_0,
    _V7_3,
    _V7_4,
    _V7_4_MARKERS16,
    _MAIL_2024,
)

BY_NAME = {dialect.name: dialect for dialect in DIALECTS}

#: First mainline release whose form has not been examined: it may be v7.4, v7.4-markers16, or need a new row.
UNSUPPORTED_SINCE = (7, 5)

#: Supported values of KSYM_NAME_LEN. An encoded name has at most 0x3fff bytes, type letter included.
NAME_LIMITS = range(128, 8193)
# Stands between a row's name and a different KSYM_NAME_LEN.
_WITH_NAME_LIMIT = "+KSYM_NAME_LEN="
_LONGEST_LIMIT = 4
_variants: dict[str, Dialect] = {}

# No kernel release takes more characters. int() raises for several thousand digits.
_LONGEST_RELEASE = 20


def with_name_limit(dialect: Dialect, limit: int) -> Dialect:
    """``dialect`` for a tree that sets KSYM_NAME_LEN to ``limit``, one of :data:`NAME_LIMITS`.

    The limit is part of its name, as in "v6.11+KSYM_NAME_LEN=1024". :func:`exact` and :func:`find` accept it.
    """
    if limit == dialect.name_limit:
        return dialect
    name = f"{dialect.name}{_WITH_NAME_LIMIT}{limit}"
    if name not in _variants:
        _variants[name] = dialect.then(name, release=dialect.release, commit=dialect.commit, name_limit=limit)
    return _variants[name]


def exact(name: str) -> Dialect:
    """The dialect with exactly this name. Raises KeyError if there is none."""
    row, separator, limit = name.partition(_WITH_NAME_LIMIT)
    if not separator:
        return BY_NAME[row]
    dialect = BY_NAME[row]
    if not limit.isdecimal() or limit != limit.lstrip("0") or len(limit) > _LONGEST_LIMIT:
        raise KeyError(name)
    if int(limit) not in NAME_LIMITS or int(limit) == dialect.name_limit:
        raise KeyError(name)
    return with_name_limit(dialect, int(limit))


def find(name: str) -> Dialect | None:
    """The dialect called ``name``, or the dialect of a kernel release written like ``v6.12`` or ``6.12``.

    A mainline release between two rows has the form of the older row. Returns None for a name or a release
    that the table does not cover.
    """
    try:
        return exact(name)
    except KeyError:
        pass
    major, dot, minor = name.removeprefix("v").partition(".")
    if not (dot and major.isdecimal() and minor.isdecimal()) or len(name) > _LONGEST_RELEASE:
        return None
    release = (int(major), int(minor))
    rows = [row for row in DIALECTS if (0, 0) < row.release <= release]
    return rows[-1] if rows and release < UNSUPPORTED_SINCE else None
