# SPDX-License-Identifier: GPL-2.0-only
"""The command line is read as the kernel's own tools read it."""

import tomllib

import pytest

from kallsyms_client.options import UsageError, resolve, split
from kallsymsd.core.dialects import ABSOLUTE_PERCPU, ALL_SYMBOLS, BY_NAME, PC_RELATIVE
from kallsymsd.protocol.wire import ASM, INCBIN
from tests.client.conftest import Kallsyms
from tests.oracles import ROOT, Oracle

LINES = [
    "",
    "--a in.map",
    "--all-symbol",
    "--x in.map",
    "--all-symbols=1 in.map",
    "--all-symbols= in.map",
    "--=x in.map",
    "-x in.map",
    "-xy in.map",
    "-all in.map",
    "---all-symbols in.map",
    "in.map --zzz=4",
    "--a=3 in.map",
    "--b",
    "-\xe9 in.map",
    "-",
    "-- --all-symbols",
    "missing.map",
    "--all missing.map --nope",
    "in.map --all-symbols -- --nope",
    "in.map extra more",
]


@pytest.mark.oracle
@pytest.mark.parametrize("line", LINES)
def test_messages_and_status_are_those_of_the_kernels_tool(
    kallsyms: Kallsyms, oracle: Oracle, line: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(kallsyms.here)
    arguments = line.split()
    theirs = oracle.run_command(arguments)
    ours = kallsyms(f"--dialect={oracle.dialect}", *arguments, name=str(oracle.tool))
    assert (ours.status, ours.out) == (theirs.status, theirs.stdout)
    if theirs.stderr == b"No valid symbol.\n":  # ours goes on to say where
        assert ours.err.startswith(b"No valid symbol.")
    else:
        assert ours.err == theirs.stderr


@pytest.mark.oracle
def test_posixly_correct_ends_the_options_at_the_first_file(
    kallsyms: Kallsyms, oracle: Oracle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(kallsyms.here)
    kallsyms.environment["POSIXLY_CORRECT"] = "1"
    ours = kallsyms(f"--dialect={oracle.dialect}", "--all-symbols", "in.map", "--nope")
    theirs = oracle.run_command(["--all-symbols", "in.map"])
    assert (ours.status, ours.out, ours.err) == (0, theirs.stdout, b"")


def test_v6_15_refuses_absolute_percpu(kallsyms: Kallsyms) -> None:
    run = kallsyms("--dialect", "v6.15", "--absolute-percpu", "in.map", name="scripts/kallsyms")
    assert run.status == 1
    assert run.err == (
        b"scripts/kallsyms: unrecognized option '--absolute-percpu'\n"
        b"Usage: kallsyms [--all-symbols] in.map > out.S\n"
    )


@pytest.mark.parametrize("own", [b"--64bit", b"--big-endian", b"--debug", b"--help", b"--version", b"-v"])
def test_own_options_are_known_in_full_and_apart_from_the_kernels(own: bytes) -> None:
    assert split([own, b"in.map"]).unresolved == []
    if own.startswith(b"--"):
        assert split([own[:-1], b"in.map"]).unresolved == [own[:-1]]


def test_own_options_do_not_make_an_abbreviation_ambiguous() -> None:
    # --debug, --dialect; --format and --big-endian beside none of the kernel's own.
    assert resolve([b"--a"], BY_NAME["v6.15"]) == ALL_SYMBOLS
    assert resolve([b"--p"], BY_NAME["v7.0"]) == PC_RELATIVE
    with pytest.raises(UsageError, match="unrecognized option '--d'"):
        resolve([b"--d"], BY_NAME["v6.15"])


def test_options_may_stand_after_files_and_repeat() -> None:
    command = split(
        [b"in.map", b"--all-symbols", b"--format", b"asm", b"--abs", b"--all-symbols", b"--64bit"]
    )
    assert command.positionals == [b"in.map"]
    assert command.form == ASM
    assert command.flags == {b"64bit"}
    assert resolve(command.unresolved, BY_NAME["v6.11"]) == ALL_SYMBOLS | ABSOLUTE_PERCPU


def test_a_value_is_the_next_argument_or_follows_an_equals_sign() -> None:
    assert split([b"--dialect", b"--", b"--format=incbin"]).dialect == b"--"
    assert split([b"--dialect=v6.1", b"--format=incbin"]).form == INCBIN


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["in.map", "--dialect"], "option '--dialect' requires an argument"),
        (["in.map", "--format"], "option '--format' requires an argument"),
        (["--format=elf", "in.map"], "option '--format' takes 'incbin' or 'asm', not 'elf'"),
        (["--64bit=1", "in.map"], "option '--64bit' doesn't allow an argument"),
        (["-vvx", "in.map"], "invalid option -- 'x'"),
    ],
)
def test_own_options_used_wrongly_end_with_usage(
    kallsyms: Kallsyms, arguments: list[str], message: str
) -> None:
    kallsyms.environment["KALLSYMSD_DIALECT"] = "v6.11"
    run = kallsyms(*arguments)
    usage = "Usage: kallsyms [--all-symbols] [--absolute-percpu] in.map > out.S\n"
    assert (run.status, run.out) == (1, b"")
    assert run.err.decode() == f"kallsyms: {message}\n{usage}"


@pytest.mark.parametrize("files", [1, 2, 3, 5])
def test_mail_2024_takes_four_files_and_no_other_number(kallsyms: Kallsyms, files: int) -> None:
    run = kallsyms("--dialect=mail-2024", *["in.map"] * files)
    assert (run.status, run.out) == (1, b"")
    assert run.err == (
        b"Usage: kallsyms [--all-symbols] [--absolute-percpu] [--lto-clang] vmlinux in.map out.S out.bin\n"
    )


def test_help_names_every_option_and_dialect_and_fits_a_terminal(kallsyms: Kallsyms) -> None:
    run = kallsyms("--help", "--nonsense")
    assert (run.status, run.err) == (0, b"")
    text = run.out.decode()
    for option in ("--dialect=", "--64bit", "--big-endian", "--debug", "--format=", "-v", "--lto-clang"):
        assert option in text
    assert all(name in text for name in BY_NAME)
    assert max(map(len, text.splitlines())) <= 110


def test_version_is_that_of_the_distribution(kallsyms: Kallsyms) -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert kallsyms("--version").out.decode() == f"kallsyms (kallsymsd) {version}\n"
