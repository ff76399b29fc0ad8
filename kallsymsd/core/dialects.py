# SPDX-License-Identifier: GPL-2.0-only
"""What differs between kernel versions: one row per dialect of scripts/kallsyms.

Nothing else in this project asks for a kernel version. A new kernel that behaves differently gets a row
here; if its difference is of a new kind, a column too, and every row says its value.

The thin client reads this table before each build, so the module imports nothing.
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

# Ways to read a map line.
FSCANF = 0  # words split by any white space; lines that do not fit are skipped
GETLINE = 1  # "address type name" with single spaces; anything else is fatal

# Tables, in the two orders that kernels had. "offsets" stands for the address column in whichever form
# (offsets, absolute addresses, pc-relative) the options ask for.
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

_BOTH_MODES = "kallsyms failure: %s symbol value %s out of range in relative mode"
_ONE_MODE = "kallsyms failure: %s symbol value %s out of range"


class SymbolFilter:
    """What scripts/mksysmap takes away from what ``nm -n`` prints.

    types     letters of the symbols it drops
    rules     names it drops: "^a" those that begin with a, "$a" end with it, "*.a" contain .a, "=a" are a,
              "#a" are a and digits, "~a" begin with a, letters and digits, and Thunk_
    previous  drops as well the symbols of the object that the last run of scripts/kallsyms became
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
    options         long options its getopt knows, in its order (the order of "ambiguous" messages)
    usage           its usage text
    positionals     the one number of positional arguments it takes, 0 for "at least one, extras ignored"
    reads_elf       its input is the linked kernel, not a map; --sysmap=FILE makes the map, and then one
                    positional argument is enough
    parser          FSCANF or GETLINE
    mksysmap        what never gets into its map; of releases with one form of scripts/kallsyms, the newest's;
                    reads_elf: it drops that itself
    own_filter      drops types U and N and the names that mksysmap removes in later kernels
    own_tables      names of its own tables that own_filter drops
    lto_cut         --lto-clang sorts by the name up to this text; b"" where the option does not exist
    keep_start_stop without --all-symbols, names starting __start_ and __stop_ stay
    empty           a map without symbols gives empty tables instead of "No valid symbol."
    order           its tables in label order
    absolute_form   without --base-relative the address column holds absolute addresses
    preamble        the assembly begins by deriving PTR and ALGN from <asm/bitsperlong.h>
    comments        tables whose plain lines end in a comment with the symbol's name
    sizes           tables followed by a .size line
    binary          tables that the tool itself writes to a .bin, in its order
    marker_shift    log2 of the symbols per marker
    range_error     message for an address out of range; takes "absolute"/"relative" and the value in hex
    marks, absent   texts that its scripts/kallsyms.c has, and has not
    """

    __slots__ = (
        "absent",
        "absolute_form",
        "binary",
        "comments",
        "commit",
        "empty",
        "keep_start_stop",
        "lto_cut",
        "marker_shift",
        "marks",
        "mksysmap",
        "name",
        "options",
        "order",
        "own_filter",
        "own_tables",
        "parser",
        "positionals",
        "preamble",
        "range_error",
        "reads_elf",
        "release",
        "sizes",
        "usage",
    )

    def __init__(
        self,
        *,
        name: str,
        release: tuple[int, int],
        commit: str,
        options: tuple[str, ...],
        usage: str,
        parser: int,
        mksysmap: SymbolFilter,
        order: tuple[str, ...],
        range_error: str,
        marks: tuple[str, ...],
        absent: tuple[str, ...] = (),
        positionals: int = 0,
        reads_elf: bool = False,
        own_filter: bool = False,
        own_tables: tuple[str, ...] = (),
        lto_cut: bytes = b"",
        keep_start_stop: bool = False,
        empty: bool = False,
        absolute_form: bool = False,
        preamble: bool = True,
        comments: tuple[str, ...] = (),
        sizes: tuple[str, ...] = (),
        binary: tuple[str, ...] = (),
        marker_shift: int = 8,
    ) -> None:
        self.name = name
        self.release = release
        self.commit = commit
        self.options = options
        self.usage = usage
        self.positionals = positionals
        self.reads_elf = reads_elf
        self.parser = parser
        self.mksysmap = mksysmap
        self.own_filter = own_filter
        self.own_tables = own_tables
        self.lto_cut = lto_cut
        self.keep_start_stop = keep_start_stop
        self.empty = empty
        self.order = order
        self.absolute_form = absolute_form
        self.preamble = preamble
        self.comments = comments
        self.sizes = sizes
        self.binary = binary
        self.marker_shift = marker_shift
        self.range_error = range_error
        self.marks = marks
        self.absent = absent

    def __repr__(self) -> str:
        return f"<dialect {self.name}>"

    def accepts(self, options: int) -> bool:
        """Whether every bit of ``options`` is an option of this dialect."""
        return options & ~sum(OPTION_BITS[name] for name in self.options) == 0


def _usage(*options: str, positionals: str = "in.map > out.S") -> str:
    return "Usage: kallsyms " + "".join(f"[--{name}] " for name in options) + positionals + "\n"


_MKSYSMAP_6_1 = ("^$", "^.L", "^__crc_", "^__kstrtab_", "^__kstrtabns_", "=L0")
# c4802044a0a7: what own_filter had until then
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
# Since v6.18; v6.19 put an underscore before the number.
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
_V6_1 = ("all-symbols", "absolute-percpu", "base-relative")
_V6_2 = (*_V6_1, "lto-clang")
_V6_10 = ("all-symbols", "absolute-percpu", "lto-clang")
_V6_11 = ("all-symbols", "absolute-percpu")
_V7_0 = ("all-symbols", "pc-relative")
_COMMENTED = ("names", "offsets", "seqs_of_names")
_SIZED = ("names", "markers", "token_table", "offsets")
_V7_4_USAGE = """\
Usage: kallsyms [--all-symbols] [--pc-relative] [--sysmap=out.map]
                in out.bin > out.S
       kallsyms --sysmap=out.map vmlinux
"""

#: Every dialect, oldest first; a form outside mainline last.
DIALECTS = (
    Dialect(  # D1
        name="v6.1",
        release=(6, 1),
        commit="73bbb94466fd",
        options=_V6_1,
        usage=_usage(*_V6_1),
        parser=FSCANF,
        mksysmap=SymbolFilter(*_MKSYSMAP_6_1),
        own_filter=True,
        own_tables=_V6_1_TABLES,
        order=tuple(table for table in OFFSETS_FIRST if table != "seqs_of_names"),
        absolute_form=True,
        range_error=_BOTH_MODES,
        marks=("base-relative", "is_ignored_symbol"),
        absent=("kallsyms_seqs_of_names",),
    ),
    Dialect(  # D1s: 6.1.y carries the backports of 6.2's table and of 6.6's cut
        name="v6.1.y",
        release=(0, 0),
        commit="60443c88f3a8",
        options=_V6_2,
        usage=_usage(*_V6_2),
        parser=FSCANF,
        mksysmap=SymbolFilter(*_MKSYSMAP_6_1),
        own_filter=True,
        own_tables=(*_V6_1_TABLES, "kallsyms_seqs_of_names"),
        lto_cut=b".llvm.",
        order=OFFSETS_FIRST,
        absolute_form=True,
        range_error=_BOTH_MODES,
        marks=("base-relative", "is_ignored_symbol", "kallsyms_seqs_of_names", ".llvm."),
    ),
    Dialect(  # D2
        name="v6.2",
        release=(6, 2),
        commit="60443c88f3a8",
        options=_V6_2,
        usage=_usage(*_V6_2),
        parser=FSCANF,
        mksysmap=SymbolFilter(*_MKSYSMAP_6_1),
        own_filter=True,
        own_tables=(*_V6_1_TABLES, "kallsyms_seqs_of_names"),
        lto_cut=b".",
        order=OFFSETS_FIRST,
        absolute_form=True,
        range_error=_BOTH_MODES,
        marks=("base-relative", "is_ignored_symbol", "kallsyms_seqs_of_names"),
        absent=(".llvm.",),
    ),
    Dialect(  # D3
        name="v6.4",
        release=(6, 4),
        commit="404bad70fcf7",
        options=_V6_2,
        usage=_usage(*_V6_2),
        parser=FSCANF,
        mksysmap=SymbolFilter(*_MKSYSMAP_6_4, *_THUNKS, previous=True),
        lto_cut=b".",
        order=OFFSETS_LAST,
        absolute_form=True,
        comments=("offsets",),
        range_error=_BOTH_MODES,
        marks=("base-relative", "fscanf"),
        absent=(".plt_branch.", "getline"),
    ),
    Dialect(  # D4
        name="v6.5",
        release=(6, 5),
        commit="1c975da56a6f",
        options=_V6_2,
        usage=_usage(*_V6_2),
        parser=GETLINE,
        mksysmap=SymbolFilter(*_MKSYSMAP_6_4, *_THUNKS, previous=True),
        lto_cut=b".",
        order=OFFSETS_LAST,
        absolute_form=True,
        comments=("offsets",),
        range_error=_BOTH_MODES,
        marks=("base-relative", "getline"),
        absent=(".llvm.",),
    ),
    Dialect(  # D4 with the other cut
        name="v6.6",
        release=(6, 6),
        commit="8cc32a9bbf29",
        options=_V6_2,
        usage=_usage(*_V6_2),
        parser=GETLINE,
        mksysmap=SymbolFilter(*_MKSYSMAP_6_9, previous=True),
        lto_cut=b".llvm.",
        order=OFFSETS_LAST,
        absolute_form=True,
        comments=("offsets",),
        range_error=_BOTH_MODES,
        marks=("base-relative", "getline", ".llvm."),
    ),
    Dialect(  # D5
        name="v6.10",
        release=(6, 10),
        commit="64e166099b69",
        options=_V6_10,
        usage=_usage(*_V6_10),
        parser=GETLINE,
        mksysmap=SymbolFilter(*_MKSYSMAP_6_9),
        lto_cut=b".llvm.",
        keep_start_stop=True,
        order=OFFSETS_LAST,
        comments=("offsets",),
        range_error=_BOTH_MODES,
        marks=("lto-clang", "absolute-percpu", "__start_"),
        absent=("base-relative", "incbin"),
    ),
    Dialect(  # D6
        name="v6.11",
        release=(6, 11),
        commit="c442db3f49f2",
        options=_V6_11,
        usage=_usage(*_V6_11),
        parser=GETLINE,
        mksysmap=SymbolFilter(*_MKSYSMAP_6_9),
        keep_start_stop=True,
        empty=True,
        order=OFFSETS_LAST,
        comments=_COMMENTED,
        range_error=_BOTH_MODES,
        marks=("absolute-percpu",),
        absent=("base-relative", "lto-clang"),
    ),
    Dialect(  # D7
        name="v6.15",
        release=(6, 15),
        commit="01157ddc58dc",
        options=("all-symbols",),
        usage=_usage("all-symbols"),
        parser=GETLINE,
        mksysmap=SymbolFilter(*_MKSYSMAP_6_19),
        keep_start_stop=True,
        empty=True,
        order=OFFSETS_LAST,
        comments=_COMMENTED,
        range_error=_ONE_MODE,
        marks=("all-symbols",),
        absent=("absolute-percpu", "base-relative", "pc-relative"),
    ),
    Dialect(  # D8
        name="v7.0",
        release=(7, 0),
        commit="a081b5789255",
        options=_V7_0,
        usage=_usage("all-symbols"),
        parser=GETLINE,
        mksysmap=SymbolFilter(*_MKSYSMAP_7_0),
        keep_start_stop=True,
        empty=True,
        order=tuple(table for table in OFFSETS_LAST if table != "relative_base"),
        preamble=False,
        comments=_COMMENTED,
        range_error=_ONE_MODE,
        marks=("pc-relative",),
        absent=("sysmap", ".size"),
    ),
    Dialect(  # D8 with .size lines: in v7.3, not yet in v7.2; the commit is not known
        name="v7.3",
        release=(7, 3),
        commit="",
        options=_V7_0,
        usage=_usage("all-symbols"),
        parser=GETLINE,
        mksysmap=SymbolFilter(*_MKSYSMAP_7_0),
        keep_start_stop=True,
        empty=True,
        order=tuple(table for table in OFFSETS_LAST if table != "relative_base"),
        preamble=False,
        comments=_COMMENTED,
        sizes=_SIZED,
        range_error=_ONE_MODE,
        marks=("pc-relative", ".size"),
        absent=("sysmap",),
    ),
    Dialect(  # D9
        name="v7.4",
        release=(7, 4),
        commit="531980b4b17e",
        options=_V7_0,
        usage=_V7_4_USAGE,
        positionals=2,
        reads_elf=True,
        parser=GETLINE,
        mksysmap=SymbolFilter(*_MKSYSMAP_7_0),
        keep_start_stop=True,
        empty=True,
        order=tuple(table for table in OFFSETS_LAST if table != "relative_base"),
        preamble=False,
        comments=("offsets",),
        sizes=_SIZED,
        binary=("names", "token_table", "seqs_of_names"),
        range_error=_ONE_MODE,
        marks=("pc-relative", "sysmap"),
        absent=("KALLSYMS_MARKER_SHIFT",),
    ),
    Dialect(  # D9m: D9 with a marker every 16 symbols; no release is known to have it
        name="v7.4-markers16",
        release=(0, 0),
        commit="a79448913c91",
        options=_V7_0,
        usage=_V7_4_USAGE,
        positionals=2,
        reads_elf=True,
        parser=GETLINE,
        mksysmap=SymbolFilter(*_MKSYSMAP_7_0),
        keep_start_stop=True,
        empty=True,
        order=tuple(table for table in OFFSETS_LAST if table != "relative_base"),
        preamble=False,
        comments=("offsets",),
        sizes=_SIZED,
        binary=("names", "token_table", "seqs_of_names"),
        marker_shift=4,
        range_error=_ONE_MODE,
        marks=("pc-relative", "sysmap", "KALLSYMS_MARKER_SHIFT"),
    ),
    Dialect(  # X: posted in February 2024, never merged; v6.8 with the first half of v6.10
        name="mail-2024",
        release=(0, 0),
        commit="",
        options=_V6_10,
        usage=_usage(*_V6_10, positionals="vmlinux in.map out.S out.bin"),
        positionals=4,
        parser=GETLINE,
        mksysmap=SymbolFilter(*_MKSYSMAP_6_9, previous=True),
        lto_cut=b".llvm.",
        order=OFFSETS_LAST,
        comments=("offsets",),
        range_error=_BOTH_MODES,
        marks=("lto-clang", "incbin"),
        absent=("pc-relative",),
    ),
)

BY_NAME = {dialect.name: dialect for dialect in DIALECTS}

#: First mainline release whose form nobody has looked at: it is v7.4, v7.4-markers16, or a row to be written.
UNSUPPORTED_SINCE = (7, 5)

# No kernel release is written in more characters, and int() raises for some thousand digits.
_LONGEST_RELEASE = 20


def find(name: str) -> Dialect | None:
    """The dialect called ``name``, or that of a kernel release written like ``v6.12`` or ``6.12``.

    A mainline release between two rows has the form of the older row. None for a name or release that the
    table does not cover.
    """
    if name in BY_NAME:
        return BY_NAME[name]
    major, dot, minor = name.removeprefix("v").partition(".")
    if not (dot and major.isdecimal() and minor.isdecimal()) or len(name) > _LONGEST_RELEASE:
        return None
    release = (int(major), int(minor))
    rows = [row for row in DIALECTS if (0, 0) < row.release <= release]
    return rows[-1] if rows and release < UNSUPPORTED_SINCE else None
