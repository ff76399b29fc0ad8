# SPDX-License-Identifier: GPL-2.0-only
"""Trees whose maps change as a developer's do, with the right answer to each."""

import os
import random
import threading
from pathlib import Path

from kallsymsd.engine import cold
from kallsymsd.protocol import wire

_DIALECT = "v6.11"
_WORDS = (b"dev", b"irq", b"init", b"probe", b"get", b"put", b"map", b"io", b"tx", b"rx", b"read", b"write")
#: A line of a map: address, type, name.
Symbol = tuple[int, bytes, bytes]


def _new_map(rng: random.Random, size: int) -> list[Symbol]:
    address = 0xFFFFFFFF81000000
    symbols = []
    for number in range(size):
        address += 16 * rng.randrange(0, 8)
        name = b"_".join(rng.choice(_WORDS) for _ in range(rng.randrange(1, 5))) + b"_%d" % number
        symbols.append((address, rng.choice([b"t", b"T", b"d", b"D", b"b"]), name))
    return symbols


def _edited(rng: random.Random, symbols: list[Symbol]) -> list[Symbol]:
    """A new map of an old one, by one of the things that happen."""
    at = rng.randrange(len(symbols))
    address, kind, name = symbols[at]
    match rng.randrange(6):
        case 0:  # a function grew
            return symbols[:at] + [(place + 64, t, n) for place, t, n in symbols[at:]]
        case 1:
            return [*symbols[:at], (address, kind, name + b"_renamed"), *symbols[at + 1 :]]
        case 2:
            return [*symbols[:at], (address, b"t", b"new_%d" % rng.randrange(1 << 30)), *symbols[at:]]
        case 3 if len(symbols) > 100:
            return symbols[:at] + symbols[at + rng.randrange(1, 5) :]
        case 4:  # of equal length, so that only contents differ
            return [*symbols[:at], (address, kind, name[::-1]), *symbols[at + 1 :]]
        case _:  # a configuration changed
            part = len(symbols) // 6
            changed = [(place, t, b"x" + n) for place, t, n in symbols[at : at + part]]
            return symbols[:at] + changed + symbols[at + part :]


def _text(symbols: list[Symbol]) -> bytes:
    return b"".join(b"%016x %b %b\n" % symbol for symbol in symbols)


class Tree:
    """A build's directory. Its map goes back and forth between versions, each made once by editing the last.

    Used by one thread for each name of a map; the versions are everybody's.
    """

    def __init__(self, path: Path, seed: int, *, symbols: int, versions: int) -> None:
        path.mkdir()
        self.path = path
        rng = random.Random(seed)
        made = [_new_map(rng, symbols)]
        while len(made) < versions:
            made.append(_edited(rng, made[-1]))
        self.maps = [_text(each) for each in made]
        self._right: dict[int, tuple[bytes, bytes]] = {}
        self._lock = threading.Lock()

    def write(self, name: str, version: int, *, rename: bool) -> None:
        """Put a version of the map in place, by writing it or by renaming it."""
        path = self.path / name
        target = path.with_name(name + ".new") if rename else path
        target.write_bytes(self.maps[version])
        if rename:
            target.replace(path)

    def right(self, version: int) -> tuple[bytes, bytes]:
        """The .S and the .bin, made here, cold, in this process, and once."""
        with self._lock:
            if version not in self._right:
                request = wire.BuildRequest(
                    version="",
                    dialect=_DIALECT,
                    options=1,
                    form=wire.INCBIN,
                    bits=64,
                    bin_name=b"OUT.bin",
                    map_path=b"",
                    tree=os.fsencode(self.path),
                )
                result = cold.build(request, self.maps[version])
                self._right[version] = result.text, result.binary
            return self._right[version]
