# SPDX-License-Identifier: GPL-2.0-only
"""What is replaced in the text of scripts/link-vmlinux.sh: one table.

Only whole lines of a known form are touched. A script that lacks one is left alone altogether.
"""

import re

from kallsymsd.core.toolsource import digest
from kallsymsd.kbuild.script.scripttext import SCRIPT_PARTS, parts

#: The line that runs the tool, from 6.1 to 7.4: what stands before the tool's name, and what behind it.
CALL = re.compile(rb"(?<!\\\n)^([ \t]*)scripts/kallsyms( [^\n]*)$", re.MULTILINE)

_PROGRAM = b'"$(set -- %b scripts/kallsyms; [ -f "$1" ] && [ -r "$1" ] && [ -x "$1" ] || shift; echo "$1")"'
_COMMENT = re.compile(rb"^[ \t]*#[^\n]*$", re.MULTILINE)
_FIRST_LINE = re.compile(rb"#![ \t]*(/(?:usr/)?bin/(?:ba)?sh(?:[ \t]+-[a-z]+)?)[ \t]*\n")


def edit(script: bytes, program: bytes) -> bytes | None:
    """The script with ``program``, a path, in place of scripts/kallsyms; None if it does not run that.

    Where the program does not run by then, scripts/kallsyms does. The name must not be in a line that is not
    known, comments aside: such a line would still run the tool.
    """
    if b"scripts/kallsyms" in _COMMENT.sub(b"", CALL.sub(b"", script)):
        return None
    edited, count = CALL.subn(lambda line: line[1] + _PROGRAM % quote(program) + line[2], script)
    return edited if count else None


def unknown_part(script: bytes) -> str:
    """A part of the script that is not one of a release, for a person; "" where all of it is known in full.

    Every part counts: what an edit leaves out, what that calls, and what comes before and behind it.
    """
    return next((name for name, text in parts(script) if digest(text) not in SCRIPT_PARTS.get(name, ())), "")


def quote(word: bytes) -> bytes:
    """``word`` as a shell reads it back."""
    return b"'%b'" % word.replace(b"'", b"'\\''")


def interpreter(script: bytes) -> list[bytes]:
    """The shell that runs ``script``, as its first line says, with its options; [] for anything else."""
    first = _FIRST_LINE.match(script)
    return first[1].split() if first else []
