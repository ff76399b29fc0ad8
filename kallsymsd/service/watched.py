# SPDX-License-Identifier: GPL-2.0-only
"""Which files of a build matter, and what can happen to them."""

import re
from collections.abc import Callable
from enum import Enum


class Kind(Enum):
    """What a file of a build is, by its name."""

    MAP = "map"
    LINKED = "linked"


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

_LINKED = re.compile(r"\.tmp_vmlinux(\.kallsyms)?[0-9]+|vmlinux")


def kind_of(name: str) -> Kind | None:
    """What the file called ``name`` is; None for all that is neither a map nor a linked kernel.

    Our own outputs, .S, .bin and .o, are neither.
    """
    if name == "System.map" or name.endswith(".syms"):
        return Kind.MAP
    return Kind.LINKED if _LINKED.fullmatch(name) else None


def map_of(linked: str) -> str:
    """The map that link-vmlinux.sh makes of the linked kernel of this name; so in v6.1 to v7.4."""
    return "System.map" if linked == "vmlinux" else linked + ".syms"
