# SPDX-License-Identifier: GPL-2.0-only
"""A build without memory of earlier ones; what the client runs when it has no daemon."""

from time import perf_counter_ns

from kallsyms_client import wire
from kallsymsd.core import assembly, pipeline
from kallsymsd.core.dialects import BY_NAME
from kallsymsd.core.errors import InputError
from kallsymsd.core.target import Target
from kallsymsd.engine.result import BuildResult


def build(request: wire.BuildRequest, map_text: bytes) -> BuildResult:
    """Compute the answer to ``request`` for the map whose contents are ``map_text``."""
    raise NotImplementedError
