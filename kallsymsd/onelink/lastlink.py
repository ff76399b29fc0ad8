# SPDX-License-Identifier: GPL-2.0-only
"""Remembers the last link of an object tree and predicts the map of the next one.

Two files in the object tree hold the last link: .tmp_vmlinux.inputs has the symbols of the linker's inputs,
.tmp_vmlinux2.syms is the resulting map. "make clean" removes both. They only serve a prediction, which is
checked later. But the native core relies on consistent columns, so a damaged or unknown file is not used.
"""

from __future__ import annotations

import contextlib
import os
import struct
import sys
from typing import TYPE_CHECKING, NamedTuple

import xxhash

from kallsymsd.core.native.strings import Strings
from kallsymsd.elf.elffile import ElfFile
from kallsymsd.elf.vmlinux import symbol_part
from kallsymsd.onelink import inputs
from kallsymsd.onelink.inputs import Classes, Inputs
from kallsymsd.onelink.prediction import Prediction, UnpredictableError, name_filter, predict
from kallsymsd.protocol.regular import Reader, open_regular, read_regular, write_new

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from kallsymsd.core.dialects import Dialect

#: The map of the last link.
MAP = ".tmp_vmlinux2.syms"
#: The predicted map of the next link.
PREDICTED = ".tmp_vmlinux.predicted.syms"
#: The linker's inputs, without objects that never change; the first always exists.
FILES = ("vmlinux.o", ".vmlinux.export.o")
_INPUTS = ".tmp_vmlinux.inputs"
_COMING = ".tmp_vmlinux.inputs.new"
# Size limit of our files in bytes.
_MOST = 1 << 30
_UNKNOWN = "nothing is known about the last link in this tree"
# Magic with layout version and byte order; digest of everything after the next field; digest of the map;
# number of class names; number of parts. Then a u32 length per class name, two u64 lengths per part, the
# names, the identities, the columns.
_HEADER = struct.Struct("=8s16s16sII")
_MAGIC = b"KSinp2le" if sys.byteorder == "little" else b"KSinp2be"
# Identifies an unchanged input file by inode and times, like make. That suffices: predictions are checked.
_IDENTITY = struct.Struct("=5Q")


class LinkInputs(NamedTuple):
    """The linker's input files for one link.

    inputs      their symbols
    identities  for each file: device, inode, size, mtime, ctime
    """

    inputs: Inputs
    identities: tuple[bytes, ...]


def predict_link(tree: Path, dialect: Dialect) -> tuple[LinkInputs, Prediction | UnpredictableError]:
    """The inputs of the next link in the object tree ``tree``, and its predicted map or why there is none.

    OSError or InputError for an input that cannot be read.
    """
    known = recall(tree)
    coming = _read_inputs(tree, known)
    if known is None:
        return coming, UnpredictableError(_UNKNOWN)
    try:
        return coming, _predict(known, coming, dialect)
    except UnpredictableError as error:
        return coming, error


def predicted_map(tree: Path, dialect: Dialect) -> bytes:
    """The predicted map of the next link, for callers that do not link.

    UnpredictableError if it cannot be predicted, for example during that link; OSError or InputError for an
    input that cannot be read. Reads the inputs only if the last link is known.
    """
    known = recall(tree)
    if known is None:
        raise UnpredictableError(_UNKNOWN)
    return _predict(known, _read_inputs(tree, known), dialect).text


def _read_inputs(tree: Path, known: tuple[LinkInputs, bytes] | None) -> LinkInputs:
    """The inputs of the next link; unchanged files are taken from ``known``, the last link."""
    classes = known[0].inputs.classes if known else Classes()
    parts = dict(zip(known[0].identities, known[0].inputs.parts, strict=True)) if known else {}
    read = [
        _read(tree / name, parts, classes) for name in FILES if name == FILES[0] or (tree / name).exists()
    ]
    return LinkInputs(Inputs(tuple(part for part, _ in read), classes), tuple(each for _, each in read))


def _predict(known: tuple[LinkInputs, bytes], coming: LinkInputs, dialect: Dialect) -> Prediction:
    return predict(known[0].inputs, known[1], coming.inputs, name_filter(dialect))


def _read(path: Path, parts: Mapping[bytes, Strings], classes: Classes) -> tuple[Strings, bytes]:
    """The symbols of a file and its identity; ``parts`` are known symbols by identity."""
    with os.fdopen(open_regular(str(path), follow=True), "rb", buffering=0) as file:
        status = os.fstat(file.fileno())
        identity = _IDENTITY.pack(
            status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns
        )
        if identity in parts:
            return parts[identity], identity
        # Do not map the file: objtool may be writing to it.
        reader = Reader(file.fileno(), status.st_size)
        data = symbol_part(reader.read, reader.size)
        return inputs.read(ElfFile.read(data), classes), identity


def recall(tree: Path) -> tuple[LinkInputs, bytes] | None:
    """The inputs and the map of the last link; None if they are not known."""
    try:
        data = read_regular(str(tree / _INPUTS), _MOST, follow=False)
        map_text = read_regular(str(tree / MAP), _MOST, follow=False)
        magic, digest, map_digest, class_count, part_count = _HEADER.unpack_from(data)
        if magic != _MAGIC or digest != xxhash.xxh3_128_digest(memoryview(data)[24 + 16 :]):
            return None
    except (OSError, struct.error):
        return None
    if map_digest != xxhash.xxh3_128_digest(map_text):
        return None
    lengths = struct.unpack_from(f"={class_count}I", data, _HEADER.size)
    sizes = struct.unpack_from(f"={2 * part_count}Q", data, _HEADER.size + 4 * class_count)
    at = _HEADER.size + 4 * class_count + 16 * part_count
    fields = []
    for length in (*lengths, *[_IDENTITY.size] * part_count, *sizes):
        fields.append(data[at : at + length])
        at += length
    names, identities = fields[:class_count], fields[class_count : class_count + part_count]
    columns = fields[class_count + part_count :]
    try:
        parts = tuple(Strings(*pair) for pair in zip(columns[::2], columns[1::2], strict=True))
    except ValueError:
        return None
    return LinkInputs(Inputs(parts, Classes(names)), tuple(identities)), map_text


def note(tree: Path, coming: LinkInputs) -> None:
    """Save the inputs of the next link."""
    names = coming.inputs.classes.names
    columns = [column for part in coming.inputs.parts for column in (part.data, part.starts)]
    rest = b"".join(
        (
            struct.pack("=II", len(names), len(coming.inputs.parts)),
            struct.pack(f"={len(names)}I", *map(len, names)),
            struct.pack(f"={len(columns)}Q", *map(len, columns)),
            *names,
            *coming.identities,
            *columns,
        )
    )
    digest = xxhash.xxh3_128_digest(rest)
    write_new(str(tree / _COMING), _MAGIC, digest, bytes(16), rest, mode=0o666)


def learn(tree: Path, map_text: bytes) -> None:
    """Remember that the inputs saved by note() gave ``map_text``."""
    temporary = tree / f"{MAP}.new"
    write_new(str(temporary), map_text, mode=0o666)
    temporary.replace(tree / MAP)
    with contextlib.suppress(OSError):  # then the next link is not predicted
        descriptor = open_regular(str(tree / _COMING), os.O_WRONLY, follow=False)
        try:
            os.pwrite(descriptor, xxhash.xxh3_128_digest(map_text), 24)
        finally:
            os.close(descriptor)
        (tree / _COMING).replace(tree / _INPUTS)


def forget(tree: Path) -> None:
    """Forget the last link: the next one is not predicted."""
    for name in (_INPUTS, _COMING):
        (tree / name).unlink(missing_ok=True)
