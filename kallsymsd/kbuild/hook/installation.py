# SPDX-License-Identifier: GPL-2.0-only
"""Installs the hook in an object tree and removes it: the tree's files and the list of trees."""

import os
from collections.abc import Mapping
from pathlib import Path

from kallsymsd.kbuild.hook import hookedtrees
from kallsymsd.kbuild.hook.hookedtrees import Tree, TreeError
from kallsymsd.kbuild.hook.hookfiles import HookError, prepare
from kallsymsd.kbuild.hook.registry import Registry, data_directory

__all__ = ["HookError", "TreeError", "install", "uninstall"]


def install(objects: Path, environment: Mapping[str, str], *, one_link: bool) -> str:
    """Install the hook in the object tree ``objects``; returns a warning, or "".

    ``one_link`` requests one link; installing again without it switches that off. Raises TreeError or
    HookError on failure.
    """
    tree = hookedtrees.find(objects)
    note = hookedtrees.install(tree, prepare(environment), one_link=one_link)
    try:
        Registry(data_directory(environment)).add(tree.objects)
    except OSError as error:
        return note or f"{error.filename}: {error.strerror}; kallsymsctl list will not show the tree"
    return note


def uninstall(objects: Path, environment: Mapping[str, str]) -> None:
    """Remove the hook from the object tree ``objects``. TreeError if it has none."""
    registry = Registry(data_directory(environment))
    objects = Path(os.path.realpath(objects))
    is_known = objects in registry.trees()
    try:
        tree = hookedtrees.find(objects)
    except TreeError:
        if not is_known:
            raise
        tree = Tree(objects, objects)  # remove whatever is left
    removed = hookedtrees.uninstall(tree, keep_source=_is_shared(tree, registry))
    registry.remove(objects)
    if not removed and not is_known:
        raise TreeError(f"{objects}: the hook is not installed here")


def _is_shared(tree: Tree, registry: Registry) -> bool:
    """Whether another object tree of the same source tree has the hook."""
    for objects in registry.trees():
        if objects != tree.objects and hookedtrees.hook_of(objects):
            try:
                if hookedtrees.find(objects).source == tree.source:
                    return True
            except TreeError:
                continue
    return False
