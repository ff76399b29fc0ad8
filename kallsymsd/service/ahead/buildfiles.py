# SPDX-License-Identifier: GPL-2.0-only
"""Which files of a build matter, and what can happen to them."""

import re
from collections.abc import Callable
from enum import Enum


class Kind(Enum):
    """What a file of a build is, by its name."""

    MAP = "map"
    LINKED = "linked"
    INPUT = "input"


class Event(Enum):
    """What happened to a file.

    COMPLETE  its writer closed it, or it was renamed into place
    CREATED   it is there: just opened by its writer, or moved here from a directory that is not watched
    GONE      it is not there any more
    """

    COMPLETE = "complete"
    CREATED = "created"
    GONE = "gone"


#: Called with a directory, the name of a file in it ("": the directory itself), and what happened to that.
Heard = Callable[[str, str, Event], None]

#: The map that is asked about for one link. As _INPUTS it is from kallsymsd.onelink.lastlink, loaded later.
PREDICTED = ".tmp_vmlinux.predicted.syms"
_INPUTS = ("vmlinux.o", ".vmlinux.export.o")
_LINKED = re.compile(r"\.tmp_vmlinux(\.kallsyms)?[0-9]+|vmlinux")


def kind_of(name: str) -> Kind | None:
    """What the file called ``name`` is; None for all that is neither a map, nor a linked kernel, nor
    what the linker makes that of.

    Our own outputs, .S, .bin and .o, are none of these.
    """
    if name == "System.map" or name.endswith(".syms"):
        return Kind.MAP
    if name in _INPUTS:
        return Kind.INPUT
    return Kind.LINKED if _LINKED.fullmatch(name) else None


def map_of(name: str) -> str:
    """The map that will be asked about, now that there is this linked kernel or what it is made of.

    That which link-vmlinux.sh makes of a linked kernel, in v6.1 to v7.4; or the one foretold.
    """
    if name in _INPUTS:
        return PREDICTED
    return "System.map" if name == "vmlinux" else name + ".syms"
