# SPDX-License-Identifier: GPL-2.0-only
"""Which symbols stay, which become absolute, and the two orders they are put in."""

from tests.reference.forms import Form
from tests.reference.reader import Symbol, SystemMap


def shrink(form: Form, system_map: SystemMap) -> list[Symbol]:
    """Without --all-symbols: only the symbols of the text sections."""
    ranges = system_map.ranges.values()

    def stays(symbol: Symbol) -> bool:
        if form.keeps_start_stop and symbol.name.startswith((b"__start_", b"__stop_")):
            return True
        if not any(start <= symbol.address <= end for start, end in ranges):
            return False
        # A symbol at the very end may belong to the next section; only the end's own name is sure. This is
        # asked of both ends, whichever range the symbol is in.
        return not any(
            symbol.address == bounds[1] and symbol.name != b"_e" + section
            for section, bounds in system_map.ranges.items()
        )

    return [symbol for symbol in system_map.symbols if stays(symbol)]


def make_percpu_absolute(symbols: list[Symbol], percpu: list[int]) -> None:
    """With --absolute-percpu: symbols in the per-cpu range are offsets, not addresses."""
    for symbol in symbols:
        if percpu[0] <= symbol.address <= percpu[1]:
            symbol.type = b"A"
            symbol.absolute = True


def linker_provided(name: bytes) -> bool:
    """Whether the name looks like one that the linker script defines."""
    return (
        len(name) >= len(b"__start_")
        and name.startswith(b"__")
        and (name[2:].startswith((b"start_", b"stop_", b"end_")) or name.endswith((b"_start", b"_end")))
    )


def by_address(symbols: list[Symbol]) -> list[Symbol]:
    """Ascending addresses; at one address the name a reader of a backtrace wants to see comes first."""
    return sorted(
        symbols,  # sorted() is stable: equal keys stay in file order
        key=lambda symbol: (
            symbol.address,
            symbol.type in (b"w", b"W"),
            linker_provided(symbol.name),
            len(symbol.name) - len(symbol.name.lstrip(b"_")),
        ),
    )


def by_name(symbols: list[Symbol], cut: bytes | None) -> list[int]:
    """Positions in ``symbols`` (which stand by address) in ascending order of the names."""

    def key(position: int) -> tuple[bytes, int, int]:
        name = symbols[position].name
        return (name.split(cut)[0] if cut else name, symbols[position].address, position)

    return sorted(range(len(symbols)), key=key)
