# SPDX-License-Identifier: GPL-2.0-only
"""The hook as version 0.1.0 wrote it, with a make fragment: trees keep it until it is installed again."""

import shlex
import sys
from pathlib import Path

import kallsymsd.kbuild
from tests.kbuild.hook.miniature import Miniature

_MARK = "# Made by kallsymsctl install; kallsymsctl uninstall removes it."
_SHELL = """\
#!/bin/sh
python={python}
module={module}
directory={directory}
case $#$1$2 in
2-c*'scripts/link-vmlinux.sh "'*)
	if [ -x "$python" ] && [ -f "$module" ]; then
		edited=$("$python" -I -S "$module" recipe "$directory" "$2") &&
			[ "$edited" ] && exec /bin/sh -c "$edited"
	fi
	;;
esac
exec /bin/sh "$@"
"""
_FRAGMENT = """\
ifneq ($(wildcard {directory}/sh),)
vmlinux vmlinux.unstripped: private override SHELL := {directory}/sh
endif
{directory}/hook.mk: ;
"""
_MAKEFILE = f"""\
{_MARK}
# "make -f Makefile" goes without it.
kallsymsd-objects := $(or $(if $(filter command,$(firstword $(origin O))),$(O)),$(KBUILD_OUTPUT),.)
kallsymsd-switch := $(wildcard $(kallsymsd-objects)/.kallsymsd.mk)
include $(kallsymsd-switch)
include Makefile
GNUmakefile $(kallsymsd-switch): ;
"""
_SWITCH = f"""\
{_MARK}
kallsymsd-hook := {{fragment}}
ifneq ($(wildcard $(kallsymsd-hook)),)
export MAKEFILES := $(filter-out $(kallsymsd-hook),$(MAKEFILES)) $(kallsymsd-hook)
endif
"""


def install(tree: Miniature, stand_in: Path) -> Path:
    """Install it in a tree, with a copy of ``stand_in``, which is as it was; the directory of its files."""
    directory = Path(tree.environment["HOME"], ".local/share/kallsymsd/hook-0123456789ab")
    directory.mkdir(parents=True, mode=0o700)
    module = Path(kallsymsd.kbuild.__path__[0]) / "__main__.py"
    values = {
        "python": shlex.quote(sys.executable),
        "module": shlex.quote(str(module)),
        "directory": str(directory),
    }
    for name, text in (
        ("sh", _SHELL.format(**values)),
        ("hook.mk", _FRAGMENT.format(**values)),
        ("kallsyms", stand_in.read_text()),
    ):
        (directory / name).write_text(text)
        (directory / name).chmod(0o700)
    (tree.objects / ".kallsymsd.mk").write_text(_SWITCH.format(fragment=directory / "hook.mk"))
    for place in (tree.objects, tree.source):
        (place / "GNUmakefile").write_text(_MAKEFILE)
    return directory
