# SPDX-License-Identifier: GPL-2.0-only
"""BTF with one link: the last link's BTF is linked in again, then replaced by that of the new file.

The kernel's own script runs pahole on a link without BTF and without tables. Here pahole runs on the one
link, with its BTF hidden. docs/one-link.md explains why both give the same. doubt() lists the cases where
that was not examined; they take the kernel's own first link.
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
# Size limit of the object with BTF in bytes; a kernel's has 10 MB.
_MOST = 1 << 30
# Newest version of pahole that was examined, as in CONFIG_PAHOLE_VERSION.
_NEWEST = 131
# pahole's flags in the kernel's Makefiles since 6.1. Their effect does not depend on the file's layout.
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
    """Why ``made``, the object with the last link's BTF, must not be linked in again; "" if it may be."""
    if not configuration.is_enabled("CONFIG_X86"):
        return "BTF needs a separate link, because linkers for other machines than x86 add and relax code"
    for flag in environment.get("PAHOLE_FLAGS", "").split():
        name, _, features = flag.partition("=")
        known = _FLAG.fullmatch(flag) is not None
        if name == "--btf_features":
            known = known and _FEATURES.issuperset(features.replace("+", "").split(","))
        if not known:
            return f"BTF needs a separate link, because of the unknown pahole flag {flag}"
    if configuration.number("CONFIG_PAHOLE_VERSION") > _NEWEST:
        return "BTF needs a separate link, because this version of pahole is unknown"
    if not made.exists():
        return "this tree has no BTF from the last link"
    try:
        is_whole = _holds_nothing_else(ElfFile.read(read_regular(str(made), _MOST, follow=True)))
    except InputError:
        is_whole = False
    return "" if is_whole else "the BTF from the last link in this tree is damaged"


def is_reproducible(environment: Mapping[str, str]) -> bool:
    """Whether pahole gives the same result at each run: with several threads, only if a flag says so."""
    flags = environment.get("PAHOLE_FLAGS", "")
    return "-j" not in flags or "reproducible_build" in flags


def hide(elf: ElfFile, copy: Path) -> bool:
    """Rename the section .BTF in ``copy``, a copy of ``elf``; False if there is no such section.

    Only the name's offset changes, by one: the new name is the old one without its dot.
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
    """The replacement that puts the BTF of the object ``made`` into ``elf``, or why it must be linked again.

    InputError if ``made`` has no BTF or one of the files is damaged.
    """
    wanted, contents = read(made)
    present = elf.section(_SECTION)
    if present is None:
        return "it has no BTF"
    if present.size != wanted.size:
        return f"BTF has {present.size} bytes and needs {wanted.size}"
    if _kind(present) != _kind(wanted):
        return "BTF needs a section with another type, flags or alignment"
    elf.contents(present)  # InputError if the file ends before the section does
    return present.offset, contents


def read(made: Path) -> tuple[Section, bytes]:
    """The section .BTF of an object and its contents; InputError if there is none because pahole failed."""
    elf = ElfFile.read(read_regular(str(made), _MOST, follow=True))
    section = elf.section(_SECTION)
    contents = bytes(elf.contents(section)) if section else b""
    if section is None or not contents:
        raise InputError(b"no BTF", detail=b"pahole made none")
    return section, contents


def _holds_nothing_else(elf: ElfFile) -> bool:
    """Whether an object contributes only .BTF to a link: nothing else in it is checked later."""
    brought = [
        section.name
        for section in elf.sections
        if section.type not in ("SHT_NULL", "SHT_STRTAB")
        and not (section.type == "SHT_SYMTAB" and section.size <= section.entry_size)
    ]
    return brought == [_SECTION]


def _kind(section: Section) -> tuple[str, int, int]:
    return section.type, section.flags, section.alignment
