# SPDX-License-Identifier: GPL-2.0-only
"""BTF with one link: that of the last link is linked in again, and must then be what this link's is.

The script has pahole make BTF of a link without it, and without the tables. Here pahole is given the one
link, with its BTF hidden. docs/one-link.md says why both give the same; what has not been looked at is in
doubt(), and then the script's own first link is made.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from kallsymsd.core.errors import InputError
from kallsymsd.elf import elfheader
from kallsymsd.elf.elffile import ElfFile
from kallsymsd.protocol.regular import open_regular, read_regular

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from typing import Literal

    from kallsymsd.elf.elffile import Section
    from kallsymsd.onelink.buildid import Replacement
    from kallsymsd.onelink.configuration import Configuration

_SECTION = b".BTF"
# Largest object with it, in bytes; a kernel's has 10 MB.
_MOST = 1 << 30
# Versions of pahole, as in CONFIG_PAHOLE_VERSION.
_NEWEST = 131
# What the kernel's Makefiles have pahole do, from 6.1 on; the same whatever the layout of the file.
_FLAG = re.compile(
    r"-j[0-9]*|--skip_encoding_btf_(?:vars|enum64|inconsistent_proto)|--btf_gen_(?:floats|optimized)"
    r"|--lang_exclude=rust|--btf_features=[a-z0-9_,+]+"
)
_FEATURES = frozenset(
    (
        *("attributes", "consistent_func", "decl_tag", "decl_tag_kfuncs", "encode_force", "enum64", "float"),
        *("optimized_func", "reproducible_build", "type_tag", "var"),
    )
)


def doubt(configuration: Configuration, made: Path, environment: Mapping[str, str]) -> str:
    """Why ``made``, the object with the last link's BTF, is not to be linked in again; "" if it may be."""
    if not configuration.is_enabled("CONFIG_X86"):
        return "BTF is made from a link of its own, as linkers of other machines than x86 add and relax code"
    for flag in environment.get("PAHOLE_FLAGS", "").split():
        name, _, features = flag.partition("=")
        known = _FLAG.fullmatch(flag) is not None
        if name == "--btf_features":
            known = known and _FEATURES.issuperset(features.replace("+", "").split(","))
        if not known:
            return f"BTF is made from a link of its own, as pahole is given {flag}"
    if configuration.number("CONFIG_PAHOLE_VERSION") > _NEWEST:
        return "BTF is made from a link of its own, as this version of pahole is not known"
    if not made.exists():
        return "there is no BTF from a last link in this tree"
    try:
        is_whole = _holds_nothing_else(ElfFile.read(read_regular(str(made), _MOST, follow=True)))
    except InputError:
        is_whole = False
    return "" if is_whole else "BTF from the last link in this tree is damaged"


def is_reproducible(environment: Mapping[str, str]) -> bool:
    """Whether pahole makes the same of one file each time: with several threads only if it is told to."""
    flags = environment.get("PAHOLE_FLAGS", "")
    return "-j" not in flags or "reproducible_build" in flags


def hide(elf: ElfFile, copy: Path) -> bool:
    """Give the .BTF of an ELF file and of its copy another name in the copy; whether there is one.

    All else stays where it is: the name is what follows the dot.
    """
    section = elf.section(_SECTION)
    if section is None:
        return False
    header = elfheader.read(bytes(elf.data[: elfheader.SIZE]))
    at = header.sections_at + section.index * header.section.size
    order: Literal["big", "little"] = "big" if header.big_endian else "little"
    name = int.from_bytes(elf.data[at : at + 4], order)
    descriptor = open_regular(str(copy), os.O_WRONLY, follow=False)
    try:
        os.pwrite(descriptor, (name + 1).to_bytes(4, order), at)
    finally:
        os.close(descriptor)
    return True


def renew(elf: ElfFile, made: Path) -> Replacement | str:
    """What to write into ``elf`` for the BTF of the object ``made``, or why it must be linked again.

    InputError where that has none, or one of them is damaged.
    """
    wanted, contents = read(made)
    present = elf.section(_SECTION)
    if present is None:
        return "it has no BTF"
    if present.size != wanted.size:
        return f"BTF needs {wanted.size} bytes and has {present.size}"
    if _kind(present) != _kind(wanted):
        return "BTF needs a section of another kind"
    elf.contents(present)  # InputError if the file ends before the section does
    return present.offset, contents


def read(made: Path) -> tuple[Section, bytes]:
    """The .BTF of an object, and what is in it; InputError where there is none, as pahole failed."""
    elf = ElfFile.read(read_regular(str(made), _MOST, follow=True))
    section = elf.section(_SECTION)
    contents = bytes(elf.contents(section)) if section else b""
    if section is None or not contents:
        raise InputError(b"no BTF", detail=b"pahole has made none")
    return section, contents


def _holds_nothing_else(elf: ElfFile) -> bool:
    """Whether .BTF is all that an object brings into a link: nothing beside it is looked at after that."""
    brought = [
        section.name
        for section in elf.sections
        if section.type not in ("SHT_NULL", "SHT_STRTAB")
        and not (section.type == "SHT_SYMTAB" and section.size <= section.entry_size)
    ]
    return brought == [_SECTION]


def _kind(section: Section) -> tuple[str, int, int]:
    return section.type, section.flags, section.alignment
