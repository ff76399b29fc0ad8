# SPDX-License-Identifier: GPL-2.0-only
"""The symbol table: what is left of a map after parsing, filtering and sorting."""

#: A range that no address is in.
NO_PERCPU = (1, 0)


class SymbolTable:
    """Symbols in the order of the kernel's tables: by address, ties by scripts/kallsyms' rules.

    Columns are bytes in the byte order of this machine.

    count         symbols
    addresses     u64 each
    strings       type letter and name of each, a zero byte behind each
    starts        u32 each: where its string begins in ``strings``; one more for the end
    text_address  value of the last _text of the map, 0 without one
    percpu        first and last address of absolute per-cpu symbols; NO_PERCPU where there are none
    places        u32 each: where its name begins in the map; empty without KALLSYMS_ALL
    range_places  where in the map the names of text_address and of percpu's ends begin, 0 for none
    warnings      lines for standard error: names that were dropped because they are too long
    """

    __slots__ = (
        "addresses",
        "count",
        "percpu",
        "places",
        "range_places",
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
        places: bytes,
        range_places: tuple[int, int, int],
        warnings: bytes,
    ) -> None:
        self.count = len(addresses) // 8
        self.addresses = addresses
        self.strings = strings
        self.starts = starts
        self.text_address = text_address
        self.percpu = percpu
        self.places = places
        self.range_places = range_places
        self.warnings = warnings

    def at(self, addresses: bytes, text_address: int, percpu: tuple[int, int]) -> "SymbolTable":
        """The same symbols in the same order at other addresses."""
        return SymbolTable(
            addresses,
            self.strings,
            self.starts,
            text_address=text_address,
            percpu=percpu,
            places=self.places,
            range_places=self.range_places,
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
