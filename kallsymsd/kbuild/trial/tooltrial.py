# SPDX-License-Identifier: GPL-2.0-only
"""The trial of a tree's scripts/kallsyms: which dialect gives the same output for some small maps?

A known source text names the dialect. For any other text, each dialect that reads maps is a candidate.
"""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

from kallsymsd.core import assembly, pipeline
from kallsymsd.core.dialects import DIALECTS, OPTION_BITS, Dialect, with_name_limit
from kallsymsd.core.errors import InputError
from kallsymsd.core.toolsource import c_text, digest, name_limit, of_source
from kallsymsd.kbuild.trial.probes import probes
from kallsymsd.kbuild.trial.verdicts import BEGUN, DIFFERENT, SAME, TOOL, Verdict

# Seconds allowed for a tool on a small map.
_PATIENCE = 5

# Standard output and standard error of a tool, or of ours; None if it fails, whatever its message.
_Printed = tuple[bytes, bytes] | None


def tried(source: bytes, tool: bytes) -> Verdict:
    """The verdict on the tool at the path ``tool``, whose source text is ``source``.

    SAME if the text is known and the tool behaves accordingly, BEGUN if a first real input must be compared.
    """
    dialect = of_source(source)
    subject = f"{os.fsdecode(tool)}, text {digest(source)[:12]}"
    if dialect is not None and dialect.reads_elf:
        return Verdict(TOOL, BEGUN, dialect=dialect.name, subject=subject)
    runs = _Runs(tool)
    differences = []
    for candidate in (dialect,) if dialect else _candidates(source):
        difference = runs.difference(candidate)
        if not difference:
            return Verdict(TOOL, SAME if dialect else BEGUN, dialect=candidate.name, subject=subject)
        differences.append(difference)
    if dialect:
        reason = f"its text is that of {dialect.name}, but its output differs for {differences[0]}"
    else:
        reason = "its text is not recognized, and its output is that of no dialect"
    return Verdict(TOOL, DIFFERENT, reason=reason, subject=subject)


def _candidates(source: bytes) -> Iterator[Dialect]:
    """The dialects to try for an unknown text, those with most options first: a tool may lack some."""
    limit = name_limit(c_text(source))
    maps = [dialect for dialect in DIALECTS[::-1] if not dialect.positionals]
    for dialect in sorted(maps, key=lambda each: -len(each.options)):
        yield dialect if limit is None else with_name_limit(dialect, limit)


class _Runs:
    """Runs one tool on probes, each only once."""

    def __init__(self, tool: bytes) -> None:
        self._tool = tool
        self._done: dict[tuple[tuple[str, ...], bytes], _Printed] = {}

    def difference(self, dialect: Dialect) -> str:
        """The name of the first probe whose output differs from that of ``dialect``; "" for none."""
        for probe in probes(dialect):
            if self._printed(probe.options, probe.text) != ours(dialect, probe.options, probe.text):
                return probe.name
        return ""

    def _printed(self, options: tuple[str, ...], text: bytes) -> _Printed:
        if (options, text) not in self._done:
            self._done[options, text] = theirs(self._tool, options, text)
        return self._done[options, text]


def theirs(tool: bytes, options: tuple[str, ...], text: bytes) -> _Printed:
    """The output of the tool at the path ``tool`` for a map, with these options (without dashes)."""
    memory = os.memfd_create("map", os.MFD_CLOEXEC)
    try:
        os.write(memory, text)
        done = subprocess.run(  # noqa: S603  the tree's own tool
            [
                Path(os.fsdecode(tool)).absolute(),
                *(f"--{option}" for option in options),
                f"/proc/self/fd/{memory}",
            ],
            pass_fds=(memory,),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_PATIENCE,
            check=False,
        )
    except OSError:
        return None
    except subprocess.TimeoutExpired:
        return b"", b"it does not end"
    finally:
        os.close(memory)
    return (done.stdout, done.stderr) if done.returncode == 0 else None


def ours(dialect: Dialect, options: tuple[str, ...], text: bytes) -> _Printed:
    """Our output for the same input."""
    try:
        tables = pipeline.build(text, dialect, sum(OPTION_BITS[option] for option in options))
        return assembly.plain(tables), tables.warnings
    except InputError:
        return None
