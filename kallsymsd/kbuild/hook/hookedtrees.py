# SPDX-License-Identifier: GPL-2.0-only
"""Kernel trees that have the hook for good: two small files in the object tree, one in the source tree.

    GNUmakefile     which make prefers to Makefile: includes .kallsymsd.mk of the object tree, then Makefile
    .kallsymsd.mk   hands the hook to this make and to every one that it starts

The source tree has the first one too, because "make O=..." is started there; it acts for object trees with
the second only. kbuild knows neither and leaves both alone, in "make mrproper" as well.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from kallsymsd.kbuild.hook.hookfiles import VARIABLE, value
from kallsymsd.protocol.regular import open_regular, read_regular, write_new

#: What marks a file as ours: its first line.
MARK = "# Made by kallsymsctl install; kallsymsctl uninstall removes it."
MAKEFILE = "GNUmakefile"
SWITCH = ".kallsymsd.mk"
# Most bytes of either.
_MOST = 1 << 20

# The object tree is chosen as the kernel's Makefile chooses it. The last rule keeps make from looking for
# implicit ones to make these files anew; it must not come first, or it would be the default.
_MAKEFILE_TEXT = f"""\
{MARK}
# "make -f Makefile" goes without it.
kallsymsd :=
kallsymsd-objects := $(or $(if $(filter command,$(firstword $(origin O))),$(O)),$(KBUILD_OUTPUT),.)
kallsymsd-switch := $(wildcard $(kallsymsd-objects)/{SWITCH})
include $(kallsymsd-switch)
MAKEFILE_LIST := $(filter-out {MAKEFILE} %{SWITCH},$(MAKEFILE_LIST))
include Makefile
{MAKEFILE} $(kallsymsd-switch): ;
$(kallsymsd)
"""
# make hands on the text that it is, not what that expands to.
_SWITCH_TEXT = f"""\
{MARK}
kallsymsd-hook := {{shell}}
kallsymsd = {{value}}
export {VARIABLE} := $(value kallsymsd)$(subst $(value kallsymsd),,$(value {VARIABLE}))
{{one_link}}"""
_ONE_LINK = "export KALLSYMSD_ONE_LINK := 1\n"


class TreeError(Exception):
    """A tree is none, or not as it must be; the text is one line that says what and what to do."""


class Tree:
    """A kernel's object tree and its source tree, which may be the same.

    objects, source  their absolute paths, links followed
    """

    def __init__(self, objects: Path, source: Path) -> None:
        self.objects = objects
        self.source = source


def find(path: Path) -> Tree:
    """The tree whose object tree is at ``path``. TreeError where there is none."""
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
        "Kbuild, and has no Makefile with a link named source to a tree that has them; name another, or "
        "configure this one first"
    )


def install(tree: Tree, shell: Path, *, one_link: bool) -> str:
    """Put the files in place, for the hook whose file sh is ``shell``; ``one_link``: linking once.

    Returns what will not work, or may not, "" if all does: where the source tree cannot be written to, or has
    a GNUmakefile already, make must be started in the object tree. Raises TreeError where that is so of the
    object tree; then nothing is changed.
    """
    for path in (tree.objects / MAKEFILE, tree.objects / SWITCH):
        if _is_foreign(path):
            raise TreeError(f"{path}: is not of kallsymsctl; move it away, or use kallsymsctl run")
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
        if not _is_foreign(path):
            _write(path, _MAKEFILE_TEXT)
            return _unless_configured(tree)
        reason = "is not of kallsymsctl"
    except OSError as error:
        reason = str(error.strerror)
    return f"{path}: {reason}; make must be started in {tree.objects}, not with O= in the source tree"


def _unless_configured(tree: Tree) -> str:
    """What to say of a source tree that may be meant for the object trees that are built from it."""
    if tree.objects != tree.source or os.access(tree.objects / ".config", os.F_OK):
        return ""
    return f"{tree.source}: is not configured; for builds with O=DIR run kallsymsctl install DIR"


def uninstall(tree: Tree, *, keep_source: bool) -> list[Path]:
    """Remove what install() wrote; what was removed. A file that is not ours any more stays.

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
    """Whether a file is one that install() writes."""
    try:
        descriptor = open_regular(str(path), follow=True)
        try:
            return os.pread(descriptor, 200, 0).partition(b"\n")[0] == MARK.encode()
        finally:
            os.close(descriptor)
    except OSError:
        return False


def hook_of(objects: Path) -> Path | None:
    """A file of the hook that an object tree uses: sh, in older versions hook.mk; None where it uses none."""
    switch = objects / SWITCH
    if not is_ours(switch):
        return None
    lines = os.fsdecode(read_regular(str(switch), _MOST, follow=True)).splitlines()
    return next(
        (Path(line.partition(" := ")[2]) for line in lines if line.startswith("kallsymsd-hook")), None
    )


def has_one_link(objects: Path) -> bool:
    """Whether vmlinux of an object tree is to be linked once."""
    switch = objects / SWITCH
    return is_ours(switch) and _ONE_LINK in os.fsdecode(read_regular(str(switch), _MOST, follow=True))


class State(NamedTuple):
    """What has become of the hook in an object tree.

    works     whether its builds use kallsyms
    one_link  whether vmlinux is to be linked once
    remark    "" for none
    """

    works: bool
    one_link: bool
    remark: str


def state(objects: Path, program: Callable[[Path], tuple[Path, Path] | None]) -> State:
    """What has become of the hook that was installed in an object tree.

    ``program`` tells interpreter and module of a hook by a file of it, None where its files are gone.
    """
    problem = _problem(objects, program)
    if problem:
        return State(works=False, one_link=False, remark=problem)
    source = find(objects).source
    remark = "" if is_ours(source / MAKEFILE) else f"only for make started here, not for make O= in {source}"
    return State(works=True, one_link=has_one_link(objects), remark=remark)


def _problem(objects: Path, program: Callable[[Path], tuple[Path, Path] | None]) -> str:
    if reason := _why_not(objects):
        return f"the tree is gone: {reason}"
    try:
        find(objects)
    except TreeError:
        return "it is no kernel's object tree any more"
    for path, what in ((objects / MAKEFILE, MAKEFILE), (objects / SWITCH, SWITCH)):
        if not os.access(path, os.F_OK):
            return f"{what} is gone: run kallsymsctl install again"
        if not is_ours(path):
            return f"{what} is another one now, not of kallsymsctl"
    file = hook_of(objects)
    found = program(file) if file and os.access(file, os.F_OK) else None
    if found is None:
        return f"the hook's files are gone: run kallsymsctl install again ({file})"
    missing = next((path for path in found if not os.access(path, os.F_OK)), None)
    if missing:
        return f"{missing} is gone, and kallsymsd with it: run kallsymsctl install again"
    return ""


def _is_foreign(path: Path) -> bool:
    return path.is_symlink() or (path.exists() and not is_ours(path))


def _why_not(directory: Path) -> str:
    """Why a directory is none, or cannot be entered; "" if it can."""
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
    """Put a file in place, whole, unless it is there."""
    contents = os.fsencode(text)
    if path.exists() and read_regular(str(path), _MOST, follow=True) == contents:
        return
    temporary = path.with_name(f".tmp_{path.name}.{os.getpid()}")
    try:
        write_new(str(temporary), contents, mode=0o666)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
