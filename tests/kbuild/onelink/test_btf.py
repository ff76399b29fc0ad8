# SPDX-License-Identifier: GPL-2.0-only
"""With BTF: one link where its size stays the same, two where not, and always what the script itself makes.

pahole is one of our own: like the real one it takes debug information, names of functions and what is in the
per-cpu section, and nothing that depends on where all that is; but it takes no file that has BTF already.
"""

import functools
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests import oracles
from tests.kbuild.onelink.conftest import bring_verdicts
from tests.kbuild.onelink.program import BASE, Program, Symbol
from tests.kbuild.onelink.scripts import BY_NAME
from tests.kbuild.onelink.test_links import right
from tests.kbuild.onelink.tree import CONFIGURATION, Tree, create
from tests.onelink.machines import call

pytestmark = pytest.mark.oracle

_PAHOLE = r"""#!/bin/sh
echo "$*" >>pahole.log
for file; do :; done
if x86_64-linux-gnu-readelf -SW "$file" | grep -q ' \.BTF '; then
	echo >&2 "$file has BTF already"
	exit 1
fi
x86_64-linux-gnu-objcopy --dump-section .debug_info=types "$file" /dev/null
x86_64-linux-gnu-objdump -t "$file" |
	awk '/ F / { print $NF } / O \.data\.\.percpu/ { print $1, $NF }' | sort >>types
eval "${PAHOLE_FAULT:-}"
exec ${LLVM_OBJCOPY} --add-section .BTF=types "$file"
"""
_RESOLVE = """#!/bin/sh
eval "${RESOLVE_FAULT:-}"
echo resolved >>"$1"
"""
Stock = Callable[..., tuple[bytes, bytes]]

_OPTIONS = (*CONFIGURATION, "DEBUG_INFO_BTF", "BPF", "X86")
_LONGER = Symbol("text_local_function_1", size=5000)
_EDITS = {
    "nothing": (BASE, 1),
    "a longer body": (BASE.without(_LONGER.name).with_symbols(_LONGER, file=1), 1),
    "a function more": (BASE.with_symbols(Symbol("added")), 2),
    "renamed": (BASE.with_symbols(Symbol("addee")), 1),
    "no longer": (BASE, 2),
    "a type of the same size": (Program(BASE.files, BASE.exports, "where all it"), 1),
    "a larger type": (Program(BASE.files, BASE.exports, "where all of it is"), 2),
    "a variable more": (
        Program(BASE.files, BASE.exports, "where all of it is").with_symbols(
            Symbol("counter", ".data", "globl", "object")
        ),
        1,
    ),
    "a per-cpu variable more": (
        BASE.with_symbols(Symbol("cpu_number", ".data..percpu", "globl", "object")),
        2,
    ),
    "predicted wrong, too": (BASE.with_symbols(Symbol("_sinittext", binding="globl")), 2),
}


def _typed(directory: Path, kernel: oracles.Oracle, state: Path) -> Tree:
    """A tree with BTF that was never linked, in the state BASE."""
    tree = create(directory, kernel, state)
    script = directory / "vmlinux.lds"
    text = script.read_text()
    ksymtab = "    __ksymtab :"
    assert ksymtab in text
    section = "    .BTF : { __start_BTF = .; *(.BTF) __stop_BTF = .; }\n"
    script.write_text(text.replace(ksymtab, section + ksymtab))
    for name, program in (("mini-pahole", _PAHOLE), ("mini-resolve", _RESOLVE)):
        (directory / "bin" / name).write_text(program)
        (directory / "bin" / name).chmod(0o755)
    tree.environment.update(
        PAHOLE="mini-pahole",
        PAHOLE_FLAGS="-j --btf_features=encode_force,var,float --btf_features=+reproducible_build",
        RESOLVE_BTFIDS="mini-resolve",
        OBJCOPY="x86_64-linux-gnu-objcopy",
    )
    tree.configure(*_OPTIONS)
    tree.put(BASE)
    return tree


def _runs(tree: Tree) -> int:
    """How often pahole was run since this was asked last."""
    log = tree.directory / "pahole.log"
    runs = log.read_text().splitlines() if log.exists() else []
    log.unlink(missing_ok=True)
    return len(runs)


@pytest.fixture(scope="module")
def _linked(tmp_path_factory: pytest.TempPathFactory) -> Callable[[oracles.Oracle], Tree]:
    """A tree of each kernel in which everything was tried, linked once, for others to begin with."""

    @functools.cache
    def linked(kernel: oracles.Oracle) -> Tree:
        directory = tmp_path_factory.mktemp("linked")
        tree = _typed(directory / "tree", kernel, directory)
        tree.try_out()
        tree.clean()
        _runs(tree)
        assert right(tree.link(), 2)
        assert _runs(tree) == 1
        return tree

    return linked


@pytest.fixture
def typed(kernel: oracles.Oracle, _linked: Callable[[oracles.Oracle], Tree], tmp_path: Path) -> Tree:
    """A tree that was never linked."""
    bring_verdicts(_linked(kernel), tmp_path)
    return _typed(tmp_path / "typed", kernel, tmp_path)


@pytest.fixture
def linked(kernel: oracles.Oracle, _linked: Callable[[oracles.Oracle], Tree], tmp_path: Path) -> Tree:
    """A tree that was linked in the state BASE."""
    bring_verdicts(_linked(kernel), tmp_path)
    shutil.copytree(_linked(kernel).directory, tmp_path / "linked")
    return _typed(tmp_path / "linked", kernel, tmp_path)


@pytest.fixture(scope="module")
def _stocks(tmp_path_factory: pytest.TempPathFactory) -> Callable[[oracles.Oracle], Stock]:
    """What the script itself makes, in a tree of its own; each state of the sources once."""

    @functools.cache
    def stock(kernel: oracles.Oracle) -> Stock:
        directory = tmp_path_factory.mktemp("stock")
        tree = _typed(directory / "tree", kernel, directory)

        @functools.cache
        def made(program: Program, fault: str = "") -> tuple[bytes, bytes]:
            tree.put(program)
            done = tree.stock(PAHOLE_FAULT=fault)
            assert done.status == 0, done.err
            assert len(done.links) == (4 if kernel.dialect == "v6.1.y" else 3)
            assert _runs(tree) == 1
            vmlinux, system_map = tree.results()
            assert vmlinux.endswith(b"resolved\n")
            assert b"__start_BTF" in system_map
            return vmlinux, system_map

        return made

    return stock


@pytest.fixture
def stock(kernel: oracles.Oracle, _stocks: Callable[[oracles.Oracle], Stock]) -> Stock:
    """The files vmlinux and System.map of a stock build."""
    return _stocks(kernel)


def test_the_first_build_and_edits(typed: Tree, stock: Stock) -> None:
    assert right(typed.link(), 2)
    assert typed.results() == stock(BASE)
    assert _runs(typed) == 1
    for name, (edit, links) in _EDITS.items():
        typed.put(edit)
        done = typed.link()
        assert right(done, links), (name, done)
        assert typed.results() == stock(edit), name
        assert _runs(typed) == 1
        assert done.own_tool <= 1  # the empty tables of the first link
        outcome = typed.outcome()
        assert outcome.predicted
        assert outcome.reason.startswith("" if links == 1 else ("BTF has ", "kallsyms_")), name


@pytest.mark.parametrize("kernel", ["v6.11"], indirect=True)
def test_a_file_of_another_name(typed: Tree, stock: Stock) -> None:
    (typed.directory / "scripts/link-vmlinux.sh").write_text(BY_NAME)
    typed.made = "vmlinux.unstripped"
    typed.try_out()
    typed.clean()
    for links in (2, 1):
        assert right(typed.link(), links)
        assert typed.results() == stock(BASE)


@pytest.mark.parametrize("kernel", ["v6.11"], indirect=True)
def test_output_of_pahole_that_is_another_each_time(typed: Tree, stock: Stock) -> None:
    # As with -j, where it may put types in any order.
    fault = "head -c 64 /dev/urandom >>types; cp types $srctree/last"
    typed.environment["PAHOLE_FAULT"] = fault
    for number, links in enumerate((2, 1, 1)):
        assert right(typed.link(), links)
        kept = (typed.directory / "last").rename(typed.directory / f"last{number}")
        assert typed.results() == stock(BASE, f"cp {kept} types")


@pytest.mark.parametrize("kernel", ["v6.11"], indirect=True)
@pytest.mark.parametrize(
    ("flags", "fault", "runs", "result"),
    [
        ("-j", "head -c 64 /dev/urandom >>types", 1, "same"),  # it is linked in as it is
        ("-j --btf_features=+reproducible_build", "", 2, "same"),
        ("-j --btf_features=+reproducible_build", "head -c 64 /dev/urandom >>types", 2, "different"),
        ("", "[ -e once ] && echo more >>types; : >once", 2, "different"),
    ],
)
def test_the_trial_runs_pahole_where_that_makes_the_same_each_time(
    kernel: oracles.Oracle, tmp_path: Path, flags: str, fault: str, runs: int, result: str
) -> None:
    tree = _typed(tmp_path / "untried", kernel, tmp_path)
    tree.environment["PAHOLE_FLAGS"] = flags
    tree.link()  # the tool is tried
    _runs(tree)
    done = tree.link(PAHOLE_FAULT=fault)
    assert (done.status, _runs(tree)) == (0, runs)
    assert [each[:2] for each in tree.verdicts() if each[0] == "link"] == [("link", result)]


@pytest.mark.parametrize("kernel", ["v6.11"], indirect=True)
@pytest.mark.parametrize(
    ("options", "environment", "reason"),
    [
        (("X86",), {}, "other machines than x86"),
        ((), {"PAHOLE_FLAGS": "--btf_features=var,global_var"}, "global_var"),
        ((), {"PAHOLE_FLAGS": "-j4 --btf_encode_detached=x"}, "--btf_encode_detached=x"),
        (("PAHOLE_VERSION=132",), {}, "this version of pahole"),
    ],
)
def test_what_needs_a_link_without_btf(
    linked: Tree, stock: Stock, options: tuple[str, ...], environment: dict[str, str], reason: str
) -> None:
    path = linked.directory / "include/config/auto.conf"
    for option in options:
        setting = f"CONFIG_{option}" if "=" in option else f"CONFIG_{option}=y"
        text = path.read_text()
        path.write_text(text.replace(f"{setting}\n", "") if setting in text else f"{text}{setting}\n")
    linked.try_out(**environment)
    program = _EDITS["a function more"][0]
    linked.put(program)
    assert right(linked.link(**environment), 2)
    assert reason in linked.outcome().reason
    assert linked.results() == stock(program)


def _object(tree: Tree) -> Path:
    names = (".tmp_vmlinux1.btf.o", ".btf.vmlinux.bin.o")
    return next(tree.directory / name for name in names if (tree.directory / name).exists())


@pytest.mark.parametrize("kernel", ["v6.11"], indirect=True)
@pytest.mark.parametrize(
    ("damage", "links"),
    [
        ("rm $1", 2),
        (": >$1", 2),
        ("truncate -s 100 $1", 2),
        (
            "objcopy --add-section .rodata=bin/mini-ld --set-section-flags .rodata=alloc,readonly,data $1",
            2,
        ),
        ("objcopy --rename-section .BTF=.rodata $1", 2),
        ("objcopy --set-section-alignment .BTF=64 $1", 2),
        ("printf 'other bytes' | dd of=$1 conv=notrunc bs=1 seek=64 status=none", 1),
    ],
)
def test_an_object_that_is_not_what_was_left(linked: Tree, stock: Stock, damage: str, links: int) -> None:
    made = _object(linked)
    call(["sh", "-ec", damage, "sh", str(made)], linked.directory)
    assert right(linked.link(), links)
    assert linked.results() == stock(BASE)
    assert right(linked.link(), 1)
    assert linked.results() == stock(BASE)


@pytest.mark.parametrize(
    ("variable", "fault"),
    [
        ("PAHOLE_FAULT", "[ -e once ] || { : >once; exit 1; }"),
        ("PAHOLE_FAULT", '[ -e once ] || { : >once; rm "$file"; kill -9 $$; }'),
        ("RESOLVE_FAULT", "[ -e once ] || { : >once; exit 1; }"),
    ],
)
@pytest.mark.parametrize("links", [0, 1])
def test_a_tool_that_fails_once(typed: Tree, stock: Stock, variable: str, fault: str, links: int) -> None:
    for _ in range(links):
        typed.link()
    typed.put(_EDITS["a function more"][0])
    done = typed.link(**{variable: fault})
    assert done.status == 0, done.err
    assert done.links[-1] == "vmlinux"  # the script's own
    assert typed.results() == stock(_EDITS["a function more"][0])


@pytest.mark.parametrize("kernel", ["v6.11"], indirect=True)
@pytest.mark.parametrize("fault", ["exit 1", "exit 0", "kill -9 $$"])
def test_a_failing_verb(linked: Tree, stock: Stock, fault: str) -> None:
    done = linked.link_with_fault("untyped", fault)
    assert done.status == 0, done.err
    assert done.links[-1] == "vmlinux"
    assert linked.results() == stock(BASE)
    assert len(linked.link().links) <= 2
    assert linked.results() == stock(BASE)


@pytest.mark.parametrize("kernel", ["v6.11"], indirect=True)
@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("${PAHOLE} -J ${PAHOLE_FLAGS} ${1}", "${PAHOLE} -J ${PAHOLE_FLAGS}  ${1}"),
        ("local btf_data=${1}.btf.o", "local btf_data=${1}.types.o"),
        ("info BTFIDS", "info IDS"),
    ],
)
def test_a_script_that_makes_it_in_another_way(typed: Tree, stock: Stock, old: str, new: str) -> None:
    script = typed.directory / "scripts/link-vmlinux.sh"
    text = script.read_text()
    assert old in text
    script.write_text(text.replace(old, new))
    assert right(typed.link(), 3)
    assert typed.results() == stock(BASE)
    assert typed.outcome().reason.startswith("scripts/link-vmlinux.sh is not that of a release: ")


@pytest.mark.parametrize("kernel", ["v6.11"], indirect=True)
def test_it_is_switched_off_and_on(linked: Tree, stock: Stock) -> None:
    linked.configure(*CONFIGURATION)
    assert linked.link().status == 0
    without = linked.results()
    assert linked.stock().status == 0
    assert linked.results() == without
    assert without != stock(BASE)
    linked.configure(*_OPTIONS)
    assert linked.link().status == 0
    assert linked.results() == stock(BASE)
