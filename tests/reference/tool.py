# SPDX-License-Identifier: GPL-2.0-only
"""The whole tool: a map and options in; exit status, standard output and standard error out."""

from collections.abc import Collection
from dataclasses import dataclass

from tests.reference import order
from tests.reference.forms import FORMS, Form
from tests.reference.reader import FatalError, Symbol, SystemMap, read
from tests.reference.text import print_tables


@dataclass(frozen=True)
class Outcome:
    """What a run of a tool leaves behind.

    ``stdout`` is empty for a run that failed: what the kernel's tool had printed until then is of no use.
    ``binary`` is the .bin that tools since v7.4 write.
    """

    status: int
    stdout: bytes
    stderr: bytes
    binary: bytes = b""


def run(dialect: str, options: Collection[str], map_text: bytes, bin_name: bytes = b"out.bin") -> Outcome:
    """Run the tool of ``dialect`` with long options, named without their dashes, on the text of a map.

    Since v7.4 the tool reads ELF; the map is then what it makes of that (elf.py).
    """
    form = FORMS[dialect]
    system_map = SystemMap()
    try:
        symbols = table_symbols(form, options, map_text, system_map)
        stdout, binary = print_tables(form, options, symbols, system_map.text, bin_name)
    except FatalError as error:
        return Outcome(1, b"", _lines([*system_map.warnings, error.line]))
    return Outcome(0, stdout, _lines(system_map.warnings), binary)


def table_symbols(
    form: Form, options: Collection[str], map_text: bytes, system_map: SystemMap
) -> list[Symbol]:
    """The symbols that get into the tables, in their order; ``system_map``, an empty one, is filled."""
    read(form, map_text, system_map)
    symbols = _kept(form, options, system_map)
    if "absolute-percpu" in options:
        order.make_percpu_absolute(symbols, system_map.percpu)
    return order.by_address(symbols)


def _kept(form: Form, options: Collection[str], system_map: SystemMap) -> list[Symbol]:
    kept = system_map.symbols if "all-symbols" in options else order.shrink(form, system_map)
    if not kept and not form.empty_is_legal:
        raise FatalError(b"No valid symbol.")
    return kept


def _lines(lines: list[bytes]) -> bytes:
    return b"".join(line + b"\n" for line in lines)
