# SPDX-License-Identifier: GPL-2.0-only
"""The hook: two short files and a make variable that make a kernel build run the client.

    GPATH     a make variable that is hardly ever used. make expands it once, after it has read all makefiles.
              Ours expands to nothing, but in a kernel's makefiles it puts sh before .SHELLFLAGS of the recipe
              that links vmlinux
    sh        a script that the shell of this recipe reads: it edits the recipe, and the shell runs the result
    kallsyms  stands in for scripts/kallsyms in this recipe

make does not record how it ran a recipe, so adding or removing the hook rebuilds nothing. The files hold
absolute paths of this installation. If it has been removed, each file does what the build does without it.
"""

import hashlib
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from kallsymsd import __version__
from kallsymsd.kbuild.hook.registry import data_directory
from kallsymsd.kbuild.standin import DEFERRED, FAILED
from kallsymsd.protocol.private import NotPrivateError, private_directory
from kallsymsd.protocol.regular import read_regular, write_new

#: The file that the shell of the recipe reads.
SHELL_FILE = "sh"
#: The variable that passes the hook to every make.
VARIABLE = "GPATH"

# Other characters would be special in the texts below: neither make nor .SHELLFLAGS can quote.
_PLAIN = re.compile(rb"[A-Za-z0-9_./+@\x80-\xff-]+")
# Seconds allowed for a shell to start.
_PATIENCE = 10
# Size limit of a file in bytes.
_MOST = 1 << 20
_WORKS = 7
_READY = "ready"

_SHELL = """\
#!/bin/sh
# Made by kallsymsctl {version}. Arguments: the shell of a recipe, its flags and the recipe. Edits the recipe
# that runs scripts/link-vmlinux.sh. Runs other recipes, and those that cannot be edited, unchanged.
kallsymsd_python={python}
kallsymsd_module={module}
kallsymsd_hook={directory}
if [ $# = 0 ]; then # make asks whether the hook works
	[ -x "$kallsymsd_python" ] && [ -f "$kallsymsd_module" ] && echo {ready}
	exit
fi
for kallsymsd_recipe; do :; done
kallsymsd_edited=
case $1:$kallsymsd_recipe in
*/kallsymsd*/hook-*/sh:*) ;; # an older version's hook, installed in the tree, edits the recipe
*'scripts/link-vmlinux.sh "'*)
	kallsymsd_edited=$(
		"$kallsymsd_python" -I -S "$kallsymsd_module" recipe "$kallsymsd_hook" "$kallsymsd_recipe"
	) || kallsymsd_edited=
	;;
esac
if [ "$kallsymsd_edited" ]; then
	kallsymsd_count=$#
	while [ "$kallsymsd_count" -gt 1 ]; do
		set -- "$@" "$1"
		shift
		kallsymsd_count=$((kallsymsd_count - 1))
	done
	shift
	exec "$@" "$kallsymsd_edited"
fi
exec "$@"
"""

_TOOL = """\
#!/bin/sh
# Made by kallsymsctl {version}. Stands in for scripts/kallsyms and falls back to it.
python={python}
module={module}
original=${{KALLSYMSD_ORIGINAL:-scripts/kallsyms}}
if [ -x "$python" ] && [ -f "$module" ]; then
	"$python" -I -S "$module" tool "$@"
	status=$?
	case $status in
	0) exit 0 ;;
	{failed}) exit 1 ;;
	129 | 130 | 141 | 143) exit $status ;; # the build was stopped: SIGHUP, SIGINT, SIGPIPE, SIGTERM
	{deferred}) ;;
	*) echo "kallsymsd: kallsyms ended with status $status; $original runs instead" >&2 ;;
	esac
	# Start the output file again, in case something was written to it.
	if [ -f /proc/self/fd/1 ]; then
		exec "$original" "$@" >/proc/self/fd/1
	fi
fi
exec "$original" "$@"
"""

# The new .SHELLFLAGS: sh and the shell before the flags, if the recipe is that of the link, its shell can
# read sh, and sh works. The loops give make's shell function its own SHELL and .SHELLFLAGS. There are no
# quotes: make does not interpret them with .ONESHELL.
_FLAGS = (
    "$$(if $$(and $$(filter scripts/link-vmlinux.sh %/scripts/link-vmlinux.sh,$$<),"
    "$$(filter sh bash dash ash ksh mksh zsh,$$(notdir $$(firstword $$(SHELL)))),"
    "$$(filter {ready},$$(foreach SHELL,/bin/sh,$$(foreach .SHELLFLAGS,-c,$$(shell "
    "[ -f {shell} ] && [ -x {shell} ] && [ -r {shell} ] && . {shell} 2>/dev/null))))"
    "),{shell} $$(SHELL) )$(value .SHELLFLAGS)"
)
# Makefiles are a kernel's if srctree names a tree with the script. "value" avoids a warning if it is
# undefined.
_VALUE = (
    "$(if $(and $(value srctree),$(wildcard $(srctree)/scripts/link-vmlinux.sh)),"
    "$(if $(findstring /link-vmlinux.sh,$(value .SHELLFLAGS)),,$(eval .SHELLFLAGS = {flags})))"
)


class HookError(Exception):
    """The hook cannot be created. The text is one line: why, and what to do."""


def prepare(environment: Mapping[str, str]) -> Path:
    """Create the hook of this installation unless it exists; returns its file sh.

    Raises HookError if no directory is suitable.
    """
    reasons = []
    for parent in _places(environment):
        try:
            return _make_in(parent) / SHELL_FILE
        except (HookError, NotPrivateError) as error:
            reasons.append(str(error))
        except OSError as error:
            reasons.append(f"{error.filename or parent}: {error.strerror}")
    raise HookError(f"{'; '.join(reasons)}; set XDG_DATA_HOME to another directory for the hook")


def value(shell: Path) -> str:
    """The text to put in front of GPATH for make to use the hook whose file sh is ``shell``."""
    return _VALUE.format(flags=_FLAGS.format(shell=shell, ready=_READY))


def program_of(file: Path) -> tuple[Path, Path] | None:
    """Interpreter and module that the hook with ``file`` runs; None if its files are missing."""
    try:
        lines = os.fsdecode(read_regular(str(file.parent / SHELL_FILE), _MOST, follow=False)).splitlines()
    except OSError:
        return None
    values = [
        shlex.split(line.partition("=")[2])[0]
        for name in ("python", "module")
        for line in lines
        if line.removeprefix("kallsymsd_").startswith(f"{name}=")  # older versions had no prefix
    ]
    return (Path(values[0]), Path(values[1])) if len(values) == 2 else None


def _places(environment: Mapping[str, str]) -> Iterator[Path]:
    """Directories for the hook, best first. The second serves a home directory with a space in its path."""
    yield data_directory(environment)
    yield Path(f"/var/tmp/kallsymsd-{os.geteuid()}")  # noqa: S108  checked before use


def _make_in(parent: Path) -> Path:
    """Create the hook's directory in ``parent``, with its files."""
    if not _PLAIN.fullmatch(os.fsencode(parent)):
        raise HookError(f"{parent}: has characters that make cannot handle in a path")
    private_directory(parent)
    values = {
        "version": __version__,
        "python": shlex.quote(sys.executable),
        "module": shlex.quote(str(Path(__file__).absolute().parents[1] / "__main__.py")),
        "failed": FAILED,
        "deferred": DEFERRED,
        "ready": _READY,
    }
    templates = {SHELL_FILE: _SHELL, "kallsyms": _TOOL}
    identity = hashlib.sha256(repr((values, templates)).encode("utf-8", "surrogateescape")).hexdigest()
    directory = parent / f"hook-{identity[:12]}"
    directory.mkdir(mode=0o700, exist_ok=True)
    for name, template in templates.items():
        _write(directory / name, os.fsencode(template.format(directory=directory, **values)))
    _try(directory / SHELL_FILE)
    return directory


def _write(path: Path, contents: bytes) -> None:
    """Replace a file atomically, unless it is up to date."""
    try:
        if read_regular(str(path), _MOST, follow=False) == contents and os.access(path, os.X_OK):
            return
    except OSError:
        pass  # missing or not readable
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    write_new(str(temporary), contents)
    temporary.chmod(0o700)
    temporary.replace(path)


def _try(shell: Path) -> None:
    """Raise HookError if the script does not run, for example on a file system mounted noexec."""
    command: list[str | Path] = [shell, "/bin/sh", "-c", f"exit {_WORKS}"]
    try:
        done = subprocess.run(command, check=False, timeout=_PATIENCE)  # noqa: S603  ours
    except subprocess.TimeoutExpired as error:
        raise HookError(f"{shell}: does not run (no exit within {_PATIENCE} s)") from error
    if done.returncode != _WORKS:
        raise HookError(f"{shell}: does not run (exit status {done.returncode})")
