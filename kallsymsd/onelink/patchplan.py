# SPDX-License-Identifier: GPL-2.0-only
"""Plans a patch: the bytes to change in a linked ELF file for the tables it needs, or why that is impossible.

Two links with kallsyms tables of the same sizes differ only in these tables, their relocations and the
build-id. Each of these is checked or computed here; docs/one-link.md explains why nothing else differs.
"""

from typing import Literal, NamedTuple

from kallsymsd.core.dialects import OFFSETS_LAST
from kallsymsd.core.native import encoding
from kallsymsd.core.tables import ADDRESSES, DISTANCE, Tables, swapped
from kallsymsd.core.target import Target
from kallsymsd.elf.elffile import ElfFile, Section, Symbol
from kallsymsd.onelink import buildid, relocations
from kallsymsd.onelink.buildid import Replacement
from kallsymsd.onelink.relocations import Relocation

_EVERY_TABLE = (*OFFSETS_LAST, "addresses")
_SHF_ALLOC = 2
_UNKNOWN_KIND = "kallsyms_relative_base has an unknown kind of relocation"


class Patch(NamedTuple):
    """What to write into a file: sorted, not overlapping; empty if the file is up to date."""

    replacements: list[Replacement]


class LayoutDiffers(NamedTuple):
    """The file must be linked again with the given tables; ``reason`` is one line."""

    reason: str


def plan(elf: ElfFile, tables: Tables, *others: Replacement) -> Patch | LayoutDiffers:
    """The patch that turns ``elf`` into the file that its linker makes with ``tables``.

    ``tables`` are those of the file's own symbols; ``others`` are replacements in other sections. ``elf``
    must come straight from the linker: after another program has changed it (sorttable, strip), its build-id
    is not recognized. Raises InputError for a damaged file.
    """
    try:
        replacements = _replacements(elf, tables)
        replacements += [(at, data) for at, data in others if data != elf.data[at : at + len(data)]]
        replacements.sort()
        if replacements and (note := buildid.find(elf)):
            replacements.append((note.offset, buildid.recompute(elf, note, replacements)))
    except (_DiffersError, buildid.UnknownFormulaError) as difference:
        return LayoutDiffers(str(difference))
    return Patch(sorted(replacements))


class _DiffersError(Exception):
    """Raised with the reason for a LayoutDiffers."""


class _Layout(NamedTuple):
    """Where the tables are.

    section  the section of all tables
    places   address of each needed table, in order
    text     address of _text
    """

    section: Section
    places: dict[str, int]
    text: int

    def offset(self, table: str) -> int:
        """File offset of a table."""
        return self.section.offset + self.places[table] - self.section.address


def _replacements(elf: ElfFile, tables: Tables) -> list[Replacement]:
    """All replacements but the build-id."""
    if tables.address_form == ADDRESSES:
        raise _DiffersError("absolute addresses, each with a relocation, cannot be patched")
    contents: dict[str, bytes] = tables.encode(_target(elf))
    contents["num_syms"] = tables.num_syms.to_bytes(4, _order(elf))
    contents["relative_base"] = bytes(elf.bits // 8)
    contents.setdefault("offsets", bytes(4 * tables.num_syms))
    needed = [
        table
        for table in tables.dialect.order
        if table != "relative_base" or tables.relative_base is not None
    ]
    layout = _layout(elf, tables, {table: len(contents[table]) for table in needed})
    if elf.data[layout.offset("num_syms") :][:4] != contents["num_syms"]:
        raise _DiffersError(f"kallsyms_num_syms is not {tables.num_syms}")
    changes: list[Replacement] = []
    if "relative_base" in needed:
        contents["relative_base"] = _relative_base(elf, tables, layout, changes)
    if tables.address_form == DISTANCE and tables.num_syms:
        contents["offsets"] = _distances(elf, tables, layout, changes)
    start = layout.offset(needed[0])
    new = bytearray()
    for table in needed:
        new += bytes(layout.offset(table) - start - len(new))  # padding
        new += contents[table]
    if new != elf.data[start : start + len(new)]:
        changes.append((start, bytes(new)))
    return changes


def _target(elf: ElfFile) -> Target:
    return Target(elf.bits, elf.big_endian)


def _order(elf: ElfFile) -> Literal["little", "big"]:
    return "big" if elf.big_endian else "little"


def _layout(elf: ElfFile, tables: Tables, sizes: dict[str, int]) -> _Layout:
    """The layout of the file, after all checks that need only its labels."""
    names = {table: b"kallsyms_" + table.encode() for table in _EVERY_TABLE}
    found = elf.find([b"_text", *names.values()])
    text = found[b"_text"].value if b"_text" in found else 0
    if text != tables.symbols.text_address % (1 << elf.bits):
        raise _DiffersError("the tables are for other symbols: their _text has another address")
    labels = {table: found[name] for table, name in names.items() if name in found}
    for table in names:
        if (table in labels) != (table in sizes):
            verb = "lacks" if table in sizes else "has"
            raise _DiffersError(f"it {verb} kallsyms_{table}, unlike tables of dialect {tables.dialect.name}")
    end = _end(tables, sizes, labels, tables.alignment(_target(elf)))
    first = labels[next(iter(sizes))]
    section = elf.sections[first.section] if first.section < len(elf.sections) else None
    if (
        section is None
        or section.type != "SHT_PROGBITS"
        or not section.address <= first.value <= end <= section.address + section.size
    ):
        raise _DiffersError("its kallsyms tables are not in a section with contents")
    elf.contents(section)  # InputError if the file ends before the section does
    return _Layout(section, {table: labels[table].value for table in sizes}, text)


def _end(tables: Tables, sizes: dict[str, int], labels: dict[str, Symbol], alignment: int) -> int:
    """The end of the last table, after checking that the labels fit consecutive tables of these sizes."""
    first = labels[next(iter(sizes))]
    end, before = first.value, "the first table"
    for table, size in sizes.items():
        label, expected = labels[table], end + -end % alignment
        if label.value != expected or label.section != first.section:
            raise _DiffersError(f"kallsyms_{table} is at {label.value:#x}, not {expected:#x}, after {before}")
        if table in tables.dialect.sizes and label.size != size:
            raise _DiffersError(f"kallsyms_{table} has {label.size} bytes and needs {size}")
        end, before = expected + size, f"{size} bytes of kallsyms_{table}"
    return end


def _relative_base(elf: ElfFile, tables: Tables, layout: _Layout, changes: list[Replacement]) -> bytes:
    """The word at kallsyms_relative_base: "_text + N" as the linker resolves it. N is 0 on many machines.

    If N changes, so do the addends of its relocations. The addend is N for a relocation against _text, which
    --emit-relocs leaves, and the sum for one without a symbol, which the loader applies. With the latter, the
    word itself may be 0.
    """
    if tables.relative_base is None:
        raise AssertionError("this table is not needed")
    word, order, mask = elf.bits // 8, _order(elf), (1 << elf.bits) - 1
    new = tables.relative_base & mask
    present = bytes(elf.data[layout.offset("relative_base") :][:word])
    old = int.from_bytes(present, order)
    if old == new:
        return present
    if relocations.awaits_symbol(elf, layout.places["relative_base"]):
        raise _DiffersError(_UNKNOWN_KIND)
    entries = list(relocations.at_place(elf, layout.places["relative_base"]))
    is_unapplied = old == 0 and any(entry.symbol == 0 for entry in entries)
    if is_unapplied:
        old = next(entry.addend for entry in entries if entry.symbol == 0) & mask
    for entry in entries:
        if entry.symbol == 0 and entry.addend & mask == old:
            addend = new
        elif _is_text(elf, entry) and entry.addend & mask == (old - layout.text) & mask:
            addend = (new - layout.text) & mask
        else:
            raise _DiffersError(_UNKNOWN_KIND)
        if addend != entry.addend & mask:
            changes.append((relocations.addend_at(elf, entry), addend.to_bytes(word, order)))
    return present if is_unapplied else new.to_bytes(word, order)


def _distances(elf: ElfFile, tables: Tables, layout: _Layout, changes: list[Replacement]) -> bytes:
    """The column "_text - . + N" as the linker resolves it: each symbol's distance from its own entry.

    --emit-relocs leaves one relocation per entry, against _text with addend N.
    """
    place = layout.places["offsets"]
    column, is_bad = encoding.encode_distances(tables.offsets, layout.text - place)
    if is_bad:
        raise _DiffersError("a symbol is too far from kallsyms_offsets")
    if relocations.awaits_symbol(elf, place):
        raise _DiffersError("kallsyms_offsets has an unknown kind of relocations")
    addends = memoryview(tables.offsets).cast("i")
    done = range(0)
    for entry in relocations.at_place(elf, place):
        start = entry.section.offset + entry.start
        if start in done:
            continue
        changed = relocations.with_addends(elf, entry, place, addends) if _is_text(elf, entry) else None
        if changed is None:
            raise _DiffersError("kallsyms_offsets has an unknown kind of relocations")
        done = range(start, start + len(changed))
        if changed != elf.data[start : start + len(changed)]:
            changes.append((start, changed))
    return swapped("I", column, _target(elf))


def _is_text(elf: ElfFile, entry: Relocation) -> bool:
    """Whether a relocation that --emit-relocs left is against _text."""
    if entry.section.flags & _SHF_ALLOC:
        return False
    symbols = elf.symbols()
    if entry.symbol * 4 >= len(symbols.names):
        return False
    name = memoryview(symbols.names).cast("I")[entry.symbol]
    return bytes(symbols.strings[name : name + 6]) == b"_text\0"
