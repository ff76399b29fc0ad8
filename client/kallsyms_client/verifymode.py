# SPDX-License-Identifier: GPL-2.0-only
"""KALLSYMSD=verify: every answer is compared with a second opinion before it is written.

The second opinion comes from the kernel's own tool, if it was kept, and otherwise from the library in this
process, which remembers nothing. The tool prints plain assembly. If a .bin is to be written too, the library
makes both forms: its plain assembly must equal the tool's, and its .S and .bin those to be written.
"""

import os
import posix
import subprocess
from collections.abc import Sequence

from kallsyms_client.failures import ClientError, failure
from kallsyms_client.inprocess import read_input, read_map
from kallsymsd.core import assembly, pipeline
from kallsymsd.core.compare import between_bins, between_texts
from kallsymsd.core.dialects import OPTION_BITS, exact
from kallsymsd.core.errors import InputError
from kallsymsd.core.tables import Tables
from kallsymsd.core.target import Target
from kallsymsd.engine.encode import encode
from kallsymsd.protocol import notes, places, wire
from kallsymsd.protocol.messages import strerror
from kallsymsd.protocol.received import Output, Piece

# Set for the kernel's own tool: if that turns out to be this program, it computes without a daemon.
_GUARD = b"KALLSYMSD_VERIFYING"
# Seconds that the kernel's own tool may take; with some maps that of v6.1 never ends.
_PATIENCE = 120

_LIBRARY = b"the library"

Environment = dict[bytes, bytes]


def is_nested(environment: Environment) -> bool:
    """Whether this process gives the second opinion."""
    return _GUARD in environment


def original_tool(environment: Environment) -> bytes:
    """The kernel's own tool, which was set aside when this program took its place; b"" if there is none.

    $KALLSYMSD_ORIGINAL, else scripts/kallsyms.orig in the working directory, which is the object tree.
    """
    given = environment.get(b"KALLSYMSD_ORIGINAL", b"")
    if given:
        if not os.access(given, os.X_OK):
            raise failure(b"KALLSYMSD_ORIGINAL: %b is not a program" % given)
        return given
    kept = b"scripts/kallsyms.orig"
    return kept if os.access(kept, os.X_OK) else b""


def as_file(descriptor: int, name: bytes) -> int:
    """``descriptor``, or if it can be read only once, a memory file with its contents."""
    if os.path.isfile(descriptor):
        return descriptor
    try:
        contents = read_map(descriptor, -1)
        memory = os.memfd_create("map", os.MFD_CLOEXEC)
        Piece(contents, 0, len(contents)).write(memory)
    except OSError as error:
        raise ClientError(name + b": " + strerror(error) + b"\n") from error
    return memory


def check(request: wire.BuildRequest, descriptor: int, environment: Environment, output: Output) -> bytes:
    """Compare ``output``, about to be written for the input in ``descriptor``, with the second opinion.

    Returns who gave the second opinion. Raises ClientError with the first difference.
    """
    dialect = exact(request.dialect)
    # Tools that write files (v7.4, mail-2024) are not run, and none is for a map that kallsyms made itself.
    is_asked = not dialect.positionals and request.source == wire.MAP
    tool = original_tool(environment) if is_asked else b""
    tables, expected = _compute(request, descriptor)
    if expected is None:
        if output.ok:
            raise _difference(environment, _LIBRARY, "to it this map is bad input")
    elif not output.ok:
        raise _difference(environment, _LIBRARY, "it makes tables of this map")
    elif tables is not None:
        difference = between_texts(_bytes(output.text), expected[0], tables)
        if request.form == wire.INCBIN and not difference:
            target = Target(request.bits, request.big_endian)
            difference = between_bins(_bytes(output.binary), expected[1], tables, target)
        elif not difference and _bytes(output.binary) != expected[1]:
            difference = "the .bin"
        if not difference and _bytes(output.sysmap) != expected[2]:
            difference = "the map"
        if difference:
            raise _difference(environment, _LIBRARY, difference)
    if tool:
        return _ask_tool(tool, request, descriptor, environment, tables)
    return _LIBRARY


def _compute(
    request: wire.BuildRequest, descriptor: int
) -> tuple[Tables | None, tuple[bytes, bytes, bytes] | None]:
    """Tables, and text, .bin and map, that the library makes of the input; None for what it refuses."""
    tables = None
    map_text = read_input(request, descriptor, posix.fstat(descriptor).st_size)
    try:
        tables = pipeline.build(map_text, exact(request.dialect), request.options)
        made = encode(request, tables)
    except InputError:
        return tables, None
    return tables, (made.text, made.binary, map_text if request.sysmap else b"")


def _ask_tool(
    tool: bytes, request: wire.BuildRequest, descriptor: int, environment: Environment, tables: Tables | None
) -> bytes:
    """Compare the library's plain assembly with the tool's."""
    printed = _run(tool, request, descriptor, environment)
    if tables is None:
        if printed is not None:
            raise _difference(environment, tool, "it makes tables of this map")
        return tool
    try:
        plain = assembly.plain(tables)
    except InputError:  # assembly cannot represent a name, whatever the tool prints
        return _LIBRARY
    if printed is None:
        raise _difference(environment, tool, "it fails with this map")
    difference = between_texts(plain, printed, tables)
    if difference:
        raise _difference(environment, tool, difference)
    return tool


def _run(tool: bytes, request: wire.BuildRequest, descriptor: int, environment: Environment) -> bytes | None:
    """What the tool prints; None if it fails."""
    options = [f"--{name}" for name, bit in OPTION_BITS.items() if request.options & bit]
    try:
        done = subprocess.run(  # noqa: S603 - the build itself runs this tool
            [tool, *options, f"/proc/self/fd/{descriptor}"],
            env={**environment, _GUARD: b"1"},
            pass_fds=(descriptor,),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=_PATIENCE,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        why = strerror(error) if isinstance(error, OSError) else b"it does not end"
        raise failure(b"KALLSYMSD=verify: %b: %b" % (tool, why)) from error
    return None if done.returncode else done.stdout


def _bytes(pieces: Sequence[Piece]) -> bytes:
    """What would be written."""
    return b"".join(piece.read() for piece in pieces)


def _difference(environment: Environment, whose: bytes, difference: str) -> ClientError:
    """The error of a run that was about to write something wrong, which is also counted."""
    place = places.made_cache_directory(environment)
    if place:
        notes.count(place, "wrong", 0.0)
    return failure(b"KALLSYMSD=verify: differs from %b: %b" % (whose, difference.encode("utf-8", "replace")))
