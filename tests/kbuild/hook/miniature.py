# SPDX-License-Identifier: GPL-2.0-only
"""A kernel tree in miniature: makefiles of our own with the shape of kbuild's, for tests without a kernel.

What is like kbuild's: make calls itself for the object tree and for the link; the link's recipe is in the
recipe's text three times with V=1 (printed, run, recorded); it is run again when it or a prerequisite
changed; the script takes the linker and its flags, calls scripts/kallsyms by that name, assembles what it
printed, and writes .vmlinux.d. What is not: nm's output is there already, as kernel.map; vmlinux.o is an ELF
header, and vmlinux the .rodata of the tables.
"""

import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from kallsymsd.kbuild.trial import verdicts
from kallsymsd.kbuild.trial.verdicts import Verdict
from tests import oracles
from tests.client.conftest import MAP, PYTHONPATH, elf
from tests.oracles import Oracle

_MAKEFILE = """\
PHONY := __all
__all:
ifneq ($(sub_make_done),1)
MAKEFLAGS += -rR --no-print-directory
this-makefile := $(lastword $(MAKEFILE_LIST))
export srctree := $(patsubst %/,%,$(dir $(realpath $(this-makefile))))
ifeq ("$(origin O)", "command line")
KBUILD_OUTPUT := $(O)
endif
ifeq ("$(origin V)", "command line")
export KBUILD_VERBOSE := $(V)
endif
objtree := $(realpath $(or $(KBUILD_OUTPUT),.))
export sub_make_done := 1
$(filter-out $(this-makefile),$(MAKECMDGOALS)) __all: __sub-make
	@:
__sub-make:
	@$(MAKE) -C $(objtree) -f $(srctree)/Makefile $(MAKECMDGOALS)
$(this-makefile): ;
else
__all: vmlinux
vmlinux: vmlinux.o kernel.map scripts/kallsyms
	@$(MAKE) -f $(srctree)/scripts/Makefile.vmlinux
scripts/kallsyms: $(srctree)/scripts/kallsyms.c
	@mkdir -p scripts
	@cp $(srctree)/tool $@
clean:
	@rm -f vmlinux System.map scripts/kallsyms .vmlinux.cmd .vmlinux.d
	@find . -name '.tmp_*' -delete
help:
	@echo 'vmlinux - the kernel'
.PHONY: __all vmlinux clean help
endif
"""
_MAKEFILE_VMLINUX = """\
__default: vmlinux
LD := ld
LDFLAGS_vmlinux := -z max-page-size=0x200000 --build-id=sha1
cmd_link = $< "$(LD)" "-m elf_x86_64" "$(LDFLAGS_vmlinux)"; true
one = $(subst $() ,_,$(1))
log = echo '  LINK    vmlinux'
ifeq ($(KBUILD_VERBOSE),1)
log = echo '$(cmd_link)'
endif
ifneq ($(findstring s,$(firstword -$(MAKEFLAGS))),)
log = exec >/dev/null
endif
-include .vmlinux.cmd
vmlinux: $(srctree)/scripts/link-vmlinux.sh vmlinux.o kernel.map FORCE
	+@$(if $(filter-out FORCE,$?)$(filter-out $(call one,$(cmd_link)),$(call one,$(savedcmd_vmlinux))),\\
	set -e; $(log); trap 'rm -f vmlinux; trap - INT; kill -s INT $$$$' INT; $(cmd_link); \\
	printf '%s\\n' 'savedcmd_vmlinux := $(cmd_link)' > .vmlinux.cmd, :)
FORCE:
.PHONY: FORCE __default
"""
_SCRIPT = """\
#!/bin/sh
# Runs scripts/kallsyms, as the kernel's script does.
set -e
LD="$1"
LDFLAGS_vmlinux="$3"
case "${KBUILD_VERBOSE}" in
*1*)
	set -x
	;;
esac
kallsyms()
{
	local kallsymopt="--all-symbols";
	echo "  KSYMS   ${2}.S"
	@CALL@
	cpp -undef -nostdinc -I "${srctree}/include" -x assembler-with-cpp "${2}.S" "${2}.s"
	x86_64-linux-gnu-as --64 -o "${2}.o" "${2}.s"
}
[ $# -eq 3 ] && [ "$LD" = ld ] && [ "$LDFLAGS_vmlinux" ]
cp kernel.map .tmp_vmlinux1.syms
kallsyms .tmp_vmlinux1.syms .tmp_vmlinux1.kallsyms
x86_64-linux-gnu-objcopy -O binary -j .rodata .tmp_vmlinux1.kallsyms.o vmlinux
cp .tmp_vmlinux1.syms System.map
echo "vmlinux: $0" > .vmlinux.d
"""
#: The line that runs the tool, as the kernels of the oracles have it.
_CALLS = {
    "v6.1.y": 'kallsymopt="${kallsymopt} --base-relative"\n\tscripts/kallsyms ${kallsymopt} ${1} > ${2}.S',
    "v6.11": 'scripts/kallsyms ${kallsymopt} "${1}" > "${2}.S"',
    "v7.4": 'kallsymopt="${kallsymopt}${3:+ --sysmap=${3}} --pc-relative"\n'
    '\tscripts/kallsyms ${kallsymopt} "${1}" "${2}.bin" > "${2}.S"',
}
_TOOL = """\
#!/bin/sh
echo ran >>tool.log
exec {tool} "$@"
"""


@dataclass
class Miniature:
    """A source tree and an object tree, which may be the same.

    source, objects  their directories
    environment      that of every command
    """

    source: Path
    objects: Path
    environment: dict[str, str] = field(default_factory=dict)

    def make(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run make in the object tree, which is told of the source tree by its Makefile."""
        return self.run("make", *arguments, where=None, **variables)

    def ctl(
        self, *arguments: str, where: Path | None = None, **variables: str
    ) -> subprocess.CompletedProcess[str]:
        """Run kallsymsctl in the object tree, or in ``where``."""
        return self.run(sys.executable, "-m", "kallsymsd.ctl.main", *arguments, where=where, **variables)

    def run(
        self, *command: str, where: Path | None = None, **variables: str
    ) -> subprocess.CompletedProcess[str]:
        """Run a command in the object tree, or in ``where``."""
        return subprocess.run(
            command,
            cwd=where or self.objects,
            env={**self.environment, **variables},
            capture_output=True,
            text=True,
            errors="surrogateescape",
            timeout=120,
            check=False,
        )

    def results(self) -> dict[str, bytes]:
        """What a link leaves, and what kbuild remembers of it."""
        names = ("vmlinux", "System.map", ".vmlinux.cmd", ".vmlinux.d")
        return {name: (self.objects / name).read_bytes() for name in names}

    def tool_runs(self) -> int:
        """How often the tree's own scripts/kallsyms has run; they are forgotten then."""
        log = self.objects / "tool.log"
        count = len(log.read_text().splitlines()) if log.exists() else 0
        log.unlink(missing_ok=True)
        return count

    def edit(self) -> None:
        """Change what vmlinux is linked from."""
        path = self.objects / "kernel.map"
        lines = path.read_bytes()
        path.write_bytes(lines + b"ffffffff8100%04x t added\n" % (0x2000 + len(lines)))


def create(source: Path, objects: Path, oracle: Oracle) -> Miniature:
    """Make the trees for the kernel of ``oracle``."""
    files = {
        "Makefile": _MAKEFILE,
        "Kbuild": "",
        "Kconfig": "",
        "scripts/Makefile.vmlinux": _MAKEFILE_VMLINUX,
        "scripts/link-vmlinux.sh": _SCRIPT.replace("@CALL@", _CALLS[oracle.dialect]),
        "scripts/kallsyms.c": _source(oracle.dialect),
        "include/asm/bitsperlong.h": "#define BITS_PER_LONG 64\n",
        "tool": _TOOL.format(tool=oracle.tool.absolute()),
    }
    for name, text in files.items():
        path = source / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (source / "scripts/link-vmlinux.sh").chmod(0o755)
    (source / "tool").chmod(0o755)
    add_objects(source, objects)
    state = source.parent / "state"
    state.mkdir(exist_ok=True)
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": PYTHONPATH,
        "HOME": str(state),
        "CI": "1",  # starts no daemon
        "KALLSYMSD_SOCKET": str(state / "s"),
        "LC_ALL": "C",
    }
    trust(source, state, oracle.dialect)
    return Miniature(source, objects, environment)


def _source(dialect: str) -> str:
    """The text of the tool, where it was fetched."""
    text = oracles.source(dialect, "kallsyms.c") if dialect in oracles.SERIES else None
    return text.decode() if text else f"/* that of {dialect} */\n"


def trust(source: Path, home: Path, dialect: str) -> None:
    """Have the user whose home that is know that the tool of a source tree was tried."""
    place = verdicts.place({b"HOME": bytes(home)})
    contents = [(source / name).read_bytes() for name in ("scripts/kallsyms.c", "tool")]
    key = verdicts.key(verdicts.TOOL, *contents)
    assert verdicts.keep(place, key, Verdict(verdicts.TOOL, verdicts.SAME, dialect=dialect))


def add_objects(source: Path, objects: Path) -> None:
    """Make an object tree of ``source``, configured."""
    (objects / "include/config").mkdir(parents=True, exist_ok=True)
    (objects / "include/config/auto.conf").write_text("CONFIG_64BIT=y\nCONFIG_KALLSYMS=y\n")
    (objects / ".config").write_text("CONFIG_64BIT=y\nCONFIG_KALLSYMS=y\n")
    (objects / "vmlinux.o").write_bytes(elf())
    (objects / "kernel.map").write_bytes(MAP)
    if objects != source:
        (objects / "Makefile").write_text(f"export KBUILD_OUTPUT := $(CURDIR)\ninclude {source}/Makefile\n")
        (objects / "source").symlink_to(source)
