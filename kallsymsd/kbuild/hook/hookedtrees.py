# SPDX-License-Identifier: GPL-2.0-only
"""Installs the hook in kernel trees: two small files in the object tree, one in the source tree.

    GNUmakefile     make prefers it to Makefile; it includes .kallsymsd.mk of the object tree, then Makefile
    .kallsymsd.mk   passes the hook to this make and to every make that it starts

The source tree gets a GNUmakefile, too, because "make O=..." starts there. It has no effect on object trees
without a .kallsymsd.mk. kbuild leaves both files alone, even in "make mrproper".
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from kallsymsd.kbuild.hook.hookfiles import VARIABLE, value
from kallsymsd.protocol.regular import open_regular, read_regular, write_new

#: The first line of each of our files.
MARK = "# Made by kallsymsctl install; kallsymsctl uninstall removes it."
MAKEFILE = "GNUmakefile"
SWITCH = ".kallsymsd.mk"
# Size limit of either file in bytes.
_MOST = 1 << 20

# It finds the object tree as the kernel's Makefile does. The last rule keeps make from searching implicit
# rules to remake these files. It must not come first, or it would be the default goal.
_MAKEFILE_TEXT = f"""\
{MARK}
# To build without it: make -f Makefile
kallsymsd :=
kallsymsd-objects := $(or $(if $(filter command,$(firstword $(origin O))),$(O)),$(KBUILD_OUTPUT),.)
kallsymsd-switch := $(wildcard $(kallsymsd-objects)/{SWITCH})
include $(kallsymsd-switch)
MAKEFILE_LIST := $(filter-out {MAKEFILE} %{SWITCH},$(MAKEFILE_LIST))
include Makefile
{MAKEFILE} $(kallsymsd-switch): ;
$(kallsymsd)
"""
# make exports the unexpanded text.
_SWITCH_TEXT = f"""\
{MARK}
kallsymsd-hook := {{shell}}
kallsymsd = {{value}}
export {VARIABLE} := $(value kallsymsd)$(subst $(value kallsymsd),,$(value {VARIABLE}))
{{one_link}}"""
_ONE_LINK = "export KALLSYMSD_ONE_LINK := 1\n"


class TreeError(Exception):
    """A tree cannot be used. The text is one line: what is wrong and what to do."""


class Tree:
    """A kernel's object tree and its source tree, which may be the same directory.

    objects, source  absolute paths, with links resolved
    """

    def __init__(self, objects: Path, source: Path) -> None:
        self.objects = objects
        self.source = source


def find(path: Path) -> Tree:
    """The tree whose object tree is ``path``. TreeError if it is none."""
    objects = Path(os.path.realpath(path))
    if reason := _why_not(objects):
        raise TreeError(f"{path}: {reason}; name a kernel's object tree")
    if _is_source(objects):
        return Tree(objects, objects)
    source = objects / "source"  # a link that "make O=" makes
    if _is_source(source) and os.access(objects / "Makefile", os.F_OK):
        return Tree(objects, Path(os.path.realpath(source)))
    raise TreeError(
        f"{objects}: is not a kernel's object tree: it lacks scripts/link-vmlinux.sh, scripts/kallsyms.c and "
        "Kbuild, and has no Makefile and link 'source' to a tree with these files; name another tree, or "
        "configure this one first"
    )


def install(tree: Tree, shell: Path, *, one_link: bool) -> str:
    """Install the files, for the hook whose file sh is ``shell``; with ``one_link``, vmlinux is linked once.

    Returns a warning, or "". If the source tree is read-only or already has a GNUmakefile, make must be
    started in the object tree. If that applies to the object tree, raises TreeError and changes nothing.
    """
    for path in (tree.objects / MAKEFILE, tree.objects / SWITCH):
        if _is_not_ours(path):
            raise TreeError(f"{path}: was not written by kallsymsctl; move it away, or use kallsymsctl run")
    switch = tree.objects / SWITCH
    is_new = not switch.exists()
    try:
        text = _SWITCH_TEXT.format(shell=shell, value=value(shell), one_link=_ONE_LINK if one_link else "")
        _write(switch, text)
        _write(tree.objects / MAKEFILE, _MAKEFILE_TEXT)
    except OSError as error:
        if is_new:
            switch.unlink(missing_ok=True)
        raise TreeError(f"{tree.objects}: {error.strerror}; use kallsymsctl run") from error
    path = tree.source / MAKEFILE
    try:
        if not _is_not_ours(path):
            _write(path, _MAKEFILE_TEXT)
            return _unless_configured(tree)
        reason = "was not written by kallsymsctl"
    except OSError as error:
        reason = str(error.strerror)
    return f"{path}: {reason}; start make in {tree.objects}, not with O= in the source tree"


def _unless_configured(tree: Tree) -> str:
    """A warning for an unconfigured source tree, where the user may have meant an object tree; else ""."""
    if tree.objects != tree.source or os.access(tree.objects / ".config", os.F_OK):
        return ""
    return f"{tree.source}: is not configured; for builds with O=DIR, run kallsymsctl install DIR"


def uninstall(tree: Tree, *, keep_source: bool) -> list[Path]:
    """Remove the files that install() wrote; returns their paths. A file that is no longer ours stays.

    ``keep_source``: another object tree needs the file in the source tree.
    """
    paths = [tree.objects / SWITCH]
    if not (keep_source and tree.source == tree.objects):
        paths.append(tree.objects / MAKEFILE)
    if not keep_source and tree.source != tree.objects:
        paths.append(tree.source / MAKEFILE)
    removed = []
    for path in paths:
        if is_ours(path):
            try:
                path.unlink()
            except OSError as error:
                raise TreeError(f"{path}: {error.strerror}; remove it by hand") from error
            removed.append(path)
    return removed


def is_ours(path: Path) -> bool:
    """Whether a file was written by install()."""
    try:
        descriptor = open_regular(str(path), follow=True)
        try:
            return os.pread(descriptor, 200, 0).partition(b"\n")[0] == MARK.encode()
        finally:
            os.close(descriptor)
    except OSError:
        return False


def hook_of(objects: Path) -> Path | None:
    """The hook file that an object tree uses: sh, or hook.mk of older versions; None if it uses none."""
    switch = objects / SWITCH
    if not is_ours(switch):
        return None
    lines = os.fsdecode(read_regular(str(switch), _MOST, follow=True)).splitlines()
    return next(
        (Path(line.partition(" := ")[2]) for line in lines if line.startswith("kallsymsd-hook")), None
    )


def has_one_link(objects: Path) -> bool:
    """Whether one link is requested for an object tree."""
    switch = objects / SWITCH
    return is_ours(switch) and _ONE_LINK in os.fsdecode(read_regular(str(switch), _MOST, follow=True))


class State(NamedTuple):
    """State of the hook in an object tree.

    works     whether its builds use kallsyms
    one_link  whether one link is requested
    remark    a problem or restriction, "" for none
    """

    works: bool
    one_link: bool
    remark: str


def state(objects: Path, program: Callable[[Path], tuple[Path, Path] | None]) -> State:
    """The state of the hook that was installed in an object tree.

    ``program`` returns the interpreter and module that a hook file runs, None if the hook's files are
    missing.
    """
    problem = _problem(objects, program)
    if problem:
        return State(works=False, one_link=False, remark=problem)
    source = find(objects).source
    remark = "" if is_ours(source / MAKEFILE) else f"works for make started here, not for make O= in {source}"
    return State(works=True, one_link=has_one_link(objects), remark=remark)


def _problem(objects: Path, program: Callable[[Path], tuple[Path, Path] | None]) -> str:
    if reason := _why_not(objects):
        return f"the tree is missing: {reason}"
    try:
        find(objects)
    except TreeError:
        return "no longer a kernel's object tree"
    for path, what in ((objects / MAKEFILE, MAKEFILE), (objects / SWITCH, SWITCH)):
        if not os.access(path, os.F_OK):
            return f"{what} is missing; run kallsymsctl install again"
        if not is_ours(path):
            return f"{what} was replaced; move it away and run kallsymsctl install again"
    file = hook_of(objects)
    found = program(file) if file and os.access(file, os.F_OK) else None
    if found is None:
        return f"the hook's files are missing ({file}); run kallsymsctl install again"
    missing = next((path for path in found if not os.access(path, os.F_OK)), None)
    if missing:
        return f"{missing} is missing; install kallsymsd and run kallsymsctl install again"
    return ""


def _is_not_ours(path: Path) -> bool:
    return path.is_symlink() or (path.exists() and not is_ours(path))


def _why_not(directory: Path) -> str:
    """Why ``directory`` cannot be opened as a directory; "" if it can."""
    try:
        os.close(os.open(directory, os.O_RDONLY | os.O_DIRECTORY))
    except OSError as error:
        return str(error.strerror)
    return ""


def _is_source(path: Path) -> bool:
    return all(
        os.access(path / name, os.R_OK)
        for name in ("scripts/link-vmlinux.sh", "scripts/kallsyms.c", "Kbuild")
    )


def _write(path: Path, text: str) -> None:
    """Replace a file atomically, unless it is up to date."""
    contents = os.fsencode(text)
    if path.exists() and read_regular(str(path), _MOST, follow=True) == contents:
        return
    temporary = path.with_name(f".tmp_{path.name}.{os.getpid()}")
    try:
        write_new(str(temporary), contents, mode=0o666)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
