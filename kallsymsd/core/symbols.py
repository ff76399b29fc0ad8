# SPDX-License-Identifier: GPL-2.0-only
"""The symbol table: a map after parsing, filtering and sorting."""

from kallsymsd.core.native.mapreader import Origin
from kallsymsd.core.native.strings import Strings

#: A range that contains no address.
NO_PERCPU = (1, 0)


class SymbolTable:
    """Symbols in the order of the kernel's tables: by address, then by the rules of scripts/kallsyms.

    count         number of symbols
    addresses     u64 each, in the byte order of this machine
    strings       type letter and name of each
    text_address  value of the last _text in the map; 0 if there is none
    percpu        first and last address of the absolute per-cpu symbols; NO_PERCPU if there are none
    origin        where in the map the symbols came from; None if the lines of the map have no common form, or
                  if symbols were dropped because of their address
    warnings      lines for standard error, about names that were dropped because they are too long
    """

    __slots__ = (
        "addresses",
        "count",
        "origin",
        "percpu",
        "strings",
        "text_address",
        "warnings",
    )

    def __init__(
        self,
        addresses: bytes,
        strings: Strings,
        *,
        text_address: int,
        percpu: tuple[int, int],
        origin: Origin | None,
        warnings: bytes,
    ) -> None:
        self.count = len(strings)
        self.addresses = addresses
        self.strings = strings
        self.text_address = text_address
        self.percpu = percpu
        self.origin = origin
        self.warnings = warnings

    def at(self, addresses: bytes, text_address: int, percpu: tuple[int, int]) -> "SymbolTable":
        """The same symbols in the same order at other addresses."""
        return SymbolTable(
            addresses,
            self.strings,
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
        return self.strings[index]

    def name(self, index: int) -> bytes:
        """Name of one symbol."""
        return self.string(index)[1:]
