# SPDX-License-Identifier: GPL-2.0-only
"""kallsymsctl verify: equal is equal, and whatever differs is told."""

import shutil
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import pytest

from kallsymsd.core import assembly, pipeline
from kallsymsd.core.dialects import BY_NAME, OPTION_BITS
from kallsymsd.counters import costs
from kallsymsd.ctl import main
from kallsymsd.ctl.command import CommandError
from kallsymsd.ctl.verification import objects, progress
from kallsymsd.ctl.verification.objects import ObjectFile, Section
from kallsymsd.ctl.verification.progress import Progress
from kallsymsd.ctl.verification.subject import Subject, subject
from kallsymsd.engine.engine import Engine
from tests import oracles
from tests.service.peer import serving

MAP = "".join(f"ffffffff810{i:05x} T function_{i}\n" for i in range(300))
OPTIONS = ("all-symbols", "absolute-percpu")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """An object tree, whose tool prints what it should."""
    tree = tmp_path / "tree"
    (tree / "include" / "config").mkdir(parents=True)
    (tree / "scripts").mkdir()
    config = "CONFIG_64BIT=y\nCONFIG_KALLSYMS_ALL=y\nCONFIG_KALLSYMS_ABSOLUTE_PERCPU=y\nCONFIG_NR=4\n"
    (tree / "include" / "config" / "auto.conf").write_text(config)
    (tree / "System.map").write_text(MAP)
    put_tool(tree, plain())
    return tree


def plain(map_text: str = MAP) -> bytes:
    bits = sum(OPTION_BITS[name] for name in OPTIONS)
    return assembly.plain(pipeline.build(map_text.encode(), BY_NAME["v6.11"], bits))


def put_tool(tree: Path, output: bytes) -> None:
    """A program that prints ``output`` where the kernel's tool was put aside."""
    (tree / "output").write_bytes(output)
    tool = tree / "tool"
    tool.write_text(f'#!/bin/sh\n[ "$#" = 3 ] && exec cat {tree}/output\necho wrong >&2\nexit 1\n')
    tool.chmod(0o755)


def verify(tree: Path, *arguments: str) -> int:
    return main.main(["verify", "--tool", str(tree / "tool"), "--dialect", "v6.12", *arguments, str(tree)])


pytestmark = pytest.mark.skipif(not shutil.which("gcc"), reason="no gcc to assemble with")


def test_what_is_equal_is_said_to_be_and_the_costs_are_kept(
    tree: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert verify(tree) == 0
    captured = capsys.readouterr()
    assert captured.out.endswith("Everything is equal.\n")
    assert "--all-symbols --absolute-percpu" in captured.out
    assert "not running" in captured.out
    assert captured.err == ""
    stock = costs.load(tmp_path / "cache" / "kallsymsd")
    assert stock is not None
    assert stock.symbols == 300
    assert stock.tool > 0 < stock.assembly


def test_the_daemon_is_asked_where_one_runs(
    tree: Path, socket_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with serving(socket_path, lambda: Engine(None)) as daemon:
        assert verify(tree) == 0
        assert "cold: 300 symbols" in capsys.readouterr().out
        # An answer that others have read is as good.
        assert verify(tree) == 0
        captured = capsys.readouterr()
        assert "hit: 300 symbols" in captured.out
        assert captured.err == ""
        stats = daemon.stats()
        assert (stats["requests"], stats["verify_requests"]) == (0, 2)
        assert daemon.server.tally.stock is not None  # it was told the costs


def test_a_daemon_with_another_answer_is_found_out(
    daemon: object, tree: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert daemon  # its core turns maps around, and calls that tables
    assert verify(tree) == 1
    assert "the daemon's answer" in capsys.readouterr().err


def test_the_first_difference_from_the_tool_is_told(
    tree: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    put_tool(tree, plain().replace(b"function_7 ", b"function_8 ", 1))
    assert verify(tree) == 1
    error = capsys.readouterr().err
    assert error.startswith("kallsymsctl: differs: ")
    assert "function_7" in error
    assert len(error.splitlines()) == 1
    assert costs.load(tmp_path / "cache" / "kallsymsd") is None


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--tool", "/nowhere/kallsyms"], "name one with --tool"),
        (["--cc", "/nowhere/gcc"], "name a compiler with --cc"),
        (["--cc", "sh -c 'echo broken >&2; exit 3' sh"], "broken; name the kernel's compiler with --cc"),
        (["--dialect", "v1.0"], "must be a kernel release"),
        (["--option", "pc-relative"], "--option pc-relative: the dialect v6.11 lacks it"),
        (["--option", "all-symbols"], "wrong; name its --dialect and each --option"),
    ],
)
def test_what_is_missing_is_told_with_the_remedy(
    tree: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], text: str
) -> None:
    assert verify(tree, *arguments) == 1
    error = capsys.readouterr().err
    assert text in error
    assert len(error.splitlines()) == 1


def test_a_map_that_the_tool_takes_and_we_do_not_is_a_difference(
    tree: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tree / "System.map").write_text("no map\n")
    assert verify(tree) == 1
    assert "the kernel's own tool accepts the map, kallsymsd rejects it" in capsys.readouterr().err


@pytest.mark.oracle
@pytest.mark.parametrize("dialect", sorted(oracles.SERIES))
def test_the_kernels_own_tool_is_recognised_and_equal(
    dialect: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], unavailable: Callable[[str], NoReturn]
) -> None:
    oracle = oracles.find(dialect)
    if oracle is None:
        unavailable(oracles.missing(dialect))
    (tmp_path / "m").write_text(MAP)
    assert main.main(["verify", "--tool", str(oracle.tool), str(tmp_path / "m")]) == 0
    assert "Everything is equal." in capsys.readouterr().out


# What is verified.


def named(path: Path, **changes: object) -> Subject:
    defaults = {"tool": None, "dialect": "v6.12", "option": None, "big_endian": False, "cc": None}
    return subject(Namespace(subject=path, **{**defaults, **changes}))


def test_a_tool_that_was_put_aside_goes_before_what_stands_in_its_place(tree: Path) -> None:
    for name in ("kallsyms", "kallsyms.orig"):
        (tree / "scripts" / name).write_bytes(b"\x7fELF")
        (tree / "scripts" / name).chmod(0o755)
    assert named(tree).tool.name == "kallsyms.orig"
    (tree / "scripts" / "kallsyms.orig").unlink()
    assert named(tree).tool.name == "kallsyms"


def test_a_script_in_the_tools_place_is_not_the_tool(tree: Path) -> None:
    shutil.copy(tree / "tool", tree / "scripts" / "kallsyms")
    with pytest.raises(CommandError, match="name one with --tool"):
        named(tree)


@pytest.mark.parametrize(
    ("map_text", "config", "target"),
    [
        ("ffffffff81000000 T a\n", "", (64, False)),
        ("c0000000 T a\n", "", (32, False)),
        ("0000000000000000 T a\n", "CONFIG_CPU_BIG_ENDIAN=y\n", (64, True)),
    ],
)
def test_the_target_is_known_from_map_and_configuration(
    tree: Path, map_text: str, config: str, target: tuple[int, bool]
) -> None:
    (tree / "System.map").write_text(map_text)
    (tree / "include" / "config" / "auto.conf").write_text(config)
    made = named(tree, tool=tree / "tool")
    assert (made.bits, made.big_endian) == target


def test_the_dialect_is_that_of_the_trees_source(tree: Path, source: Callable[[str], bytes]) -> None:
    (tree / "source" / "scripts").mkdir(parents=True)
    (tree / "source" / "scripts" / "kallsyms.c").write_bytes(source("v6.1.y"))
    made = named(tree, tool=tree / "tool", dialect=None)
    assert [each.name for each in made.dialects] == ["v6.1.y"]


def test_without_a_source_it_is_what_the_tools_usage_says(tree: Path) -> None:
    usage = BY_NAME["v7.0"].usage.replace("kallsyms", "$0", 1)
    (tree / "tool").write_text(f'#!/bin/sh\necho "{usage.strip()}" >&2\nexit 1\n')
    made = named(tree, tool=tree / "tool", dialect=None)
    assert [each.name for each in made.dialects] == ["v7.3", "v7.0", "v6.15"]
    # Only options that each of them has.
    assert made.options == ["all-symbols"]


# Objects.


def made_object(**changes: object) -> ObjectFile:
    section = Section("SHT_PROGBITS", 2, 4, b"0123456789")
    fields: dict[str, object] = {
        "sections": {".rodata": section},
        "symbols": [("a", 0, 0, "GLOBAL", ".rodata"), ("b", 4, 0, "GLOBAL", ".rodata")],
        "relocations": [(".rodata", 0, 1, "_text", 0)],
    }
    return ObjectFile(**{**fields, **changes})  # type: ignore[arg-type]  # by name


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({}, ""),
        ({"sections": {}}, "section .rodata: only in ours"),
        (
            {"sections": {".rodata": Section("SHT_NOTE", 0, 1, b"0123456789")}},
            "section .rodata: ours SHT_PROGBITS, flags 0x2, alignment 4, theirs SHT_NOTE, flags 0x0, alignm",
        ),
        (
            {"sections": {".rodata": Section("SHT_PROGBITS", 2, 4, b"01234x6789")}},
            "section .rodata + 0x5 (b + 0x1): ours 35 36 37 38 39, theirs 78 36 37 38 39",
        ),
        (
            {"sections": {".rodata": Section("SHT_PROGBITS", 2, 4, b"0123456789a")}},
            "section .rodata + 0xa (b + 0x6): ours its end, theirs 61",
        ),
        ({"symbols": []}, "symbol 0: ours ('a', 0, 0, 'GLOBAL', '.rodata'), theirs none"),
        ({"relocations": []}, "relocation 0: ours ('.rodata', 0, 1, '_text', 0), theirs none"),
    ],
)
def test_the_first_difference_of_objects_is_told(changes: dict[str, object], text: str) -> None:
    told = objects.difference(made_object(), made_object(**changes))
    assert told.startswith(text) if text else told == ""


def test_what_is_no_object_is_one_line() -> None:
    with pytest.raises(CommandError, match="no ELF object"):
        objects.read(b"no object")


# Progress.


def test_what_is_done_at_once_is_done_silently(capsys: pytest.CaptureFixture[str]) -> None:
    with Progress() as made:
        made.step("one")
        made.step("two")
    assert capsys.readouterr().err == ""


def test_what_takes_long_is_named(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "PATIENCE", 0.0)
    with Progress() as made:
        made._timer.join()
        made.step("one")
        made.step("two")
    assert capsys.readouterr().err == "kallsymsctl: one ...\nkallsymsctl: two ...\n"
