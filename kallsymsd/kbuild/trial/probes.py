# SPDX-License-Identifier: GPL-2.0-only
"""Small maps that tell one scripts/kallsyms from another, for trials of a tree's own tool.

Each probes one behaviour that differs between releases or modified tools. A run takes about a millisecond.
"""

from typing import NamedTuple

from kallsymsd.core.dialects import Dialect

_BASE = 0xFFFFFFFF81000000
_PERCPU = "absolute-percpu"
_SYLLABLES = ("sys_", "get", "put", "_lock", "__x64_", "dev", "_init", "page", "tcp_", "ops", ".cold", "3")


class Probe(NamedTuple):
    """A map and the options to use with it.

    name     what it probes, for messages
    options  names of the dialect's options
    text     the map
    """

    name: str
    options: tuple[str, ...]
    text: bytes


def probes(dialect: Dialect) -> list[Probe]:
    """The probes for a tool of ``dialect``: each option, alone and with all others, and each limit."""
    every = dialect.options
    usual = tuple(option for option in every if option not in (_PERCPU, "lto-clang"))
    made = [Probe("no options", (), _many())]
    made += [Probe(f"--{option}", (option,), _many()) for option in every]
    made += [Probe("all options", every, _many(2500))]
    if _PERCPU in every:
        others = ((), *((option,) for option in every if option != _PERCPU), usual, every)
        made += [
            Probe("per-cpu symbols", tuple({*options, _PERCPU}), _percpu() + _many()) for options in others
        ]
    made += [
        Probe("an empty map", every, b""),
        Probe("text ranges", (), _ranges()),
        Probe("order", every, _order()),
        Probe("names of all lengths", every, _lengths(dialect.name_limit)),
        Probe("type letters", every, _letters()),
        Probe("names that some tools drop", every, _dropped()),
        Probe("no _text", every, _line(_BASE, "T", "start") + _line(_BASE + 8, "t", "end")),
        Probe("no symbol to keep", every, _line(_BASE, "a", "absolute") + _line(0, "u", "unique")),
        Probe("low addresses", every, _line(0x1000, "T", "_text") + _line(0x1010, "t", "near")),
        Probe("addresses just in range", usual, _far(-0x80000000, 0x7FFFFFFF)),
    ]
    for options in (usual, every):
        made += [
            Probe("low and high addresses", options, _far(-0x7FFFFFFF, 0x7EFFFFFF)),
            Probe("an address out of range", options, _far(-(1 << 33))),
            Probe("an address just too low", options, _far(-0x80000001)),
            Probe("addresses just too far apart", options, _far(0x80000000, -0x80000000)),
        ]
    good = _line(_BASE, "T", "_text")
    for name, bad in (
        ("an empty line", b"\n"),
        ("a line without an address", b"                 U undefined\n"),
        ("a line with tabs", b"ffffffff81000010\tt\tname\n"),
        ("a line with two blanks", b"ffffffff81000010  t name\n"),
        ("a name with a blank", b"ffffffff81000010 t two words\n"),
        ("a line that ends in CR", b"ffffffff81000010 t name\r\n"),
        ("an address in capitals", b"0XFFFFFFFF81000010 t name\n"),
        ("an invalid address", b"xyz t name\n"),
        ("no newline at the end", b"ffffffff81000010 t name"),
    ):
        made.append(Probe(name, every, good + bad + (b"" if bad[-1:] != b"\n" else good)))
    return made


def _line(address: int, letter: str, name: str) -> bytes:
    return f"{address & (1 << 64) - 1:016x} {letter} {name}\n".encode()


def _many(count: int = 700) -> bytes:
    """Enough symbols for all tokens and three markers, section ends included."""
    lines = [_line(_BASE, "T", name) for name in ("_text", "_stext", "startup_64")]
    seed = 1
    for number in range(count):
        name = ""
        for _ in range(2 + number % 5):
            seed = (seed * 1103515245 + 12345) % (1 << 31)
            name += _SYLLABLES[(seed >> 16) % len(_SYLLABLES)]
        suffix = ("", ".llvm.123456", ".constprop.0", f"_{number}")[number % 4]
        lines.append(_line(_BASE + 16 * number, "TtWDdBbRrV"[number % 10], name + suffix))
    lines += [_line(_BASE + 0x2000, "T", name) for name in ("_etext", "__start_table", "__stop_table")]
    return b"".join(lines)


def _far(*distances: int) -> bytes:
    """Symbols at these distances from _text, in bytes."""
    lines = [
        _line(0xFFFFFFFF00000000 + distance, "t", f"at_{number}") for number, distance in enumerate(distances)
    ]
    return _line(0xFFFFFFFF00000000, "T", "_text") + b"".join(lines)


def _percpu() -> bytes:
    """Per-cpu symbols at low addresses, where the option for them matters; some at the ends of the range."""
    at = {"at_the_start": 0, "cpu_number": 0x40, "at_the_end": 0x1000}
    lines = [_line(0, "D", "__per_cpu_start")]
    lines += [_line(address, letter, f"{name}_{letter}") for name, address in at.items() for letter in "dDwV"]
    return b"".join(lines) + _line(0x1000, "D", "__per_cpu_end")


def _ranges() -> bytes:
    """Symbols inside, outside and at the ends of the text ranges."""
    ends = ("_stext", "_etext", "_sinittext", "_einittext")
    lines = [_line(_BASE - 0x10, "t", "before"), _line(0, "d", "at_zero"), _line(_BASE, "T", "_text")]
    for number, name in enumerate(ends):
        at = _BASE + 0x1000 * number
        lines += [_line(at, "t", f"at{name}"), _line(at, "T", name), _line(at + 8, "d", f"behind{name}")]
    lines += [_line(_BASE + 0x9000, "D", f"{name}_of_table") for name in ("__start", "__stop", "__initcall_")]
    return b"".join(lines)


def _order() -> bytes:
    """Symbols with the same address whose order follows rules, each before and after each other."""
    names = [
        (letter, name)
        for letter in "wWVtd"
        for name in (
            *(
                "plain",
                "_x",
                "__x",
                "___longer",
                "__start_x",
                "__stop_x",
                "__end_x",
                "__some_start",
                "__some_end",
            ),
            *(
                "_start_x",
                "__start",
                "__end_",
                "start_x",
                "x_end",
                "__startx",
                "__sum_end_",
                "x.cold",
                "x.llvm.7",
            ),
        )
    ]
    lines = [_line(_BASE, "T", "_text")]
    for at, step in enumerate((1, 7, 13, 89), 1):  # none divides their number, so each goes once around
        order = [names[step * number % len(names)] for number in range(len(names))]
        lines += [_line(_BASE + 16 * at, letter, name) for letter, name in (*order, *reversed(order))]
    return b"".join(lines) + _line(_BASE + 8, "t", "goes_first")


def _lengths(limit: int) -> bytes:
    """Names of usual and unusual lengths; not one less than the limit, where tools overrun a buffer."""
    lengths = {1, 63, 64, 126, 127, 128, 129, 255, 256, 300, 509, 510, 512, 513, 600, 767, 768, 1000, 1024}
    lengths |= {limit - 2, limit, limit + 1, 2 * limit} | {1022, 1500, 2000, 2050, 4100}
    lines = [_line(_BASE, "T", "_text")]
    for number, length in enumerate(sorted(lengths - {511, limit - 1})):
        lines.append(_line(_BASE + 16 * number, "t", f"name{number}_".ljust(length, "xyzw"[number % 4])))
    return b"".join(lines)


def _letters() -> bytes:
    """Each type letter of nm, and some others."""
    letters = "ABCDGNRSTUVWabcdefghilmnprstuvw?-1"
    return _line(_BASE, "T", "_text") + b"".join(
        _line(_BASE + 16 * number, letter, f"symbol_{ord(letter)}") for number, letter in enumerate(letters)
    )


def _dropped() -> bytes:
    """Names that the tool or mksysmap of some release drops, and absolute symbols that all keep."""
    names = (
        *("kallsyms_names", "kallsyms_offsets", "kallsyms_addresses", "kallsyms_relative_base"),
        *("kallsyms_seqs_of_names", "kallsyms_token_table", "kallsyms_num_syms", "_SDA_BASE_", "_SDA2_BASE_"),
        *("$x", ".Lx", ".LBBx", ".LASANPCx", "__crc_x", "__kstrtab_x", "__kstrtabns_x", "__efistub_x"),
        *("__kvm_nvhe_$x", "__kvm_nvhe_.Lx", "__kvm_nvhe_x", "__pi_$x", "__pi_x", "__kcfi_typeid_x"),
        *("__AArch64ADRPThunk_x", "__ARMV5PILongThunk_x", "__LA25Thunk_x", "__microLA25Thunk_x"),
        *("x_from_arm", "x_from_thumb", "x_veneer", "x.long_branch.y", "x.plt_branch.y", "L0\x01"),
        *("__mod_device_table__x", "__UNIQUE_ID_modinfo_7", "__initcall__x", "__initdone__x", "_text_x"),
    )
    kept = ("__kernel_syscall_via_break", "__kernel_syscall_via_epc", "__kernel_sigtramp", "__gp")
    lines = [_line(_BASE, "T", "_text")]
    lines += [_line(_BASE + 16 * number, "t", name) for number, name in enumerate(names)]
    lines += [_line(_BASE + 0x2000, letter, name) for name in kept for letter in "Aa"]
    return b"".join(lines)
