# SPDX-License-Identifier: GPL-2.0-only
"""A kernel tree in miniature that is linked by its script: as it stands, or with one link."""

import os
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from kallsymsd.kbuild.hook.hookfiles import prepare
from kallsymsd.kbuild.outcome import Outcome
from kallsymsd.kbuild.trial import verdicts
from tests.client.conftest import PYTHONPATH
from tests.kbuild.onelink.program import SCRIPT, Program
from tests.kbuild.onelink.scripts import SCRIPTS
from tests.oracles import Oracle
from tests.reference.mksysmap import SCRIPTS as RULES

# The tools note their calls, and have a fault when a test wants one.
_LINKER = """\
#!/bin/sh
[ "$1" != --version ] || exec ${LINKER:-x86_64-linux-gnu-ld} --version
echo "$*" >>links.log
eval "${LINKER_FAULT:-}"
exec ${LINKER:-x86_64-linux-gnu-ld} -m elf_x86_64 "$@"
"""
_COMPILER = """\
#!/bin/sh
while [ $# -gt 3 ]; do shift; done # -o OBJECT SOURCE is what is left
eval "${COMPILER_FAULT:-}"
cpp -undef -nostdinc -I include -x assembler-with-cpp "$3" "$3.s"
exec x86_64-linux-gnu-as --64 -o "$2" "$3.s"
"""
_TOOL = """\
#!/bin/sh
echo ran >>tool.log
exec {tool} "$@"
"""
# Instead of Python in the script: "python -I -S MODULE one-link VERB ...".
_INTERPRETER = """\
#!/bin/sh
case $5 in
"$FAULTY_VERB") eval "$FAULT" ;;
esac
exec {python} "$@"
"""
_LAUNCHER = Path(__file__).with_name("launcher.py")
_FLAGS = "-z max-page-size=0x200000 --build-id=sha1"
#: Options of the configuration that every tree has.
CONFIGURATION = (
    "64BIT",
    "KALLSYMS",
    "KALLSYMS_ALL",
    "KALLSYMS_ABSOLUTE_PERCPU",
    "KALLSYMS_BASE_RELATIVE",
    "MODULES",
)


@dataclass
class Linked:
    """How a run of the script ended.

    links     names of the files that the linker made, in order
    own_tool  how often the tree's own scripts/kallsyms ran
    """

    status: int
    out: str
    err: str
    links: list[str]
    own_tool: int


@dataclass
class Tree:
    """Source and object tree in one.

    directory    where it is
    shell        the hook's, to which the script in miniature is one that it knows
    environment  that of every command
    limit        of the size of files that are written, in blocks of 512 bytes; 0 for none
    made         name of the file that is linked
    patience     seconds that a run of the script may take
    """

    directory: Path
    shell: Path
    environment: dict[str, str] = field(default_factory=dict)
    limit: int = 0
    made: str = "vmlinux"
    patience: float = 120.0

    def put(self, program: Program) -> None:
        """Edit the sources, and compile them."""
        program.put(self.directory)

    def configure(self, *options: str) -> None:
        """Set these options and no others."""
        path = self.directory / "include/config/auto.conf"
        path.write_text("".join(f"CONFIG_{option}=y\n" for option in options))

    def stock(self, **environment: str) -> Linked:
        """Run the script as it stands."""
        return self._run("/usr/bin/env", environment)

    def link(self, **environment: str) -> Linked:
        """Run it with one link, as a hooked make does."""
        return self._run(str(self.shell), {"KALLSYMSD_ONE_LINK": "1", **environment})

    def try_out(self, **environment: str) -> None:
        """Link as often as it takes until all that is in this tree has been tried."""
        for _ in range(3):
            before = self.verdicts()
            done = self.link(**environment)
            assert not done.err
            assert done.status == 0
            if self.verdicts() == before:
                return
        raise AssertionError("something is tried without an end")

    def clean(self) -> None:
        """Forget the last link, as "make clean" does."""
        for path in self.directory.glob(".tmp_*"):
            path.unlink()

    def verdicts(self) -> list[tuple[str, str, str]]:
        """What trials have found: kind, result and reason of each."""
        place = verdicts.place({os.fsencode(k): os.fsencode(v) for k, v in self.environment.items()})
        return sorted((each.kind, each.result, each.reason) for each in verdicts.everything(place))

    def link_with_fault(self, verb: str, fault: str) -> Linked:
        """As link(), but the shell command ``fault`` happens where the script asks for ``verb``."""
        variables = {"KALLSYMSD_ONE_LINK": "1", "FAULTY_VERB": verb, "FAULT": fault}
        return self._run(str(self.faulty_shell()), variables)

    def faulty_shell(self) -> Path:
        """The hook's shell, but that the edited script has an interpreter with a fault ($FAULT)."""
        interpreter = self.directory / "python"
        interpreter.write_text(_INTERPRETER.format(python=shlex.quote(sys.executable)))
        interpreter.chmod(0o755)
        run = 'exec "$@" "$kallsymsd_edited"'
        text = self.shell.read_text()
        assert run in text
        script = shlex.quote(f"s|{sys.executable}|{interpreter}|")
        shell = self.directory / "faulty-sh"
        edit = f'kallsymsd_edited=$(printf %s "$kallsymsd_edited" | sed {script})'
        shell.write_text(text.replace(run, f"{edit} && {run}"))
        shell.chmod(0o755)
        return shell

    def results(self) -> tuple[bytes, bytes]:
        """The files vmlinux and System.map."""
        return (self.directory / self.made).read_bytes(), (self.directory / "System.map").read_bytes()

    def outcome(self) -> Outcome:
        """How the last link went, as kallsymsctl explain tells it."""
        return Outcome.load(str(self.directory))

    def recipe(self) -> str:
        """What kbuild gives to the shell."""
        script = self.directory / "scripts/link-vmlinux.sh"
        words = f'{script} "mini-ld" "" "{_FLAGS}" "{self.made}"'
        return f"set -e; printf '%s\\n' 'cmd := {words}' >/dev/null; {words}; true"

    def _run(self, shell: str, environment: dict[str, str]) -> Linked:
        for name in (self.made, "System.map", "links.log", "tool.log"):
            (self.directory / name).unlink(missing_ok=True)
        limited = ["/bin/sh", "-c", 'ulimit -f "$0" && exec "$@"', str(self.limit)] if self.limit else []
        done = subprocess.run(
            [*limited, shell, "/bin/sh", "-c", self.recipe()],
            cwd=self.directory,
            env={**self.environment, **environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="surrogateescape",
            timeout=self.patience,
            check=False,
        )
        return Linked(
            done.returncode,
            done.stdout,
            done.stderr,
            [line.partition("-o ")[2].partition(" ")[0] for line in self._lines("links.log")],
            len(self._lines("tool.log")),
        )

    def _lines(self, name: str) -> list[str]:
        path = self.directory / name
        return path.read_text().splitlines() if path.exists() else []


def create(directory: Path, oracle: Oracle, state: Path) -> Tree:
    """Make the tree of the kernel of ``oracle``, without sources; ``state`` is the user's home."""
    files = {
        "scripts/link-vmlinux.sh": SCRIPTS[oracle.dialect],
        "scripts/mksysmap": RULES[oracle.dialect],
        "scripts/kallsyms.c": f"/* that of {oracle.dialect} in miniature */\n",
        "scripts/kallsyms": _TOOL.format(tool=oracle.tool.absolute()),
        "include/asm/bitsperlong.h": "#define BITS_PER_LONG 64\n",
        "include/config/auto.conf": "",
        "vmlinux.lds": SCRIPT,
        "bin/mini-ld": _LINKER,
        "bin/mini-cc": _COMPILER,
    }
    for name, text in files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o755)
    environment = {
        "PATH": f"{directory}/bin:{os.environ['PATH']}",
        "PYTHONPATH": PYTHONPATH,
        "HOME": str(state),
        "CI": "1",  # starts no daemon
        "KALLSYMSD_SOCKET": str(state / "s"),
        "LC_ALL": "C",
        "srctree": str(directory),
        "NM": "x86_64-linux-gnu-nm",
        "CC": "mini-cc",
    }
    tree = Tree(directory, _shell(directory, state), environment)
    tree.configure(*CONFIGURATION)
    return tree


def _shell(directory: Path, state: Path) -> Path:
    """The hook's shell with another program for the recipe."""
    text = (prepare({"XDG_DATA_HOME": str(state)}).parent / "sh").read_text()
    shell = directory / "sh"
    shell.write_text(
        re.sub(
            "^kallsymsd_module=.*$",
            f"kallsymsd_module={shlex.quote(str(_LAUNCHER))}",
            text,
            flags=re.MULTILINE,
        )
    )
    shell.chmod(0o755)
    return shell
