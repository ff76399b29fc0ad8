# SPDX-License-Identifier: GPL-2.0-only
"""The symbol table: what is left of a map after parsing, filtering and sorting."""

#: A range that no address is in.
NO_PERCPU = (1, 0)


class Origin:
    """Where in the map the symbols of a table came from, for maps whose lines all look alike.

    Columns are in the order of the map.

    width   digits of each address, 8 or 16; it stands just before the blank, the type, the blank and the name
    places  u32 each: where its name begins
    ranks   u32 each: its position in the table
    ranges  where the names of _text, __per_cpu_start and __per_cpu_end begin, 0 for none
    """

    __slots__ = ("places", "ranges", "ranks", "width")

    def __init__(self, width: int, places: bytes, ranks: bytes, ranges: tuple[int, int, int]) -> None:
        self.width = width
        self.places = places
        self.ranks = ranks
        self.ranges = ranges


class SymbolTable:
    """Symbols in the order of the kernel's tables: by address, ties by scripts/kallsyms' rules.

    Columns are bytes in the byte order of this machine.

    count         symbols
    addresses     u64 each
    strings       type letter and name of each, a zero byte behind each
    starts        u32 each: where its string begins in ``strings``; one more for the end
    text_address  value of the last _text of the map, 0 without one
    percpu        first and last address of absolute per-cpu symbols; NO_PERCPU where there are none
    origin        where in the map they came from; None for maps in which that cannot be said simply, and for
                  tables that leave out symbols because of their address
    warnings      lines for standard error: names that were dropped because they are too long
    """

    __slots__ = (
        "addresses",
        "count",
        "origin",
        "percpu",
        "starts",
        "strings",
        "text_address",
        "warnings",
    )

    def __init__(
        self,
        addresses: bytes,
        strings: bytes,
        starts: bytes,
        *,
        text_address: int,
        percpu: tuple[int, int],
        origin: "Origin | None",
        warnings: bytes,
    ) -> None:
        self.count = len(addresses) // 8
        self.addresses = addresses
        self.strings = strings
        self.starts = starts
        self.text_address = text_address
        self.percpu = percpu
        self.origin = origin
        self.warnings = warnings

    def at(self, addresses: bytes, text_address: int, percpu: tuple[int, int]) -> "SymbolTable":
        """The same symbols in the same order at other addresses."""
        return SymbolTable(
            addresses,
            self.strings,
            self.starts,
            text_address=text_address,
            percpu=percpu,
            origin=self.origin,
            warnings=self.warnings,
        )

    def address(self, index: int) -> int:
        """Address of one symbol."""
        return memoryview(self.addresses).cast("Q")[index]

    def string(self, index: int) -> bytes:
        """Type letter and name of one symbol."""
        begin, end = memoryview(self.starts).cast("I")[index : index + 2]
        return self.strings[begin : end - 1]

    def name(self, index: int) -> bytes:
        """Name of one symbol."""
        return self.string(index)[1:]
