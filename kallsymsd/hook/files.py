# SPDX-License-Identifier: GPL-2.0-only
"""The hook: three short files that make a kernel build run the client.

    hook.mk   read by every make of the build (MAKEFILES): gives two targets another shell
    sh        that shell: edits the one recipe that links vmlinux, runs all others as they are
    kallsyms  stands in for scripts/kallsyms in that recipe

make does not record with which shell it ran a recipe, so nothing is rebuilt for the hook, neither with it nor
without it again. The files hold absolute paths of this installation; where that is gone, each does what the
build would have done without it.
"""

import hashlib
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import kallsyms_client
from kallsyms_client.main import DEFERRED, FAILED
from kallsyms_client.regular import read_regular, write_new
from kallsymsd import __version__
from kallsymsd.engine.private import NotPrivateError, private_directory
from kallsymsd.hook.registry import data_directory

#: Name of the make fragment.
FRAGMENT = "hook.mk"

# Neither make's variable MAKEFILES nor its SHELL can hold other names whole: it has no quotes.
_PLAIN = re.compile(rb"[A-Za-z0-9_./+,@\x80-\xff-]+")
# Seconds for a shell to start.
_PATIENCE = 10
# Most bytes of a file.
_MOST = 1 << 20
_WORKS = 7

_SHELL = """\
#!/bin/sh
# Made by kallsymsctl {version}. The shell of make for the targets that link vmlinux: has the recipe that runs
# scripts/link-vmlinux.sh edited, and runs whatever else it gets, and that too if it cannot be edited.
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

_FRAGMENT = """\
# Made by kallsymsctl {version}: the targets that link vmlinux get a shell that runs kallsyms of kallsymsd.
ifneq ($(wildcard {directory}/sh),)
vmlinux vmlinux.unstripped: private override SHELL := {directory}/sh
endif
{directory}/{fragment}: ;
"""


class HookError(Exception):
    """The hook cannot be made; the text is one line that says why and what to do."""


def prepare(environment: Mapping[str, str]) -> Path:
    """Make the hook of this installation unless it is there already; its make fragment.

    Raises HookError where no directory will do.
    """
    reasons = []
    for parent in _places(environment):
        try:
            return _make_in(parent) / FRAGMENT
        except (HookError, NotPrivateError) as error:
            reasons.append(str(error))
        except OSError as error:
            reasons.append(f"{error.filename or parent}: {error.strerror}")
    raise HookError(f"{'; '.join(reasons)}; set XDG_DATA_HOME to a directory where the hook can be")


def program_of(fragment: Path) -> tuple[Path, Path] | None:
    """Interpreter and module that the hook of ``fragment`` runs; None where its files are gone."""
    try:
        lines = os.fsdecode(read_regular(str(fragment.parent / "sh"), _MOST, follow=False)).splitlines()
    except OSError:
        return None
    values = [
        shlex.split(line.partition("=")[2])[0]
        for name in ("python", "module")
        for line in lines
        if line.startswith(f"{name}=")
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
        "module": shlex.quote(str(Path(kallsyms_client.__file__).absolute().parent / "kbuild/__main__.py")),
        "failed": FAILED,
        "deferred": DEFERRED,
        "fragment": FRAGMENT,
    }
    templates = {"sh": _SHELL, "kallsyms": _TOOL, FRAGMENT: _FRAGMENT}
    identity = hashlib.sha256(repr((values, templates)).encode("utf-8", "surrogateescape")).hexdigest()
    directory = parent / f"hook-{identity[:12]}"
    directory.mkdir(mode=0o700, exist_ok=True)
    for name, template in templates.items():
        _write(directory / name, os.fsencode(template.format(directory=directory, **values)))
    _try(directory / "sh")
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
    command: list[str | Path] = [shell, "-c", f"exit {_WORKS}"]
    try:
        done = subprocess.run(command, check=False, timeout=_PATIENCE)  # noqa: S603  ours
    except subprocess.TimeoutExpired as error:
        raise HookError(f"{shell}: does not run (not ended after {_PATIENCE} s)") from error
    if done.returncode != _WORKS:
        raise HookError(f"{shell}: does not run (exit status {done.returncode})")
