# SPDX-License-Identifier: GPL-2.0-only
"""Which files of a build matter, and what happens to them."""

import re
from collections.abc import Callable
from enum import Enum


class Kind(Enum):
    """What a file of a build is, by its name: a map, a linked kernel, or an input of the link."""

    MAP = "map"
    LINKED = "linked"
    INPUT = "input"


class Event(Enum):
    """What happened to a file.

    COMPLETE  its writer closed it, or it was renamed into place
    CREATED   its writer just opened it, or it was moved here from a directory that is not watched
    GONE      it was deleted or renamed
    """

    COMPLETE = "complete"
    CREATED = "created"
    GONE = "gone"


#: Called with a directory, the name of a file in it ("": the directory itself), and what happened to it.
Heard = Callable[[str, str, Event], None]

#: The map that clients ask about in trees with one link. kallsymsd.onelink.lastlink, which defines this and
#: _INPUTS, is loaded later.
PREDICTED = ".tmp_vmlinux.predicted.syms"
_INPUTS = ("vmlinux.o", ".vmlinux.export.o")
_LINKED = re.compile(r"\.tmp_vmlinux(\.kallsyms)?[0-9]+|vmlinux")


def kind_of(name: str) -> Kind | None:
    """What the file called ``name`` is; None unless it is a map, a linked kernel, or an input of the link.

    The client's outputs, .S and .bin, and the .o made from them are none of these.
    """
    if name == "System.map" or name.endswith(".syms"):
        return Kind.MAP
    if name in _INPUTS:
        return Kind.INPUT
    return Kind.LINKED if _LINKED.fullmatch(name) else None


def map_of(name: str) -> str:
    """The map that a client will ask about now that there is this linked kernel, or this input of the link.

    For a linked kernel the map that link-vmlinux.sh makes of it, in v6.1 to v7.4; for an input PREDICTED.
    """
    if name in _INPUTS:
        return PREDICTED
    return "System.map" if name == "vmlinux" else name + ".syms"
