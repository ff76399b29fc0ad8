# SPDX-License-Identifier: GPL-2.0-only
"""What rebuilds do to a real map, and larger maps made of a real one.

All addresses of the maps are sorted, before and after. The same ``random.Random`` gives the same edits.
"""

import bisect
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

#: Functions begin at multiples of that.
ALIGNMENT = 16
#: Copies of a map lie at multiples of that.
SECTION = 2 << 20

_PERCPU_END = b"__per_cpu_end"


@dataclass(frozen=True)
class KernelMap:
    """A map in columns.

    width      digits of an address
    addresses  of each symbol
    tails      the rest of each line: " T name" and the newline
    """

    width: int
    addresses: list[int]
    tails: list[bytes]

    @classmethod
    def parse(cls, text: bytes) -> "KernelMap":
        """The map that ``text`` is, as nm prints it."""
        width = text.index(b" ")
        lines = text.splitlines(keepends=True)
        return cls(width, [int(line[:width], 16) for line in lines], [line[width:] for line in lines])

    def text(self) -> bytes:
        """The map as nm prints it."""
        width = self.width
        return b"".join(
            b"%0*x%b" % (width, address, tail)
            for address, tail in zip(self.addresses, self.tails, strict=True)
        )

    @cached_property
    def functions(self) -> list[int]:
        """Positions of the functions."""
        return [at for at, tail in enumerate(self.tails) if tail[1] in b"tT" and at < len(self.tails) - 1]

    @property
    def names(self) -> set[bytes]:
        """All names."""
        return {_name(tail) for tail in self.tails}


#: Changes so many symbols of a map; names that are new to it come from the iterator.
Edit = Callable[[KernelMap, int, random.Random, Iterator[bytes]], KernelMap]


def new_names(old: KernelMap, donor: KernelMap, rng: random.Random) -> Iterator[bytes]:
    """Names that ``donor`` has and ``old`` has not, in random order, each once."""
    names = sorted(donor.names - old.names)
    rng.shuffle(names)
    return iter(names)


def shift(old: KernelMap, rng: random.Random) -> KernelMap:
    """A function grew: everything behind it has moved."""
    grown = old.addresses[rng.choice(old.functions)]
    distance = ALIGNMENT * rng.randint(1, 64)
    first = bisect.bisect_right(old.addresses, grown)
    moved = [address + distance for address in old.addresses[first:]]
    return KernelMap(old.width, old.addresses[:first] + moved, old.tails)


def add(old: KernelMap, count: int, rng: random.Random, names: Iterator[bytes]) -> KernelMap:
    """So many functions more, each before another one, which moves up with everything behind it."""
    places = set(rng.sample(old.functions, count))
    addresses, tails = [], []
    distance = 0
    for at, (address, tail) in enumerate(zip(old.addresses, old.tails, strict=True)):
        if at in places:
            addresses.append(address + distance)
            tails.append(b" t %b\n" % next(names))
            distance += ALIGNMENT
        addresses.append(address + distance)
        tails.append(tail)
    return KernelMap(old.width, addresses, tails)


def remove(old: KernelMap, count: int, rng: random.Random, _names: Iterator[bytes]) -> KernelMap:
    """So many functions less; everything behind each of them moves into its place."""
    places = set(rng.sample(old.functions, count))
    addresses, tails = [], []
    distance = 0
    for at, (address, tail) in enumerate(zip(old.addresses, old.tails, strict=True)):
        if at in places:
            distance += old.addresses[at + 1] - address
        else:
            addresses.append(address - distance)
            tails.append(tail)
    return KernelMap(old.width, addresses, tails)


def rename(old: KernelMap, count: int, rng: random.Random, names: Iterator[bytes]) -> KernelMap:
    """So many functions have another name, and everything is where it was."""
    tails = list(old.tails)
    for at in rng.sample(old.functions, count):
        tails[at] = tails[at][:3] + next(names) + b"\n"
    return KernelMap(old.width, old.addresses, tails)


#: Ways to change symbols, by their name.
EDITS: dict[str, Edit] = {"added": add, "removed": remove, "renamed": rename}


def multiply(old: KernelMap, times: int) -> KernelMap:
    """A map of ``times`` as many symbols: copies behind each other, their names told apart by a number.

    What lies before the image, such as per-cpu symbols, is before the image in all copies, and the range of
    per-cpu symbols covers all of them.
    """
    image = next(at for at, tail in enumerate(old.tails) if _name(tail) in (b"_text", b"_stext"))
    first = bisect.bisect_left(old.addresses, old.addresses[image])
    addresses, tails = [], []
    for begin, end in ((0, first), (first, len(old.tails))):
        part = old.addresses[begin:end]
        span = -(-(part[-1] + 1 - part[0]) // SECTION) * SECTION if part else 0
        for copy in range(times):
            addresses += [address + copy * span for address in part]
            tails += [_in_copy(tail, copy, times) for tail in old.tails[begin:end]]
    return KernelMap(old.width, addresses, tails)


def _in_copy(tail: bytes, copy: int, times: int) -> bytes:
    """The line's tail in one of the copies."""
    plain = times - 1 if _name(tail) == _PERCPU_END else 0
    return tail if copy == plain else b"%b_%d\n" % (tail[:-1], copy)


def _name(tail: bytes) -> bytes:
    return tail[3:-1]
