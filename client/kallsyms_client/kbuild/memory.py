# SPDX-License-Identifier: GPL-2.0-only
"""What the last link of an object tree is remembered by: the symbols that went in, and the map that came out.

Two files in the object tree, with names that "make clean" removes: .tmp_vmlinux.inputs and
.tmp_vmlinux2.syms. They only serve a prediction, which is checked; but the native core relies on columns that
fit together, so what was not written by us, or was damaged, is not used.
"""

from __future__ import annotations

import contextlib
import struct
from pathlib import Path

import xxhash

from kallsymsd.core.inputs import Classes, Inputs

#: The map of the last link.
MAP = Path(".tmp_vmlinux2.syms")
_INPUTS = Path(".tmp_vmlinux.inputs")
_COMING = Path(".tmp_vmlinux.inputs.new")
# Magic with the version of the layout; digest of all behind the next field; digest of the map; number of
# class names, of parts. Then a u32 length each class name, two u64 lengths each part; the names; the columns.
_HEADER = struct.Struct("=8s16s16sII")
_MAGIC = b"KSinput1"


def recall() -> tuple[Inputs, bytes] | None:
    """What went into the last link, and its map; None if that is not known."""
    try:
        data = _INPUTS.read_bytes()
        map_text = MAP.read_bytes()
        magic, digest, map_digest, class_count, part_count = _HEADER.unpack_from(data)
        if magic != _MAGIC or digest != xxhash.xxh3_128_digest(data[24 + 16 :]):
            return None
    except (OSError, struct.error):
        return None
    if map_digest != xxhash.xxh3_128_digest(map_text):
        return None
    lengths = struct.unpack_from(f"={class_count}I", data, _HEADER.size)
    sizes = struct.unpack_from(f"={2 * part_count}Q", data, _HEADER.size + 4 * class_count)
    at = _HEADER.size + 4 * class_count + 16 * part_count
    fields = []
    for length in (*lengths, *sizes):
        fields.append(data[at : at + length])
        at += length
    names, columns = fields[:class_count], fields[class_count:]
    return Inputs(tuple(zip(columns[::2], columns[1::2], strict=True)), Classes(names)), map_text


def note(inputs: Inputs) -> None:
    """Write down what is about to be linked."""
    names = inputs.classes.names
    columns = [column for part in inputs.parts for column in part]
    rest = b"".join(
        (
            struct.pack("=II", len(names), len(inputs.parts)),
            struct.pack(f"={len(names)}I", *map(len, names)),
            struct.pack(f"={len(columns)}Q", *map(len, columns)),
            *names,
            *columns,
        )
    )
    digest = xxhash.xxh3_128_digest(rest)
    with _COMING.open("wb") as file:
        file.writelines((_MAGIC, digest, bytes(16), rest))


def learn(map_text: bytes) -> None:
    """What was noted last is what gave ``map_text``."""
    temporary = MAP.with_name(".tmp_vmlinux2.syms.new")
    temporary.write_bytes(map_text)
    temporary.replace(MAP)
    with contextlib.suppress(OSError):  # then the next link is not predicted
        with _COMING.open("r+b") as file:
            file.seek(24)
            file.write(xxhash.xxh3_128_digest(map_text))
        _COMING.replace(_INPUTS)


def forget() -> None:
    """The next link is like the first one."""
    for path in (_INPUTS, _COMING):
        path.unlink(missing_ok=True)
