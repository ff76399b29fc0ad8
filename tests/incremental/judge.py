# SPDX-License-Identifier: GPL-2.0-only
"""Who says what is right: the kernel's own tool, or the reference for maps that it can do in time."""

import functools
import re
from typing import Protocol

from tests import oracles
from tests.reference import decode, tool
from tests.reference.tool import Outcome

#: The reference takes milliseconds for each symbol and token.
REFERENCE_MOST_LINES = 40


class Judge(Protocol):
    """Gives the right outcome of a run, or None where it cannot tell."""

    def __call__(self, dialect: str, options: tuple[str, ...], map_text: bytes, /) -> Outcome | None: ...


def _oracle(dialect: str, options: tuple[str, ...], map_text: bytes) -> Outcome | None:
    oracle = oracles.find(dialect) if dialect in oracles.SERIES else None
    return oracle.run(options, map_text) if oracle else None


@functools.lru_cache(maxsize=64)
def by_reference(dialect: str, options: tuple[str, ...], map_text: bytes) -> Outcome | None:
    """The reference; None for maps that take it too long."""
    if map_text.count(b"\n") > REFERENCE_MOST_LINES:
        return None
    return tool.run(dialect, options, map_text)


@functools.lru_cache(maxsize=64)
def by_oracle(dialect: str, options: tuple[str, ...], map_text: bytes) -> Outcome | None:
    """The kernel's own tool, and the reference for dialects without one."""
    return _oracle(dialect, options, map_text) or by_reference(dialect, options, map_text)


def included(text: bytes, binary: bytes) -> dict[str, bytes]:
    """The tables that a .S takes from its .bin, by name."""
    found = re.findall(rb'^kallsyms_(\w+):\n\t\.incbin "[^"]*", (\d+), (\d+)$', text, re.MULTILINE)
    return {table.decode(): binary[int(start) : int(start) + int(length)] for table, start, length in found}


def assembled(outcome: Outcome, *, big_endian: bool) -> dict[str, bytes]:
    """The tables that an assembler makes of what the tool printed."""
    return decode.tables(outcome.stdout, binary=outcome.binary, big_endian=big_endian)
