# SPDX-License-Identifier: GPL-2.0-only
"""What can happen to a cache directory, done to it on purpose."""

import random
import sqlite3
from collections.abc import Callable
from pathlib import Path

import xxhash

#: Does harm to the value files, of which there is at least one.
Damage = Callable[[random.Random, list[Path]], None]

#: Layout of a value: magic, u16 schema, u16 zero, u64 length, SHA-256 of key and payload, payload.
HEADER = 48


def values(directory: Path) -> list[Path]:
    """The value files below a cache directory."""
    return sorted(directory.glob("store/*/*/*.val"))


def value_of(directory: Path, key: bytes) -> Path | None:
    """The value file of a key, None if nothing is stored under it."""
    connection = sqlite3.connect(directory / "store" / "cache.db")
    try:
        row = connection.execute("SELECT filename FROM Cache WHERE key = ?", (key,)).fetchone()
    finally:
        connection.close()
    return directory / "store" / row[0] if row else None


def flip(rng: random.Random, paths: list[Path]) -> None:
    """One bit is another."""
    path = rng.choice(paths)
    content = bytearray(path.read_bytes())
    if content:  # it may have been cut to nothing before
        content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    path.write_bytes(content)


def flip_all(rng: random.Random, paths: list[Path]) -> None:
    for path in paths:
        flip(rng, [path])


def truncate(rng: random.Random, paths: list[Path]) -> None:
    path = rng.choice(paths)
    path.write_bytes(path.read_bytes()[: rng.randrange(max(path.stat().st_size, 1))])


def truncate_all(rng: random.Random, paths: list[Path]) -> None:
    for path in paths:
        truncate(rng, [path])


def extend(rng: random.Random, paths: list[Path]) -> None:
    with rng.choice(paths).open("ab") as file:
        file.write(rng.randbytes(rng.randrange(1, 100)))


def delete(rng: random.Random, paths: list[Path]) -> None:
    rng.choice(paths).unlink()


def rotate(_rng: random.Random, paths: list[Path]) -> None:
    """Every file has the contents of the next one; with one file nothing happens."""
    contents = [path.read_bytes() for path in paths]
    for path, content in zip(paths, contents[1:] + contents[:1], strict=True):
        path.write_bytes(content)


def other_schema(_rng: random.Random, paths: list[Path]) -> None:
    """Every value is what a daemon with the next schema version would have written: sound, but not ours."""
    for path in paths:
        content = path.read_bytes()
        if len(content) >= HEADER:
            schema = int.from_bytes(content[4:6], "little") + 1
            path.write_bytes(content[:4] + schema.to_bytes(2, "little") + content[6:])


#: Each is noticed when the value is read; ``delete`` is a plain miss.
DAMAGES: tuple[Damage, ...] = (
    flip,
    flip_all,
    truncate,
    truncate_all,
    extend,
    delete,
    rotate,
    other_schema,
)


def sealed(key: bytes, payload: bytes, *, schema: int = 1) -> bytes:
    """A value whose checksum is right, whatever its payload is."""
    head = b"KSST" + schema.to_bytes(2, "little") + bytes(2) + len(payload).to_bytes(8, "little")
    return head + xxhash.xxh3_128(key + payload).digest() + payload
