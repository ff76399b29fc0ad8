# SPDX-License-Identifier: GPL-2.0-only
"""Maps of a hooked build: ours where it is known what nm and mksysmap print, theirs everywhere else."""

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import pytest

from kallsymsd.core.dialects import BY_NAME, SymbolFilter
from kallsymsd.elf import nm
from kallsymsd.elf.elffile import ElfFile
from kallsymsd.kbuild.hook.hookfiles import prepare
from kallsymsd.kbuild.script import sysmaprules
from kallsymsd.kbuild.script.mapedit import with_map
from tests import nms, oracles
from tests.client.conftest import PYTHONPATH
from tests.elfs import ABS, FUNC, GLOBAL, TLS_TYPE, UNDEF, WEAK, Image, Symbol
from tests.reference.mksysmap import SCRIPTS

_COMMAND = '${NM} -n "${1}" | sed -f "${srctree}/scripts/mksysmap" > "${2}"'
_FUNCTION = f"mksysmap()\n{{\n\tinfo NM ${{2}}\n\t{_COMMAND}\n}}\n"
_OF_THE_SHELL = '${CONFIG_SHELL} "${srctree}/scripts/mksysmap" ${1} ${2}'
_SCRIPT = f"""\
#!/bin/sh
set -e
info()
{{
	printf "  %-7s %s\\n" "${{1}}" "${{2}}"
}}
# scripts/kallsyms has no part in this test.
kallsyms()
{{
	scripts/kallsyms "${{1}}" > "${{2}}"
}}
{_FUNCTION}
mksysmap .tmp_vmlinux1 .tmp_vmlinux1.syms
mksysmap vmlinux System.map
echo linked
"""
_NM = """\
#!/bin/sh
echo "$*" >>nm.log
case $1 in
--version) {version} ;;
esac
{command} "$@"
"""
# Instead of Python: "python -I -S MODULE map LINKED MAP".
_INTERPRETER = """\
#!/bin/sh
case $4 in
map) {fault} ;;
esac
exec {python} "$@"
"""
_MAPS = (".tmp_vmlinux1.syms", "System.map")
_SYMBOLS = [
    Symbol(b"_text", 0x1000, 1, GLOBAL),
    Symbol(b"f", 0x1008, 1, GLOBAL, FUNC),
    Symbol(b"alias_of_f", 0x1008, 1, WEAK, FUNC),
    Symbol(b".L1", 0x1010, 1),
    Symbol(b"__vendor_x", 0x1020, 1),
    Symbol(b"x__vendor_", 0x1020, 1),
    Symbol(b"__AThunk_f", 0x1030, 1),
    Symbol(b"absolute", 7, ABS, GLOBAL),
    Symbol(b"local", 8, ABS),
    Symbol(b"nowhere", 0, UNDEF, WEAK),
]


class Tree:
    """A source and object tree, of whose link only the maps are left; its nm notes its calls.

    directory    where it is
    environment  that of the link
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        (directory / "scripts").mkdir(parents=True)
        self.script = directory / "scripts/link-vmlinux.sh"
        self.script.write_text(_SCRIPT)
        self.script.chmod(0o755)
        self.mksysmap = directory / "scripts/mksysmap"
        self.mksysmap.write_text(SCRIPTS["v6.11"])
        for name in (".tmp_vmlinux1", "vmlinux"):
            self.put(name, *_SYMBOLS)
        self.wrap()
        state = directory.parent / "state"
        state.mkdir()
        self._shell = prepare({"XDG_DATA_HOME": str(state)}).parent / "sh"
        self.environment = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": PYTHONPATH,
            "HOME": str(state),
            "KALLSYMSD_DIALECT": "v6.11",
            "LC_ALL": "C",
            "srctree": str(directory),
            "CONFIG_SHELL": "/bin/sh",
            "NM": "./nm",
        }

    def put(self, name: str, *symbols: Symbol) -> None:
        """Make a linked kernel with these symbols."""
        (self.directory / name).write_bytes(Image(symbols=list(symbols)).encode())

    def wrap(self, command: str = nms.BINUTILS["x86_64"], version: str = "") -> None:
        """Have ``command`` in the place of nm, and ``version`` happen where it is asked for that."""
        program = self.directory / "nm"
        program.write_text(_NM.format(command=command, version=version))
        program.chmod(0o755)

    def stock(self) -> dict[str, bytes]:
        """The maps of a stock link."""
        done = self.run(Path("/usr/bin/env"))
        assert (done.returncode, self.calls()) == (0, STOCK), done.stderr
        return self.maps()

    def link(self, **environment: str) -> subprocess.CompletedProcess[str]:
        """A hooked link."""
        return self.run(self._shell, **environment)

    def link_with_fault(self, fault: str) -> subprocess.CompletedProcess[str]:
        """The same with an interpreter that does ``fault`` when it is to make a map."""
        interpreter = self.directory / "python"
        interpreter.write_text(_INTERPRETER.format(fault=fault, python=shlex.quote(sys.executable)))
        interpreter.chmod(0o755)
        shell = self.directory / "faulty-sh"
        line = f"python={shlex.quote(sys.executable)}\n"
        text = self._shell.read_text()
        assert line in text
        shell.write_text(text.replace(line, f"python={interpreter}\n"))
        shell.chmod(0o755)
        # The script is given the interpreter that Python says it is.
        edit = shlex.quote(f"s|^kallsymsd_python=.*|kallsymsd_python={interpreter}|")
        text = shell.read_text()
        asked = 'recipe "$kallsymsd_hook" "$kallsymsd_recipe"'
        assert asked in text
        shell.write_text(text.replace(asked, f"{asked} | sed {edit}"))
        return self.run(shell)

    def try_out(self) -> None:
        """Link once, so that nm is known from then on."""
        assert self.link().returncode == 0
        self.maps()
        self.calls()

    def run(self, shell: Path, **environment: str) -> subprocess.CompletedProcess[str]:
        """Have ``shell`` run the recipe."""
        return subprocess.run(
            [shell, "/bin/sh", "-c", f'set -e; {self.script} "ld"; :'],
            cwd=self.directory,
            env={**self.environment, **environment},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def maps(self) -> dict[str, bytes]:
        """The maps, which are gone then."""
        found = {name: (self.directory / name).read_bytes() for name in _MAPS}
        for name in found:
            (self.directory / name).unlink()
        return found

    def calls(self) -> list[str]:
        """How nm was called; that is forgotten then."""
        log = self.directory / "nm.log"
        lines = log.read_text().splitlines() if log.exists() else []
        log.unlink(missing_ok=True)
        return lines


STOCK = ["-n .tmp_vmlinux1", "-n vmlinux"]
ASKED = ["--version"]
IN_DOUBT = ["--version", *STOCK]


@pytest.fixture
def tree(tmp_path: Path, unavailable: Callable[[str], NoReturn]) -> Tree:
    """A tree."""
    if reason := nms.why_not(nms.BINUTILS["x86_64"]):
        unavailable(reason)
    return Tree(tmp_path / "tree")


@pytest.mark.parametrize("series", sorted(oracles.SERIES))
def test_the_maps_are_those_of_nm_and_mksysmap(
    tree: Tree, series: str, unavailable: Callable[[str], NoReturn]
) -> None:
    """With the kernels' own mksysmap: that for sed, and that for the shell."""
    oracle = oracles.find(series) or unavailable(oracles.missing(series))
    text = (oracle.tool.parent / "mksysmap").read_bytes()
    tree.mksysmap.write_bytes(text)
    if text.startswith(b"#!/bin/sh"):
        tree.script.write_text(_SCRIPT.replace(_COMMAND, _OF_THE_SHELL))
    stock = tree.stock()
    assert all(b" T f\n" in text and b".L1" not in text for text in stock.values())
    # The first map of its kind is nm's, and is compared.
    for calls in ([*ASKED, "-n .tmp_vmlinux1"], ASKED):
        done = tree.link()
        assert (done.returncode, done.stderr, tree.calls()) == (0, "", calls)
        assert done.stdout == "  NM      .tmp_vmlinux1.syms\n  NM      System.map\nlinked\n"
        assert tree.maps() == stock


@pytest.mark.parametrize(
    "change",
    ["s/ T f$/ t f/", "$a ffffffffffffffff d more", "/alias_of_f/d", "s/^0*\\([0-9a-f]\\)/\\1/"],
)
def test_an_nm_that_prints_something_else_runs_itself(tree: Tree, change: str) -> None:
    program = shutil.which(nms.BINUTILS["x86_64"])
    tree.wrap(f"[ $1 = --version ] && exec {program} $1; {program} -n $2 | sed '{change}' #")
    stock = tree.stock()
    for _ in range(2):
        done = tree.link()
        assert (done.returncode, done.stderr, sorted(tree.calls())) == (0, "", sorted(IN_DOUBT))
        assert tree.maps() == stock
    # Another nm is another matter.
    tree.wrap(version="echo 'GNU nm (GNU Binutils) 2.99'; exit")
    honest = tree.stock()
    assert honest != stock
    tree.try_out()
    assert (tree.link().returncode, tree.calls(), tree.maps()) == (0, ASKED, honest)


def test_a_kind_of_symbol_that_was_not_met_is_compared(tree: Tree) -> None:
    tree.try_out()
    tree.put("vmlinux", *_SYMBOLS, Symbol(b"thread", 8, type=TLS_TYPE))
    stock = tree.stock()
    for calls in ([*ASKED, "-n vmlinux"], ASKED):
        assert (tree.link().returncode, tree.calls()) == (0, calls)
        assert tree.maps() == stock


def test_rules_that_were_not_met_are_compared(tree: Tree) -> None:
    tree.try_out()
    tree.mksysmap.write_text(SCRIPTS["v6.11"] + "/ alias_of_f$/d\n")
    stock = tree.stock()
    for calls in ([*ASKED, "-n .tmp_vmlinux1"], ASKED):
        assert (tree.link().returncode, tree.calls()) == (0, calls)
        assert tree.maps() == stock


def test_where_nothing_can_be_kept_nm_runs_itself(tree: Tree) -> None:
    stock = tree.stock()
    for _ in range(2):
        done = tree.link(HOME="", XDG_CACHE_HOME="")
        assert (done.returncode, done.stderr, sorted(tree.calls())) == (0, "", sorted(IN_DOUBT))
        assert tree.maps() == stock


def test_with_llvm_nm(tree: Tree, unavailable: Callable[[str], NoReturn]) -> None:
    if reason := nms.why_not(nms.LLVM):
        unavailable(reason)
    tree.wrap(nms.LLVM)
    stock = tree.stock()
    tree.try_out()
    done = tree.link()
    assert (done.returncode, done.stderr, tree.calls()) == (0, "", ASKED)
    assert tree.maps() == stock
    # Of which llvm-nm prints the one or the other first.
    tree.put("vmlinux", Symbol(b"twice", 16), Symbol(b"twice", 16, bind=GLOBAL))
    for _ in range(2):  # also when its kinds of symbols are known
        assert (tree.link().returncode, tree.calls()) == (0, ["--version", "-n vmlinux"])


@pytest.mark.parametrize(
    "version",
    [
        "exit 1",
        "echo 'nm (elfutils) 0.188'; exit",
    ],
)
def test_an_nm_that_is_not_known_runs_itself(tree: Tree, version: str) -> None:
    stock = tree.stock()
    tree.wrap(version=version)
    done = tree.link()
    assert (done.returncode, done.stderr) == (0, "")
    assert [call for call in tree.calls() if call != "--version"] == STOCK
    assert tree.maps() == stock


@pytest.mark.parametrize("line", ["/ x[0-9]/d", "/ [aNUw] /!d", "s/ t / T /", "/ foo./d", "$d", "/ _text$/p"])
def test_a_mksysmap_that_is_not_known_runs_itself(tree: Tree, line: str) -> None:
    tree.mksysmap.write_text(SCRIPTS["v6.11"] + line + "\n")
    stock = tree.stock()
    done = tree.link()
    assert (done.returncode, done.stderr, tree.calls()) == (0, "", STOCK)
    assert tree.maps() == stock


def test_a_rule_that_no_release_has_is_kept(tree: Tree) -> None:
    tree.mksysmap.write_text(SCRIPTS["v6.11"] + "# of a vendor\n/ __vendor_/d\n")
    stock = tree.stock()
    tree.try_out()
    assert (tree.link().returncode, tree.calls()) == (0, ASKED)
    assert tree.maps() == stock
    assert b" x__vendor_\n" in stock["System.map"]
    assert b" __vendor_x\n" not in stock["System.map"]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("${NM} -n", "${NM} -n -p"),
        ('> "${2}"\n}\n\n', '> "${2}"\n\ttrue\n}\n\n'),
        ("mksysmap()", "mksysmap ()"),
        ("mksysmap()", "mksysmap() { true; }\nmksysmap()"),
    ],
)
def test_a_function_that_is_not_known_stays(tree: Tree, old: str, new: str) -> None:
    assert old in _SCRIPT
    tree.script.write_text(_SCRIPT.replace(old, new, 1))
    done = tree.link()
    assert (done.returncode, done.stderr) == (0, "")
    assert [call.replace(" -p", "") for call in tree.calls()] == STOCK


@pytest.mark.parametrize("name", ["LC_ALL", "LC_COLLATE", "LANG"])
def test_where_nm_may_sort_otherwise_it_runs_itself(tree: Tree, name: str) -> None:
    stock = tree.stock()
    locale = {"LC_ALL": "", "LC_COLLATE": "", name: "en_US.UTF-8"}
    done = tree.link(**locale)
    assert (done.returncode, tree.calls()) == (0, IN_DOUBT), done.stderr
    assert tree.maps() == stock


@pytest.mark.parametrize(
    "symbols",
    [
        [],
        [Symbol(b".L1")],
        [Symbol("\N{GREEK SMALL LETTER MU}s".encode())],
        [Symbol(b"with a blank")],
    ],
    ids=["none", "none left", "not ascii", "blank"],
)
def test_symbols_that_are_left_to_nm_and_sed(tree: Tree, symbols: list[Symbol]) -> None:
    tree.try_out()
    tree.put("vmlinux", *symbols)
    stock = tree.stock()
    for _ in range(2):  # also when its kinds of symbols are known
        assert (tree.link().returncode, tree.calls()) == (0, ["--version", "-n vmlinux"])
        assert tree.maps() == stock


@pytest.mark.parametrize("contents", [b"", b"\x7fELF", Image(type=1, symbols=_SYMBOLS).encode()])
def test_what_is_no_linked_kernel(tree: Tree, contents: bytes) -> None:
    tree.try_out()
    (tree.directory / "vmlinux").write_bytes(contents)
    stock, done = tree.run(Path("/usr/bin/env")), tree.link()
    assert (done.returncode, done.stdout, done.stderr) == (stock.returncode, stock.stdout, stock.stderr)
    assert tree.calls() == [*STOCK, "--version", "-n vmlinux"]


def test_switched_off(tree: Tree) -> None:
    stock = tree.stock()
    done = tree.link(KALLSYMSD="off")
    assert (done.returncode, done.stderr, tree.calls()) == (0, "", STOCK)
    assert tree.maps() == stock


def test_verify(tree: Tree) -> None:
    stock = tree.stock()
    done = tree.link(KALLSYMSD="verify")
    assert (done.returncode, done.stderr, sorted(tree.calls())) == (0, "", sorted(IN_DOUBT))
    assert tree.maps() == stock


def test_verify_finds_a_difference(tree: Tree) -> None:
    program = shutil.which(nms.BINUTILS["x86_64"])
    tree.wrap(f"[ $1 = --version ] && exec {program} $1; {program} -n $2 | sed 's/ T _text$/ t _text/' #")
    done = tree.link(KALLSYMSD="verify")
    assert done.returncode == 1
    assert done.stdout == "  NM      .tmp_vmlinux1.syms\n"
    assert done.stderr == (
        "kallsymsd: KALLSYMSD=verify: .tmp_vmlinux1.syms: line 2 is '0000000000001000 t _text', "
        "ours is '0000000000001000 T _text'\n"
    )
    assert tree.link(KALLSYMSD="off").returncode == 0


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("exit 101", ""),
        ("exit 1", "kallsymsd: kallsyms ended with status 1; ./nm runs instead\n"),
        ("echo garbage >$6; kill -9 $$", "status 137; ./nm runs instead\n"),
    ],
)
def test_a_failing_client(tree: Tree, fault: str, said: str) -> None:
    stock = tree.stock()
    done = tree.link_with_fault(fault)
    assert (done.returncode, sorted(tree.calls())) == (0, sorted(IN_DOUBT)), done.stderr
    assert done.stderr.endswith(said)
    assert tree.maps() == stock


@pytest.mark.parametrize(("signal", "status"), [("TERM", 143), ("INT", 130), ("HUP", 129)])
def test_a_build_that_is_stopped_ends(tree: Tree, signal: str, status: int) -> None:
    done = tree.link_with_fault(f"kill -{signal} $$")
    assert (done.returncode, tree.calls()) == (status, ASKED)
    assert done.stdout == "  NM      .tmp_vmlinux1.syms\n"


def test_without_an_interpreter(tree: Tree) -> None:
    stock = tree.stock()
    done = tree.link_with_fault("rm $0; exit 101")
    assert (done.returncode, done.stderr) == (0, "")
    assert tree.maps() == stock


def test_a_map_that_cannot_be_written_fails_as_it_would(tree: Tree) -> None:
    (tree.directory / "System.map").mkdir()
    stock, done = tree.run(Path("/usr/bin/env")), tree.link()
    assert "Is a directory" in stock.stderr
    assert done.stderr.rpartition("System.map")[2] == stock.stderr.rpartition("System.map")[2]
    assert done.returncode == stock.returncode != 0


def test_rules_are_those_of_the_dialect(unavailable: Callable[[str], NoReturn]) -> None:
    for dialect, text in SCRIPTS.items():
        found = sysmaprules.of_sed(b"#!/bin/sed -f\n \t# why\n" + text.encode())
        assert found is not None
        assert set(found) == set(BY_NAME[dialect].mksysmap.rules)
    for series in oracles.SERIES:
        oracle = oracles.find(series) or unavailable(oracles.missing(series))
        script = (oracle.tool.parent / "mksysmap").read_bytes()
        known = [
            each for each in (sysmaprules.of_sed(script), sysmaprules.of_grep(script)) if each is not None
        ]
        assert [set(each) for each in known] == [set(BY_NAME[series].mksysmap.rules)]


# As from 6.4 to 6.9, in our own words: rules within double quotes, and one for the symbols of an object.
_QUOTED_SCRIPT = r"""#!/bin/sh -x
# A map.
${NM} -n ${1} | sed >${2} -e "
# types
/ [aNUw] /d

@RULES@
$(if [ $# -ge 3 ]; then ${NM} ${3} | sed -n '/ U /!s:.* \([^ ]*\)$:/ \1$/d:p'; fi)
"
"""
_LETTERS = (
    b"$x",
    b"\\",
    b"a\\",
    b"__pi_$",
    b"__pi_$x",
    b"__pi_\\",
    b"__pi_x",
    b".Lx",
    b"x.long_branch.y",
    b"L0",
)


@pytest.mark.parametrize(
    "lines",
    [
        r"/ \\$/d",
        r"/ \$/d",
        r"/ __pi_\\$/d",
        r"/ __pi_\$/d",
        "/ __pi_$/d",
        r"/\.long_branch\./d",
        r"/ \.L/d",
        "/ L0$/d",
        r"/ \\$/d" + "\n" + r"/ \$/d",
    ],
)
@pytest.mark.parametrize("form", ["sed", "quoted"])
def test_rules_do_what_sed_does(
    tmp_path: Path, form: str, lines: str, unavailable: Callable[[str], NoReturn]
) -> None:
    program = nms.BINUTILS["x86_64"]
    if reason := nms.why_not(program):
        unavailable(reason)
    image = Image(symbols=[Symbol(name, 16 * number, 1) for number, name in enumerate(_LETTERS)]).encode()
    (tmp_path / "vmlinux").write_bytes(image)
    if form == "sed":
        text = f"/ [aNUw] /d\n{lines}\n"
        found, expected = sysmaprules.of_sed(text.encode()), nms.filtered(text, nms.listed(program, image))
    else:
        script = tmp_path / "mksysmap"
        script.write_text(_QUOTED_SCRIPT.replace("@RULES@", lines))
        subprocess.run(
            ["sh", script, "vmlinux", "map"], cwd=tmp_path, env={**os.environ, "NM": program}, check=True
        )
        found, expected = sysmaprules.of_quoted(script.read_bytes()), (tmp_path / "map").read_bytes()
    assert found is not None
    assert nm.filtered_map(ElfFile.read(image), nm.BINUTILS, SymbolFilter(*found)) == expected


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("/ [aNUw] /d", "/ [aNUw] /d\n$(cat more)"),
        ("/ [aNUw] /d", "/ [aNUw] /d\n`cat more`"),
        ("/ [aNUw] /d", "/ [aNUw] /d\n/ ${EXTRA}/d"),
        ("${NM} -n ${1}", "${NM} -n -p ${1}"),
        ("-ge 3", "-ge 2"),
        ("/ U /!s", "s"),
        ("# A map.", "sleep 0"),
    ],
)
def test_quoted_rules_that_are_not_known(old: str, new: str) -> None:
    text = _QUOTED_SCRIPT.replace("@RULES@", "/ x/d")
    assert sysmaprules.of_quoted(text.encode()) == ["^x"]
    assert old in text
    assert sysmaprules.of_quoted(text.replace(old, new).encode()) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "#n\n/ [aNUw] /d\n",
        "/ [aNU] /d\n",
        "/ \\.L/d\n",
        "/ [aNUw] /d\n/T/d\n",
        "/ [aNUw] /d\n/0$/d\n",
        "/ [aNUw] /d\n/ /d\n",
        "/ [aNUw] /d\n/_x y$/d\n",
        "/ [aNUw] /d\n/ a*/d\n",
        "/ [aNUw] /d\n/ a\\+/d\n",
        "/ [aNUw] /d;s/a/b/\n",
        "/ [aNUw] /d\n//d\n",
        "/ [aNUw] /d\n/ a/d # why\n",
        "/ [aNUw] /d\n/ \xe9/d\n",
    ],
)
def test_rules_that_are_not_known(text: str) -> None:
    assert sysmaprules.of_sed(text.encode()) is None
    assert sysmaprules.of_grep(text.encode()) is None


@pytest.mark.parametrize(
    "text",
    [
        "$NM -n $1 | grep -v -e ' [aNUw] ' -e '[x]' > $2\n",
        "$NM -n $1 | grep -v -e ' [aNUw] ' > $2\necho done\n",
        "$NM -n $1 | grep -vi -e ' [aNUw] ' > $2\n",
        "$NM -n $1 | grep -v -e ' [aNUw] ' | sort > $2\n",
        "$NM -n $1 | grep -v '\\( [aNUw] \\)\\|\\(__crc_\\)' > $2\n",
    ],
)
def test_commands_that_are_not_known(text: str) -> None:
    assert sysmaprules.of_grep(text.encode()) is None


@pytest.mark.parametrize(
    ("text", "known"),
    [
        ("GNU nm (GNU Binutils for Debian) 2.40\nCopyright (C) 2023 ...\n", nm.BINUTILS),
        ("GNU nm version 2.40-14.fc39\nCopyright\n", nm.BINUTILS),
        ("GNU nm (GNU Binutils for Ubuntu) 2.42\n", nm.BINUTILS),
        ("GNU nm (GNU Binutils for Debian) 2.47.50.20261021\n", nm.BINUTILS),
        ("GNU nm (GNU Binutils) 3.1\n", nm.BINUTILS),
        ("GNU nm (crosstool) none\n", None),
        ("nm (elfutils) 0.188\n", None),
        ("llvm-nm, compatible with GNU nm\nDebian LLVM version 14.0.6\n  Optimized build.\n", nm.LLVM),
        ("llvm-nm, compatible with GNU nm\nLLVM (http://llvm.org/):\n  LLVM version 16.0.0\n", nm.LLVM),
        ("llvm-nm, compatible with GNU nm\nLLVM version 99.1.0\n", nm.LLVM),
        ("LLVM version 16.0.0\n", None),
        ("", None),
    ],
)
def test_whose_nm_it_is(text: str, known: int | None) -> None:
    assert nm.of_version(text.encode()) == known


def test_without_a_source_tree_the_script_stays() -> None:
    script = _FUNCTION.encode()
    assert with_map(script, b"", lambda _path: b"/ [aNUw] /d\n") == script
    assert with_map(script, b"/src", lambda _path: b"/ [aNUw] /d\n") != script
