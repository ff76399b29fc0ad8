# SPDX-License-Identifier: GPL-2.0-only
"""A build that does not name its dialect gets that of its tree."""

from collections.abc import Callable

import pytest

from tests.client.conftest import MAP, Kallsyms
from tests.reference import tool

Source = Callable[..., bytes]


def expect(dialect: str, *options: str) -> bytes:
    return tool.run(dialect, options, MAP).stdout


@pytest.mark.parametrize(("place", "srctree"), [("linux", "../linux"), ("source", None), (".", None)])
def test_the_trees_own_source_decides(
    kallsyms: Kallsyms, source: Source, place: str, srctree: str | None
) -> None:
    if srctree:
        kallsyms.environment["srctree"] = srctree
        kallsyms.write("source/scripts/kallsyms.c", source("v6.11"))  # srctree comes first
        place = f"../{place}"
    kallsyms.write(f"{place}/scripts/kallsyms.c", source("v6.1.y"))
    run = kallsyms("--all-symbols", "in.map")
    assert (run.status, run.err) == (0, b"")
    assert run.out == expect("v6.1.y", "all-symbols")


def test_an_option_that_the_trees_tool_lacks_is_refused(kallsyms: Kallsyms, source: Source) -> None:
    kallsyms.write("scripts/kallsyms.c", source("v6.11"))
    run = kallsyms("--lto-clang", "in.map")
    assert (run.status, run.out) == (1, b"")
    assert run.err == (
        b"kallsyms: unrecognized option '--lto-clang'\n"
        b"Usage: kallsyms [--all-symbols] [--absolute-percpu] in.map > out.S\n"
    )


def test_another_ksym_name_len_is_that_of_the_tables(kallsyms: Kallsyms, source: Source) -> None:
    text = source("v6.11").replace(b"KSYM_NAME_LEN\t\t512\n", b"KSYM_NAME_LEN\t\t1024\n")
    assert text != source("v6.11")
    kallsyms.write("scripts/kallsyms.c", text)
    long = b"ffffffff81000040 t " + b"n" * 600 + b"\n"
    kallsyms.write("in.map", MAP + long + b"ffffffff81000050 t " + b"n" * 1024 + b"\n")
    run = kallsyms("--all-symbols", "in.map")
    assert run.status == 0
    assert run.err.startswith(b"Symbol nnn")
    assert b" too long for kallsyms (1024 >= 1024).\n" in run.err
    assert run.out.count(b"n" * 600 + b" */") == 3  # names, offsets, sequence numbers
    assert b"n" * 1000 not in run.out


@pytest.mark.parametrize(
    ("option", "newest"),
    [
        ("all-symbols", "v7.3"),
        ("absolute-percpu", "v6.11"),
        ("lto-clang", "v6.10"),
        ("base-relative", "v6.10"),
    ],
)
def test_without_a_source_the_newest_that_takes_the_options_is_taken(
    kallsyms: Kallsyms, option: str, newest: str
) -> None:
    run = kallsyms(f"--{option}", "in.map")
    assert (run.status, run.out) == (0, expect(newest, option))
    assert run.err.startswith(b"kallsyms: warning: no scripts/kallsyms.c in $srctree, ./source or .")
    assert b"; using dialect %b, the newest that fits; set --dialect" % newest.encode() in run.err
    assert run.err.count(b"\n") == 1


def test_a_source_that_nobody_knows_is_named_in_the_warning(kallsyms: Kallsyms) -> None:
    kallsyms.write("source/scripts/kallsyms.c", b"int main(void) { return 0; }")
    run = kallsyms("in.map")
    assert (run.status, run.out) == (0, expect("v7.3"))
    assert run.err.startswith(b"kallsyms: warning: source/scripts/kallsyms.c is not recognized")


@pytest.mark.parametrize(
    "change",
    [
        (b"(i & 0xFF) == 0", b"(i & 0x7F) == 0"),
        (b'output_label("kallsyms_markers")', b'output_label("kallsyms_marks")'),
        (b"KSYM_NAME_LEN\t\t512\n", b"KSYM_NAME_LEN\t\t0512\n"),
        (b"KSYM_NAME_LEN\t\t512\n", b"KSYM_NAME_LEN\t\t100000\n"),
        (b"KSYM_NAME_LEN\t\t512\n", b"KSYM_NAME_LEN\t\t(512)\n"),
        (b"static int all_symbols;", b"static int all_symbols = 1;"),
    ],
)
def test_a_source_with_one_change_is_not_known(
    kallsyms: Kallsyms, source: Source, change: tuple[bytes, bytes]
) -> None:
    text = source("v6.11").replace(*change)
    assert text != source("v6.11")
    kallsyms.write("scripts/kallsyms.c", text)
    assert b"scripts/kallsyms.c is not recognized" in kallsyms("in.map").err


def test_a_wrong_command_line_gets_usage_and_no_warning(kallsyms: Kallsyms) -> None:
    run = kallsyms("--nope", "in.map")
    assert run.status == 1
    assert run.err == (
        b"kallsyms: unrecognized option '--nope'\nUsage: kallsyms [--all-symbols] in.map > out.S\n"
    )
    assert kallsyms().err == b"Usage: kallsyms [--all-symbols] in.map > out.S\n"


def test_the_environment_names_a_dialect_and_the_option_another(kallsyms: Kallsyms, source: Source) -> None:
    kallsyms.write("scripts/kallsyms.c", source("v6.11"))
    kallsyms.environment["KALLSYMSD_DIALECT"] = "v6.1.y"
    assert kallsyms("--all-symbols", "in.map").out == expect("v6.1.y", "all-symbols")
    assert kallsyms("--all-symbols", "--dialect=6.13", "in.map").out == expect("v6.11", "all-symbols")
    kallsyms.environment["KALLSYMSD_DIALECT"] = ""
    assert kallsyms("--all-symbols", "in.map").out == expect("v6.11", "all-symbols")


@pytest.mark.parametrize("name", ["v6.11+KSYM_NAME_LEN=1024", "v6.1.y+KSYM_NAME_LEN=8192", "v6.11"])
def test_a_dialect_with_another_ksym_name_len(kallsyms: Kallsyms, name: str) -> None:
    assert kallsyms("--all-symbols", "--dialect", name, "in.map").out == expect(
        name.partition("+")[0], "all-symbols"
    )


@pytest.mark.parametrize(
    "name",
    [
        *("v6.11+KSYM_NAME_LEN=", "v6.11+KSYM_NAME_LEN=512", "v6.11+KSYM_NAME_LEN=01024"),
        *(
            "v6.11+KSYM_NAME_LEN=127",
            "v6.11+KSYM_NAME_LEN=8193",
            "v6.11+KSYM_NAME_LEN=-1024",
            "+KSYM_NAME_LEN=600",
        ),
        "6.12+KSYM_NAME_LEN=1024",
    ],
)
def test_a_ksym_name_len_that_cannot_be(kallsyms: Kallsyms, name: str) -> None:
    run = kallsyms("--dialect", name, "in.map")
    assert (run.status, run.out) == (1, b"")
    assert run.err.startswith(b"kallsyms: --dialect: no dialect '")


@pytest.mark.parametrize("name", ["v5.10", "v7.5", "D6", "", "\xe9", "v6." + "1" * 5000])
def test_an_unknown_dialect_is_an_error_that_lists_the_known_ones(kallsyms: Kallsyms, name: str) -> None:
    run = kallsyms("--dialect", name, "in.map")
    assert (run.status, run.out) == (1, b"")
    assert run.err.startswith(b"kallsyms: --dialect: no dialect '%b', there are v6.1, " % name.encode())
    assert run.err.count(b"\n") == 1


def test_four_files_mean_the_mail_of_2024_unless_another_is_named(kallsyms: Kallsyms) -> None:
    kallsyms.write("scripts/kallsyms.c", b"unknown")
    files = ("vmlinux", "in.map", "out.S", "out.bin")
    assert kallsyms("--format=asm", "--lto-clang", "--all-symbols", *files).status == 0
    assert (kallsyms.here / "out.S").read_bytes() == expect("mail-2024", "lto-clang", "all-symbols")
    run = kallsyms("--dialect=v6.1.y", "--format=asm", "--base-relative", "--all-symbols", *files)
    assert run.status == 0
    assert (kallsyms.here / "out.S").read_bytes() == expect("v6.1.y", "base-relative", "all-symbols")
