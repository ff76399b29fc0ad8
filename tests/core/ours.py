# SPDX-License-Identifier: GPL-2.0-only
"""The library under test, called as the tools are: map and options in, an Outcome out."""

from collections.abc import Collection

from kallsymsd.core import assembly, pipeline
from kallsymsd.core.dialects import BY_NAME, OPTION_BITS
from kallsymsd.core.errors import InputError
from kallsymsd.core.tables import Tables
from tests.reference.tool import Outcome


def for_offsets(dialect: str) -> tuple[str, ...]:
    """Options for all symbols, and for offsets where the dialect has absolute addresses too."""
    wanted = ("all-symbols", "base-relative")
    return tuple(option for option in wanted if option in BY_NAME[dialect].options)


def build(dialect: str, options: Collection[str], map_text: bytes) -> Tables:
    """The tables for a map; ``options`` without their dashes."""
    bits = sum(OPTION_BITS[option] for option in options)
    return pipeline.build(map_text, BY_NAME[dialect], bits)


def run(dialect: str, options: Collection[str], map_text: bytes) -> Outcome:
    """What a run of the tool would leave behind."""
    try:
        tables = build(dialect, options, map_text)
        made = assembly.drop_in(tables, b"out.bin")
        return Outcome(0, made.text, tables.warnings, made.binary)
    except InputError as error:
        return Outcome(1, b"", error.message + b"\n")


def same(ours: Outcome, theirs: Outcome) -> bool:
    """Whether two outcomes agree in all that is promised.

    Of a failed run, ours may go on to say where the error is.
    """
    if (ours.status, ours.stdout, ours.binary) != (theirs.status, theirs.stdout, theirs.binary):
        return False
    if ours.status == 0:
        return ours.stderr == theirs.stderr
    return ours.stderr.startswith(theirs.stderr.removesuffix(b"\n"))
