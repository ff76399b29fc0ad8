# SPDX-License-Identifier: GPL-2.0-only
"""Encodes tables in the form that a request asks for."""

from kallsymsd.core import assembly
from kallsymsd.core.tables import Tables
from kallsymsd.core.target import Target
from kallsymsd.protocol.wire import ASM, BuildRequest


def encode(request: BuildRequest, tables: Tables) -> assembly.Assembly:
    """Text and .bin in the form that ``request`` asks for.

    InputError if that form cannot represent a symbol's name.
    """
    if request.form == ASM:
        return assembly.drop_in(tables, request.bin_name)
    target = Target(request.bits, request.big_endian)
    return assembly.incbin(tables, target, request.bin_name, debug=request.debug)
