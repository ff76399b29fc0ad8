# SPDX-License-Identifier: GPL-2.0-only
"""The names and letters predicted are those of the map that nm and mksysmap make of the next link."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kallsymsd.core.dialects import BY_NAME
from kallsymsd.elf.elffile import ElfFile
from kallsymsd.onelink import inputs, prediction
from kallsymsd.onelink.inputs import Classes, Inputs
from kallsymsd.onelink.prediction import UnpredictableError, name_filter, predict
from tests.kbuild.onelink.program import (
    ABSOLUTE,
    BASE,
    BINDINGS,
    SECTIONS,
    TYPES,
    Program,
    Symbol,
    link,
    why_not,
)
from tests.onelink.machines import call
from tests.reference.mksysmap import SCRIPTS

_RULES = SCRIPTS["v6.11"]
_IS_DROPPED = name_filter(BY_NAME["v6.11"])


@pytest.fixture(scope="module", autouse=True)
def _programs(unavailable: Callable[[str], NoReturn]) -> None:
    if reason := why_not():
        unavailable(reason)


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("link")


def read(directory: Path, classes: Classes) -> Inputs:
    """The symbols of what the linker would read now."""
    names = [name for name in ("vmlinux.o", ".vmlinux.export.o") if (directory / name).exists()]
    files = [ElfFile.read((directory / name).read_bytes()) for name in names]
    return Inputs(tuple(inputs.read(file, classes) for file in files), classes)


def names(map_text: bytes) -> list[bytes]:
    """Letters and names of a map, in an order of their own."""
    return sorted(line.split(b" ", 1)[1] for line in map_text.splitlines())


def predict_and_link(directory: Path, before: Program, after: Program) -> tuple[bytes, bytes]:
    """The map predicted of ``after`` when ``before`` was linked last; and that of the real link."""
    old_map = before.map(directory, _RULES)
    old = read(directory, Classes())
    new_map = after.map(directory, _RULES)
    new = read(directory, old.classes)
    made = predict(old, old_map, new, _IS_DROPPED)
    lines = len(old_map.splitlines()) - made.removed + made.added
    assert len(made.text.splitlines()) == lines
    return made.text, new_map


_EDITS = {
    "nothing": BASE,
    "a static function": BASE.with_symbols(Symbol("added")),
    "a global function": BASE.with_symbols(Symbol("added", binding="globl")),
    "a weak variable": BASE.with_symbols(Symbol("added", ".data", "weak", "object")),
    "a per-cpu variable": BASE.with_symbols(Symbol("added", ".data..percpu", type="object")),
    "renamed": BASE.without("text_local_function_0").with_symbols(Symbol("text_renamed")),
    "of another type": BASE.without("data_local_object_0").with_symbols(
        Symbol("data_local_object_0", ".rodata", "globl", "object")
    ),
    "a name once more": BASE.with_symbols(Symbol("text_local_function_0", ".init.text"), file=1),
    "all of one name gone": BASE.without("state"),
    "one name less": BASE.without("__func__.2").with_symbols(Symbol("__func__.2", ".rodata", type="object")),
    "suffixes renumbered": BASE.without("__func__.0", "__func__.1", "__func__.2").with_symbols(
        *(Symbol(f"__func__.{number}", ".rodata", type="object") for number in range(7, 11))
    ),
    "moved to the other file": BASE.without("text_local_function_0").with_symbols(
        Symbol("text_local_function_0"), file=1
    ),
    "absolute": BASE.with_symbols(Symbol("at", ABSOLUTE, "globl"), Symbol("local_at", ABSOLUTE)),
    "exported": BASE.exporting("kfree", "printk"),
    "discarded": BASE.with_symbols(Symbol("no_more", ".exitcall.exit"), Symbol("x", ".discard.addressable")),
    "names that no map has": BASE.with_symbols(
        Symbol("__crc_x", binding="globl"), Symbol("__kstrtab_x"), Symbol("__ARMV7PILongThunk_x")
    ),
    "many at once": BASE.without(*(symbol.name for symbol in BASE.files[0][:80])).with_symbols(
        *(Symbol(f"many_{number}", [*SECTIONS][number % len(SECTIONS)]) for number in range(200))
    ),
}


@pytest.mark.parametrize("edit", _EDITS)
def test_an_edit(directory: Path, edit: str) -> None:
    predicted, linked = predict_and_link(directory, BASE, _EDITS[edit])
    assert names(predicted) == names(linked)
    # The map does tell such edits apart, or the comparison would be worth nothing.
    unchanged = ("nothing", "moved to the other file", "discarded", "names that no map has")
    assert (names(linked) == names(BASE.map(directory, _RULES))) == (edit in unchanged)


_LOCAL_NAMES = ("__func__.0", "__func__.7", "init_once", "state", "a", "b", "c", "CSWTCH.12")


def _symbols(file: int) -> st.SearchStrategy[tuple[Symbol, ...]]:
    """Symbols that a file may have beside those of BASE."""
    place = st.tuples(st.sampled_from([*SECTIONS, ABSOLUTE]), st.sampled_from(TYPES), st.integers(1, 40))
    local = st.tuples(st.sampled_from(_LOCAL_NAMES), place).map(
        lambda each: Symbol(each[0], each[1][0], "local", each[1][1], each[1][2])
    )
    shared = st.tuples(st.integers(0, 20), st.sampled_from(BINDINGS[1:]), place).map(
        lambda each: Symbol(f"shared_{file}_{each[0]}", each[2][0], each[1], each[2][1], each[2][2])
    )
    taken = {symbol.name for symbol in BASE.files[file]}
    return st.lists(st.one_of(local, shared), max_size=30, unique_by=lambda symbol: symbol.name).map(
        lambda symbols: tuple(symbol for symbol in symbols if symbol.name not in taken)
    )


_STATES = st.tuples(_symbols(0), _symbols(1), st.lists(st.sampled_from("abcdef"), unique=True)).map(
    lambda state: (
        BASE.with_symbols(*state[0])
        .with_symbols(*state[1], file=1)
        .exporting("kmalloc", *(f"exported_{name}" for name in state[2]))
    )
)


@settings(max_examples=max(10, settings().max_examples // 10))
@given(before=_STATES, after=_STATES)
def test_any_edit_of_known_classes(directory: Path, before: Program, after: Program) -> None:
    predicted, linked = predict_and_link(directory, before, after)
    assert names(predicted) == names(linked)


def test_a_class_that_was_not_there(directory: Path) -> None:
    gone = [symbol.name for file in BASE.files for symbol in file if symbol.section == ".init.text"]
    with pytest.raises(UnpredictableError, match=r"no symbol like fresh in section \.init\.text"):
        predict_and_link(
            directory, BASE.without(*gone), BASE.without(*gone).with_symbols(Symbol("fresh", ".init.text"))
        )


def test_an_input_file_more(directory: Path) -> None:
    with pytest.raises(UnpredictableError, match="2 input files instead of 1"):
        predict_and_link(directory, Program(BASE.files, None), BASE)


def test_too_many_changes(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prediction, "MOST_CHANGED", 19)
    twenty = BASE.with_symbols(*(Symbol(f"new_{number}") for number in range(20)))
    with pytest.raises(UnpredictableError, match="20 symbols of the linker's inputs were removed or added"):
        predict_and_link(directory, BASE, twenty)


def test_what_only_the_linker_knows_is_predicted_wrong(directory: Path) -> None:
    # The linker script defines it too, and wins. This is why predictions are compared.
    predicted, linked = predict_and_link(
        directory, BASE, BASE.with_symbols(Symbol("_sinittext", binding="globl"))
    )
    assert names(predicted) == sorted([*names(linked), b"T _sinittext"])


# As gcc compiles kernels: names of static variables in functions get numbers, which an edit changes.
_C = """
extern void report(const char *, int);
#define EXPORT(name) extern __typeof__(name) name; \\
    static const void *const __ksymtab_##name __attribute__((used, section("___ksymtab+" #name))) = &name
__attribute__((section(".data..percpu"))) int counter;
static int in_use __attribute__((used));
static const int limits[] __attribute__((used)) = {{1, 2, 3}};
__attribute__((weak)) int hook(int x) {{ return x; }}
static __attribute__((noinline)) int first(int x)
{{
    static int calls;
    report(__func__, ++calls);
    return x * in_use;
}}
{functions}
int init_{file}(int x)
{{
    static int calls;
    report(__func__, ++calls);
    return hook(first(x)) + counter {calls};
}}
EXPORT(init_{file});
"""
_FUNCTION = """
static __attribute__((noinline)) int {0}(int x)
{{
    static int calls, more;
    report(__func__, calls += more++);
    return x;
}}
"""


def test_compiled_programs(directory: Path, unavailable: Callable[[str], NoReturn]) -> None:
    compiler = "x86_64-linux-gnu-gcc"
    if not shutil.which(compiler):
        unavailable(f"no {compiler} (Debian: apt install gcc)")

    def put(*functions: str) -> bytes:
        for file in ("a", "b"):
            source = directory / f"{file}.c"
            extra = functions if file == "a" else ()
            text = _C.format(
                file=file,
                functions="".join(_FUNCTION.format(name) for name in extra),
                calls="".join(f" + {name}(x)" for name in extra),
            )
            # Only one file may have what is global in both.
            source.write_text(text if file == "a" else text.replace("int counter;", "extern int counter;"))
            flags = [
                "-O2",
                "-ffreestanding",
                "-fno-pic",
                "-mcmodel=kernel",
                "-fno-asynchronous-unwind-tables",
            ]
            call([compiler, *flags, "-c", source.name], directory)
        (directory / "report.s").write_text("\t.globl report\n\t.type report, @function\nreport:\tret\n")
        call(["x86_64-linux-gnu-as", "-o", "report.o", "report.s"], directory)
        objects = ["a.o", "b.o", "report.o"]
        call(["x86_64-linux-gnu-ld", "-r", "-o", "vmlinux.o", *objects], directory)
        (directory / ".vmlinux.export.o").unlink(missing_ok=True)
        return link(directory, ["vmlinux.o"], _RULES)

    old_map = put("second")
    old = read(directory, Classes())
    for functions in (
        ["second"],
        ["another", "second"],
        ["third"],
        [f"many_{number}" for number in range(30)],
        [],
    ):
        new_map = put(*functions)
        made = predict(old, old_map, read(directory, old.classes), _IS_DROPPED)
        assert names(made.text) == names(new_map)
    assert any(b"calls.1" in line for line in names(old_map))
