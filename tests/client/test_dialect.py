# SPDX-License-Identifier: GPL-2.0-only
"""A build that does not name its dialect gets that of its tree."""

import pytest

from tests.client.conftest import MAP, Kallsyms
from tests.reference import tool

# Parts of scripts/kallsyms.c as kernels have them, cut down to what tells them apart.
V6_1_Y = b"""
static bool is_ignored_symbol(const char *name, char type) { "kallsyms_seqs_of_names", }
strstr(s, ".llvm."); {"base-relative", no_argument, &base_relative, 1},
"""
V6_12 = b"""
{"all-symbols",     no_argument, &all_symbols,     1},
{"absolute-percpu", no_argument, &absolute_percpu, 1},
"""
V6_15 = b'{"all-symbols",     no_argument, &all_symbols,     1},\n'


def expect(dialect: str, *options: str) -> bytes:
    return tool.run(dialect, options, MAP).stdout


@pytest.mark.parametrize(("place", "srctree"), [("linux", "../linux"), ("source", None), (".", None)])
def test_the_trees_own_source_decides(kallsyms: Kallsyms, place: str, srctree: str | None) -> None:
    if srctree:
        kallsyms.environment["srctree"] = srctree
        kallsyms.write("source/scripts/kallsyms.c", V6_15)  # srctree comes first
        place = f"../{place}"
    kallsyms.write(f"{place}/scripts/kallsyms.c", V6_1_Y)
    run = kallsyms("--all-symbols", "in.map")
    assert (run.status, run.err) == (0, b"")
    assert run.out == expect("v6.1.y", "all-symbols")


def test_an_option_that_the_trees_tool_lacks_is_refused(kallsyms: Kallsyms) -> None:
    kallsyms.write("scripts/kallsyms.c", V6_15)
    run = kallsyms("--absolute-percpu", "in.map")
    assert (run.status, run.out) == (1, b"")
    assert run.err == (
        b"kallsyms: unrecognized option '--absolute-percpu'\nUsage: kallsyms [--all-symbols] in.map > out.S\n"
    )


@pytest.mark.parametrize(
    ("option", "newest"),
    [
        ("all-symbols", "v7.3"),
        ("absolute-percpu", "v6.11"),
        ("lto-clang", "v6.10"),
        ("base-relative", "v6.6"),
    ],
)
def test_without_a_source_the_newest_that_takes_the_options_is_taken(
    kallsyms: Kallsyms, option: str, newest: str
) -> None:
    run = kallsyms(f"--{option}", "in.map")
    assert (run.status, run.out) == (0, expect(newest, option))
    assert run.err.startswith(b"kallsyms: warning: no scripts/kallsyms.c in $srctree, source or .")
    assert b"%b; name one: --dialect or KALLSYMSD_DIALECT\n" % newest.encode() in run.err
    assert run.err.count(b"\n") == 1


def test_a_source_that_nobody_knows_is_named_in_the_warning(kallsyms: Kallsyms) -> None:
    kallsyms.write("source/scripts/kallsyms.c", b"int main(void) { return 0; }")
    run = kallsyms("in.map")
    assert (run.status, run.out) == (0, expect("v7.3"))
    assert run.err.startswith(b"kallsyms: warning: source/scripts/kallsyms.c is of no known dialect")


def test_a_wrong_command_line_gets_usage_and_no_warning(kallsyms: Kallsyms) -> None:
    run = kallsyms("--nope", "in.map")
    assert run.status == 1
    assert run.err == (
        b"kallsyms: unrecognized option '--nope'\nUsage: kallsyms [--all-symbols] in.map > out.S\n"
    )
    assert kallsyms().err == b"Usage: kallsyms [--all-symbols] in.map > out.S\n"


def test_the_environment_names_a_dialect_and_the_option_another(kallsyms: Kallsyms) -> None:
    kallsyms.write("scripts/kallsyms.c", V6_12)
    kallsyms.environment["KALLSYMSD_DIALECT"] = "v6.1.y"
    assert kallsyms("--all-symbols", "in.map").out == expect("v6.1.y", "all-symbols")
    assert kallsyms("--all-symbols", "--dialect=6.13", "in.map").out == expect("v6.11", "all-symbols")
    kallsyms.environment["KALLSYMSD_DIALECT"] = ""
    assert kallsyms("--all-symbols", "in.map").out == expect("v6.11", "all-symbols")


@pytest.mark.parametrize("name", ["v5.10", "v7.5", "D6", "", "\xe9", "v6." + "1" * 5000])
def test_an_unknown_dialect_is_an_error_that_lists_the_known_ones(kallsyms: Kallsyms, name: str) -> None:
    run = kallsyms("--dialect", name, "in.map")
    assert (run.status, run.out) == (1, b"")
    assert run.err.startswith(b"kallsyms: --dialect: no dialect '%b', there are v6.1, " % name.encode())
    assert run.err.count(b"\n") == 1


def test_four_files_mean_the_mail_of_2024_unless_another_is_named(kallsyms: Kallsyms) -> None:
    kallsyms.write("scripts/kallsyms.c", V6_15)
    files = ("vmlinux", "in.map", "out.S", "out.bin")
    assert kallsyms("--format=asm", "--lto-clang", "--all-symbols", *files).status == 0
    assert (kallsyms.here / "out.S").read_bytes() == expect("mail-2024", "lto-clang", "all-symbols")
    run = kallsyms("--dialect=v6.1.y", "--format=asm", "--base-relative", "--all-symbols", *files)
    assert run.status == 0
    assert (kallsyms.here / "out.S").read_bytes() == expect("v6.1.y", "base-relative", "all-symbols")
