# SPDX-License-Identifier: GPL-2.0-only
"""The public interface: what build() makes is what the kernel's own tool makes, and read() reads it back."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import kallsymsd
from kallsymsd.core import assembly
from kallsymsd.elf import tablereader
from tests.maps import RealMap
from tests.onelink.conftest import Build, Case, build  # noqa: F401  a fixture
from tests.onelink.test_relink import CASES
from tests.reference.forms import FORMS
from tests.reference.reader import SystemMap
from tests.reference.tool import run, table_symbols

MAP = b"ffffffff81000000 T _stext\nffffffff81000010 t do_one_initcall\nffffffff81001000 T _etext\n"


@pytest.mark.oracle
@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_tables_of_a_stock_build_are_read_back(
    case: Case,
    build: Build,  # noqa: F811  the fixture
) -> None:
    # Linked with the tables that the kernel's own tool has made, and nm's map is what they must hold.
    built = build(case)
    configuration = case.configuration
    map_text = configuration.map(case.kernel.machine, built.stock)
    expected = table_symbols(FORMS[configuration.dialect.name], configuration.options, map_text, SystemMap())
    assert [(each.address, each.type.encode(), each.name) for each in kallsymsd.read(built.stock)] == [
        (each.address, each.type, each.name) for each in expected
    ]


def test_a_map_by_its_path_and_by_its_contents(tmp_path: Path) -> None:
    path = tmp_path / "System.map"
    path.write_bytes(MAP)
    expected = run("v6.11", ["all-symbols"], MAP).stdout
    for source in (MAP, path, str(path)):
        assert assembly.plain(kallsymsd.build(source, dialect="v6.12")) == expected


def test_what_the_tool_refuses_is_an_error() -> None:
    with pytest.raises(kallsymsd.InputError):
        kallsymsd.build(b"", dialect="v6.1")
    with pytest.raises(ValueError, match=r"no dialect 'v5\.0'"):
        kallsymsd.build(MAP, dialect="v5.0")
    with pytest.raises(ValueError, match="has no option 'pc-relative'"):
        kallsymsd.build(MAP, dialect="v6.12", options=["pc-relative"])


@pytest.mark.parametrize("cut", ["names", "token_index", "token_table"])
def test_tables_that_end_too_early(cut: str) -> None:
    target = kallsymsd.Target(64, big_endian=True)
    tables = kallsymsd.build(MAP, dialect="v6.12")
    encoded = tables.encode(target)
    assert [name for _, name in tablereader.read_names(encoded, 3, target)] == [
        b"_stext",
        b"do_one_initcall",
        b"_etext",
    ]
    encoded[cut] = encoded[cut][:5]
    with pytest.raises(kallsymsd.InputError, match="damaged kallsyms tables"):
        tablereader.read_names(encoded, 3, target)


def test_a_file_without_tables(tmp_path: Path) -> None:
    source = tmp_path / "a.c"
    source.write_text("int main(void) { return 0; }\n")
    subprocess.run(["gcc", "-c", "-o", tmp_path / "a.o", source], check=True)
    with pytest.raises(kallsymsd.InputError, match="no kallsyms tables"):
        kallsymsd.read(tmp_path / "a.o")
    with pytest.raises(kallsymsd.InputError, match="not an ELF file"):
        kallsymsd.read(MAP)


def test_the_names_of_a_real_kernel(real_map: RealMap) -> None:
    text = real_map.path.read_bytes()
    target = kallsymsd.Target(64, big_endian=False)
    tables = kallsymsd.build(real_map.path, dialect=real_map.dialect, options=real_map.options)
    names = tablereader.read_names(tables.encode(target), tables.num_syms, target)
    expected = table_symbols(FORMS[real_map.dialect], real_map.options, text, SystemMap())
    assert [(kind.encode(), name) for kind, name in names] == [(each.type, each.name) for each in expected]


@pytest.mark.oracle
def test_the_example_of_the_documentation(
    build: Build,  # noqa: F811  the fixture
    tmp_path: Path,
) -> None:
    page = (Path(__file__).parents[1] / "docs/library.md").read_text()
    (example,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    case = next(case for case in CASES if str(case).startswith("x86_64 v6.11 all-symbols ld "))
    stock = build(case).stock
    map_text = case.configuration.map(case.kernel.machine, stock)
    (tmp_path / "vmlinux").symlink_to(stock)
    (tmp_path / "System.map").write_bytes(map_text)
    path = os.pathsep.join(sys.path)
    done = subprocess.run(
        [sys.executable, "-c", example],
        cwd=tmp_path,
        env={"PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    said, _, *shown = done.stdout.splitlines()
    lines = map_text.decode().splitlines()
    assert said.startswith(f"{len(lines)} symbols, ")
    assert len(shown) == 3
    assert {line.lstrip("0") for line in lines} >= set(shown)
    for name in kallsymsd.__all__:
        assert f"`{name}" in page


def test_importing_the_package_loads_nothing() -> None:
    program = "import sys; before = set(sys.modules); import kallsymsd; print(*(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["kallsymsd"]
    assert set(kallsymsd.__all__) <= set(dir(kallsymsd))
    for name in kallsymsd.__all__:
        assert getattr(kallsymsd, name) is not None
    with pytest.raises(AttributeError):
        getattr(kallsymsd, "nothing")  # noqa: B009  not known to mypy
