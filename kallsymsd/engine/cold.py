# SPDX-License-Identifier: GPL-2.0-only
"""A build without memory of earlier ones; what the client runs when it has no daemon."""

from time import perf_counter_ns

from kallsyms_client import wire
from kallsymsd.core import assembly, sysmap, tables
from kallsymsd.core._native import TokenTable
from kallsymsd.core.dialects import BY_NAME
from kallsymsd.core.errors import InputError
from kallsymsd.core.tables import Tables
from kallsymsd.core.target import Target
from kallsymsd.engine.result import BuildResult


class Stopwatch:
    """Microseconds spent in each of wire.STAGES."""

    def __init__(self) -> None:
        self.stages = [0] * len(wire.STAGES)
        self._since = perf_counter_ns()

    def lap(self, stage: str) -> None:
        """Book the time since the last lap to ``stage``."""
        now = perf_counter_ns()
        self.stages[wire.STAGES.index(stage)] += (now - self._since) // 1000
        self._since = now


def build(request: wire.BuildRequest, map_text: bytes) -> BuildResult:
    """Compute the answer to ``request`` for the map whose contents are ``map_text``."""
    watch = Stopwatch()
    try:
        made = compute(request, map_text, watch)
        return encode(request, made, wire.How(symbols=made.num_syms, stages=watch.stages), watch)
    except InputError as error:
        return BuildResult.bad_input(error.render(request.map_path))


def compute(request: wire.BuildRequest, map_text: bytes, watch: Stopwatch) -> Tables:
    """The tables that ``request`` asks for; InputError when the map cannot be made into tables."""
    dialect = BY_NAME[request.dialect]
    symbols = sysmap.read(map_text, dialect, request.options)
    watch.lap("parse")
    order = tables.by_name(symbols, dialect, request.options)
    watch.lap("sort")
    token_table, codes = TokenTable.build(symbols.strings)
    watch.lap("tokens")
    made = Tables(dialect, request.options, symbols, token_table, codes, order)
    watch.lap("encode")
    return made


def encode(request: wire.BuildRequest, made: Tables, how: wire.How, watch: Stopwatch) -> BuildResult:
    """The tables in the form that ``request`` asks for; InputError when that form cannot hold them."""
    text, binary = form(request, made)
    watch.lap("write")
    return BuildResult(wire.OK, how, text=text, binary=binary, message=made.warnings)


def form(request: wire.BuildRequest, made: Tables) -> tuple[bytes, bytes]:
    """Assembly text and .bin of the form that ``request`` asks for."""
    if request.form == wire.ASM:
        return assembly.plain(made), b""
    target = Target(request.bits, request.big_endian)
    included = assembly.incbin(made, target, request.bin_name, debug=request.debug)
    return included.text, included.binary
