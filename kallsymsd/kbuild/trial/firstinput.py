# SPDX-License-Identifier: GPL-2.0-only
"""The last part of a tool's trial: the tree's tool makes the tables of a real input, and ours are compared.

The build always gets the output of its own tool.
"""

import os
import subprocess

from kallsyms_client import filearguments
from kallsyms_client.failures import DeferError, failure
from kallsyms_client.options import UsageError, resolve, split
from kallsyms_client.output import StandardOutput, write
from kallsymsd import __version__
from kallsymsd.core.dialects import exact
from kallsymsd.kbuild.trial import verdicts
from kallsymsd.kbuild.trial.verdicts import BEGUN, DIFFERENT, MOST_ATTEMPTS, SAME
from kallsymsd.protocol import wire
from kallsymsd.protocol.messages import strerror
from kallsymsd.protocol.received import Piece
from kallsymsd.protocol.regular import open_regular, read_regular

#: Variable with the key of the verdict to decide.
TRIAL = b"KALLSYMSD_TRIAL"
_TOOL = b"KALLSYMSD_ORIGINAL"
_DIALECT = b"KALLSYMSD_DIALECT"
# Size limit of a tool's output in bytes; it has about 250 per symbol of the largest kernels.
_MOST = 1 << 30

Environment = dict[bytes, bytes]


def run(arguments: list[bytes], environment: Environment) -> int:
    """Run the tree's tool with these arguments and decide its trial; returns the exit status of the tool.

    DeferError if the tool must run without a trial. The empty input of the first pass decides nothing.
    """
    place, key = verdicts.place(environment), environment[TRIAL].decode("ascii", "replace")
    verdict = verdicts.find(place, key)
    if verdict is None or verdict.result != BEGUN:
        raise DeferError(b"", repeated=True)
    verdict.attempts += 1
    if verdict.attempts > MOST_ATTEMPTS:
        verdict.result, verdict.reason = DIFFERENT, "its trial could not be completed"
    if not verdicts.keep(place, key, verdict) or verdict.result == DIFFERENT:
        raise DeferError(b"", repeated=True)
    request, named = _wanted(arguments, environment)
    text = _printed(environment[_TOOL], arguments)
    if text is None:
        return 1
    write(StandardOutput(Piece(text, 0, len(text))))
    try:
        difference = _difference(request, named, text)
    except Exception:  # noqa: BLE001  the build has its tables, and the attempt was counted
        return 0
    if difference is None:
        verdict.attempts -= 1
    else:
        verdict.result, verdict.reason = (DIFFERENT, difference) if difference else (SAME, "")
    verdicts.keep(place, key, verdict)
    return 0


def _printed(tool: bytes, arguments: list[bytes]) -> bytes | None:
    """The tool's output; None if it fails, after it has printed why."""
    try:
        done = subprocess.run([tool, *arguments], stdout=subprocess.PIPE, check=False)  # noqa: S603  the tree's own tool
    except OSError as error:
        raise failure(tool + b": " + strerror(error)) from error
    return done.stdout if done.returncode == 0 else None


def _wanted(
    arguments: list[bytes], environment: Environment
) -> tuple[wire.BuildRequest, filearguments.Files]:
    """The request, for the form that the tool prints; DeferError if the dialect lacks an option."""
    dialect = exact(environment[_DIALECT].decode("ascii", "replace"))
    command = split(arguments, permute=b"POSIXLY_CORRECT" not in environment)
    command.form = wire.ASM
    try:
        options = resolve(command.unresolved, dialect)
    except UsageError as error:
        raise DeferError(error.message, repeated=True) from error
    named = filearguments.of(command, dialect)
    request = wire.BuildRequest(
        version=__version__,
        dialect=dialect.name,
        options=options,
        form=wire.ASM,
        source=named.source,
        sysmap=named.sysmap is not None,
        bin_name=named.name,
        map_path=named.input,
    )
    return request, named


def _difference(request: wire.BuildRequest, named: filearguments.Files, text: bytes) -> str | None:
    """How the tool's output differs from ours, "" if equal, None if the input decides nothing."""
    from kallsyms_client import inprocess

    descriptor = open_regular(named.input, follow=True)
    try:
        map_text = inprocess.read_input(request, descriptor, os.fstat(descriptor).st_size)
    finally:
        os.close(descriptor)
    if not map_text:
        return None
    made = inprocess.build(request, map_text) if named.tables else None
    expected = [("map", named.sysmap, map_text)]
    if made is not None:
        if made.status != wire.OK:
            return "it accepts an invalid input: " + made.message.decode("utf-8", "replace").strip()
        if made.text != text:
            return f"its tables for {os.fsdecode(named.input)} differ"
        expected.append((".bin", named.binary, made.binary))
    for what, path, contents in expected:
        if path is not None and read_regular(path, _MOST, follow=True) != contents:
            return f"its {what} for {os.fsdecode(named.input)} differs"
    return ""
