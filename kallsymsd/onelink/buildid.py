# SPDX-License-Identifier: GPL-2.0-only
"""Recomputes the build-id, a digest of the linked file, as its linker would.

GNU ld takes one digest of headers and sections in the order of the section table (bfd/elfcode.h,
elf_checksum_contents). ld.lld cuts the file into chunks of 1 MiB and takes a digest of their digests, each as
long as the id (lld/ELF/Writer.cpp, writeBuildId); the kind of digest depends on its release. docs/one-link.md
has the details.

The note does not say which linker wrote it, nor how. So a formula is used only if it reproduces the id in the
file. An id that is random, given on the command line or written by another linker matches no formula.
"""

import hashlib
import re
import struct
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Literal

import xxhash

from kallsymsd.elf.elffile import ElfFile

#: File offset, and the bytes to write there.
Replacement = tuple[int, bytes]

# A piece of a digest's input, before and after the change; the same object twice if unchanged.
_Piece = tuple[bytes | memoryview, bytes | memoryview]
_Hash = Callable[[Sequence[bytes | memoryview]], bytes]
_Formula = Callable[[ElfFile, "Note", Sequence[Replacement]], tuple[bytes, bytes]]

_SHF_ALLOC = 2
_NT_GNU_BUILD_ID = 3
_NOTE_HEADER = 16  # three words and the name, "GNU" with its zero
_LLD_CHUNK = 1 << 20
# "Linker: LLD 16.0.6", with a distribution's name before LLD. Below: the releases that changed a digest.
_LLD_COMMENT = re.compile(rb"Linker: (?:[^\0]* )?LLD (\d{1,4})\b")
_LLD_BLAKE3 = 15
_LLD_XXH3 = 17


class Note:
    """A build-id note: file offsets of the note (start) and of the id (offset), and the id's bytes."""

    __slots__ = ("id", "offset", "start")

    def __init__(self, start: int, identity: bytes) -> None:
        self.start = start
        self.offset = start + _NOTE_HEADER
        self.id = identity

    @property
    def end(self) -> int:
        """File offset of the id's end."""
        return self.offset + len(self.id)


def find(elf: ElfFile) -> Note | None:
    """The first build-id note of a file, or None. Linkers write only one (elf(5), "Notes (Nhdr)")."""
    words = struct.Struct(">III" if elf.big_endian else "<III")
    for section in elf.sections:
        if section.type != "SHT_NOTE":
            continue
        contents = elf.contents(section)
        at = 0
        while at + words.size <= len(contents):
            name, size, kind = words.unpack_from(contents, at)
            name_at = at + words.size
            id_at = name_at + (name + 3 & ~3)
            if id_at + size > len(contents):
                break
            if kind == _NT_GNU_BUILD_ID and bytes(contents[name_at : name_at + name]) == b"GNU\0":
                return Note(section.offset + at, bytes(contents[id_at : id_at + size]))
            at = id_at + (size + 3 & ~3)
    return None


class UnknownFormulaError(Exception):
    """The id cannot be computed; the text is one line that says why."""


def recompute(elf: ElfFile, note: Note, replacements: Sequence[Replacement]) -> bytes:
    """The id of the file after ``replacements`` (sorted, not overlapping, outside the note).

    The input is hashed once per formula tried, which is usually one. UnknownFormulaError if no formula
    reproduces the id in the file.
    """
    release = _lld_release(elf)
    missing = ""
    for formula in _formulas(len(note.id), release):
        try:
            before, after = formula(elf, note, replacements)
        except ImportError:
            # PyPI has binaries of blake3 for most machines, but not for all.
            if release >= _LLD_BLAKE3:
                missing = f"; LLD {release} uses BLAKE3: install the Python package blake3"
            continue
        if before == note.id:
            return after
    raise UnknownFormulaError(f"no known formula gives its build-id, {note.id.hex()}{missing}")


def _lld_release(elf: ElfFile) -> int:
    """The release of LLD that .comment names as the file's linker; 0 for another linker."""
    comment = elf.section(b".comment")
    said = _LLD_COMMENT.search(elf.contents(comment)) if comment is not None else None
    return int(said[1]) if said else 0


def _formulas(length: int, release: int) -> list[_Formula]:
    """The formulas for an id of ``length`` bytes, the likeliest first; ``release`` is from _lld_release()."""
    match length:
        case 20:
            gnu, lld = _gnu("sha1"), [_lld(_plain("sha1")), _lld(_blake3(length))]
        case 16:
            gnu, lld = _gnu("md5"), [_lld(_plain("md5")), _lld(_blake3(length))]
        case 8:
            lld = [_lld(_xxh64), _lld(_xxh3)]
            return lld[::-1] if release >= _LLD_XXH3 else lld
        case _:
            return []
    if release >= _LLD_BLAKE3:
        lld.reverse()
    return [*lld, gnu] if release else [gnu, *lld]


class _Input:
    """The input of a formula: the file before and after the change, with one range of zeros in both."""

    def __init__(self, elf: ElfFile, replacements: Sequence[Replacement], zeros: tuple[int, int]) -> None:
        self.file = memoryview(elf.data)
        start, end = zeros
        self._changes = sorted(
            [(start, bytes(end - start), True), *((offset, data, False) for offset, data in replacements)]
        )

    def pieces(self, start: int, end: int) -> Iterator[_Piece]:
        """The range from ``start`` to ``end``."""
        for offset, data, both in self._changes:
            first, last = max(start, offset), min(end, offset + len(data))
            if first >= last:
                continue
            new = memoryview(data)[first - offset : last - offset]
            yield _same(self.file[start:first])
            yield (new if both else self.file[first:last]), new
            start = last
        yield _same(self.file[start:end])


def _same(piece: bytes | memoryview) -> _Piece:
    return piece, piece


def _gnu(algorithm: str) -> _Formula:
    def digests(elf: ElfFile, note: Note, replacements: Sequence[Replacement]) -> tuple[bytes, bytes]:
        # Zeros for the whole note, not only for the id: ld writes the note after it has computed the digest.
        pieces = list(_gnu_pieces(elf, _Input(elf, replacements, (note.start, note.end))))
        changed = next((i for i, (old, new) in enumerate(pieces) if old is not new), len(pieces))
        before = hashlib.new(algorithm, usedforsecurity=False)
        _feed(before, [old for old, _ in pieces[:changed]])
        after = before.copy()
        thread = threading.Thread(target=_feed, args=(after, [new for _, new in pieces[changed:]]))
        thread.start()
        _feed(before, [old for old, _ in pieces[changed:]])
        thread.join()
        return before.digest(), after.digest()

    return digests


def _feed(digest: "hashlib._Hash", pieces: list[bytes | memoryview]) -> None:
    for piece in pieces:
        digest.update(piece)


def _gnu_pieces(elf: ElfFile, source: _Input) -> Iterator[_Piece]:
    """ELF header and program headers, then header and contents of each section.

    File offsets in headers are left out, as are the contents of symbol and string tables that are not loaded.
    """
    file = source.file
    word = 8 if elf.bits == 64 else 4
    order: Literal["little", "big"] = "big" if elf.big_endian else "little"
    # Elf32_Ehdr, Elf64_Ehdr: 24 bytes; e_entry, e_phoff, e_shoff; 32 bits of flags; then 16 bits each.
    program_at, section_at = (
        int.from_bytes(file[at : at + word], order) for at in (24 + word, 24 + 2 * word)
    )
    ehsize, phentsize, phnum, shentsize = (
        int.from_bytes(file[at : at + 2], order) for at in range(28 + 3 * word, 36 + 3 * word, 2)
    )
    yield _same(bytes(file[: 24 + word]) + bytes(2 * word) + bytes(file[24 + 3 * word : ehsize]))
    yield _same(file[program_at : program_at + phnum * phentsize])
    for section in elf.sections:
        header = bytes(file[section_at : section_at + shentsize])
        section_at += shentsize
        # Elf32_Shdr, Elf64_Shdr: sh_name, sh_type; sh_flags, sh_addr, sh_offset.
        yield _same(header[: 8 + 2 * word] + bytes(word) + header[8 + 3 * word :])
        is_own_table = section.type in ("SHT_SYMTAB", "SHT_STRTAB") and not section.flags & _SHF_ALLOC
        if section.type != "SHT_NOBITS" and not is_own_table:
            yield from source.pieces(section.offset, section.offset + section.size)


def _lld(hashed: _Hash) -> _Formula:
    def digests(elf: ElfFile, note: Note, replacements: Sequence[Replacement]) -> tuple[bytes, bytes]:
        source = _Input(elf, replacements, (note.offset, note.end))
        before, after = [], []
        for start in range(0, len(source.file), _LLD_CHUNK):
            pieces = list(source.pieces(start, min(start + _LLD_CHUNK, len(source.file))))
            before.append(hashed([old for old, _ in pieces]))
            # Most chunks are unchanged.
            same = all(old is new for old, new in pieces)
            after.append(before[-1] if same else hashed([new for _, new in pieces]))
        return hashed(before), hashed(after)

    return digests


def _plain(algorithm: str) -> _Hash:
    def hashed(pieces: Sequence[bytes | memoryview]) -> bytes:
        digest = hashlib.new(algorithm, usedforsecurity=False)
        for piece in pieces:
            digest.update(piece)
        return digest.digest()

    return hashed


def _blake3(length: int) -> _Hash:
    """The first ``length`` bytes of BLAKE3; its first use raises ImportError if the package is missing."""

    def hashed(pieces: Sequence[bytes | memoryview]) -> bytes:
        from blake3 import blake3  # noqa: PLC0415  # seldom needed, and missing on some machines

        digest = blake3()
        for piece in pieces:
            digest.update(piece)
        return digest.digest(length)

    return hashed


def _xxh64(pieces: Sequence[bytes | memoryview]) -> bytes:
    digest = xxhash.xxh64()
    for piece in pieces:
        digest.update(piece)
    return digest.intdigest().to_bytes(8, "little")


def _xxh3(pieces: Sequence[bytes | memoryview]) -> bytes:
    digest = xxhash.xxh3_64()
    for piece in pieces:
        digest.update(piece)
    return digest.intdigest().to_bytes(8, "little")
