# SPDX-License-Identifier: GPL-2.0-only
"""The hook: two short files and a variable that make a kernel build run the client.

    GPATH     a variable of make's that hardly anybody uses. make expands it once, when it has read all
              makefiles. Ours expands to nothing; in a kernel's makefiles it puts sh before .SHELLFLAGS of the
              recipe that links vmlinux
    sh        read by the shell of that recipe: has the recipe edited, and the shell run it
    kallsyms  stands in for scripts/kallsyms in that recipe

make does not record how it ran a recipe, so nothing is rebuilt for the hook, neither with it nor without it
again. The files hold absolute paths of this installation; where that is gone, each does what the build would
have done without it.
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

#: Name of the file that the shell of the recipe reads.
SHELL_FILE = "sh"
#: Name of the variable that hands the hook to every make.
VARIABLE = "GPATH"

# Other names have a meaning in the texts below: neither make nor .SHELLFLAGS has quotes.
_PLAIN = re.compile(rb"[A-Za-z0-9_./+@\x80-\xff-]+")
# Seconds for a shell to start.
_PATIENCE = 10
# Most bytes of a file.
_MOST = 1 << 20
_WORKS = 7
_READY = "ready"

_SHELL = """\
#!/bin/sh
# Made by kallsymsctl {version}. Run with the shell of a recipe, its flags and the recipe. Has the recipe that
# runs scripts/link-vmlinux.sh edited; runs any other as it is, and that too if it cannot be edited.
kallsymsd_python={python}
kallsymsd_module={module}
kallsymsd_hook={directory}
if [ $# = 0 ]; then # asked whether all is there
	[ -x "$kallsymsd_python" ] && [ -f "$kallsymsd_module" ] && echo {ready}
	exit
fi
for kallsymsd_recipe; do :; done
kallsymsd_edited=
case $1:$kallsymsd_recipe in
*/kallsymsd*/hook-*/sh:*) ;; # the hook of an older version, which is installed in the tree, edits it
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
# Made by kallsymsctl {version}. Stands in for scripts/kallsyms, which runs when this cannot.
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
	*) echo "kallsymsd: its client ended with status $status; $original is run" >&2 ;;
	esac
	# The file from its start again, should something be in it already.
	if [ -f /proc/self/fd/1 ]; then
		exec "$original" "$@" >/proc/self/fd/1
	fi
fi
exec "$original" "$@"
"""

# What .SHELLFLAGS becomes: sh and the shell before the flags, if the recipe is that of the link, if its shell
# can read sh, and if sh is whole. The loops give the shell function other values than those that are expanded
# here. There are no quotes: with .ONESHELL make would not read them.
_FLAGS = (
    "$$(if $$(and $$(filter scripts/link-vmlinux.sh %/scripts/link-vmlinux.sh,$$<),"
    "$$(filter sh bash dash ash ksh mksh zsh,$$(notdir $$(firstword $$(SHELL)))),"
    "$$(filter {ready},$$(foreach SHELL,/bin/sh,$$(foreach .SHELLFLAGS,-c,$$(shell "
    "[ -f {shell} ] && [ -x {shell} ] && [ -r {shell} ] && . {shell} 2>/dev/null))))"
    "),{shell} $$(SHELL) )$(value .SHELLFLAGS)"
)
# Makefiles are a kernel's if they know a source tree that has the script. "value" asks without a warning.
_VALUE = (
    "$(if $(and $(value srctree),$(wildcard $(srctree)/scripts/link-vmlinux.sh)),"
    "$(if $(findstring /link-vmlinux.sh,$(value .SHELLFLAGS)),,$(eval .SHELLFLAGS = {flags})))"
)


class HookError(Exception):
    """The hook cannot be made; the text is one line that says why and what to do."""


def prepare(environment: Mapping[str, str]) -> Path:
    """Make the hook of this installation unless it is there already; its file sh.

    Raises HookError where no directory will do.
    """
    reasons = []
    for parent in _places(environment):
        try:
            return _make_in(parent) / SHELL_FILE
        except (HookError, NotPrivateError) as error:
            reasons.append(str(error))
        except OSError as error:
            reasons.append(f"{error.filename or parent}: {error.strerror}")
    raise HookError(f"{'; '.join(reasons)}; set XDG_DATA_HOME to a directory where the hook can be")


def value(shell: Path) -> str:
    """What the variable begins with, for make to use the hook whose file sh is ``shell``."""
    return _VALUE.format(flags=_FLAGS.format(shell=shell, ready=_READY))


def program_of(file: Path) -> tuple[Path, Path] | None:
    """Interpreter and module that the hook runs that has ``file``; None where its files are gone."""
    try:
        lines = os.fsdecode(read_regular(str(file.parent / SHELL_FILE), _MOST, follow=False)).splitlines()
    except OSError:
        return None
    values = [
        shlex.split(line.partition("=")[2])[0]
        for name in ("python", "module")
        for line in lines
        if line.removeprefix("kallsymsd_").startswith(f"{name}=")  # older versions went without
    ]
    return (Path(values[0]), Path(values[1])) if len(values) == 2 else None


def _places(environment: Mapping[str, str]) -> Iterator[Path]:
    """Directories for the hook, best first: the second is for a home with a space in its name."""
    yield data_directory(environment)
    yield Path(f"/var/tmp/kallsymsd-{os.geteuid()}")  # noqa: S108  verified before it is used


def _make_in(parent: Path) -> Path:
    """The hook's directory in ``parent``, with its files."""
    if not _PLAIN.fullmatch(os.fsencode(parent)):
        raise HookError(f"{parent}: make cannot use a path with such characters")
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
    """Put a file in place, whole, unless it is there."""
    try:
        if read_regular(str(path), _MOST, follow=False) == contents and os.access(path, os.X_OK):
            return
    except OSError:
        pass  # not there, or not as we make it
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    write_new(str(temporary), contents)
    temporary.chmod(0o700)
    temporary.replace(path)


def _try(shell: Path) -> None:
    """HookError where the shell does not start: on a file system mounted noexec, say."""
    command: list[str | Path] = [shell, "/bin/sh", "-c", f"exit {_WORKS}"]
    try:
        done = subprocess.run(command, check=False, timeout=_PATIENCE)  # noqa: S603  ours
    except subprocess.TimeoutExpired as error:
        raise HookError(f"{shell}: does not run (not ended after {_PATIENCE} s)") from error
    if done.returncode != _WORKS:
        raise HookError(f"{shell}: does not run (exit status {done.returncode})")
