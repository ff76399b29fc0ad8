# SPDX-License-Identifier: GPL-2.0-only
"""Computes an answer without a daemon's memory; the client runs this when no daemon answers."""

from kallsymsd.core import pipeline
from kallsymsd.core.dialects import exact
from kallsymsd.core.errors import InputError
from kallsymsd.engine.encode import encode
from kallsymsd.engine.result import BuildResult
from kallsymsd.engine.stopwatch import Stopwatch
from kallsymsd.protocol.wire import BuildRequest, How


def build(request: BuildRequest, map_text: bytes) -> BuildResult:
    """Compute the answer to ``request`` for a map with the contents ``map_text``."""
    watch = Stopwatch()
    try:
        tables = pipeline.build(map_text, exact(request.dialect), request.options, watch.lap)
        made = encode(request, tables)
    except InputError as error:
        return BuildResult.bad_input(error.render(request.map_path))
    watch.lap("write")
    how = How(symbols=tables.num_syms, steps=len(tables.tokens.pairs), stages=watch.stages)
    sysmap = map_text if request.sysmap else b""
    return BuildResult(how, made, sysmap=sysmap, message=tables.warnings)
