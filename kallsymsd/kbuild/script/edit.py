# SPDX-License-Identifier: GPL-2.0-only
"""Edits the text of scripts/link-vmlinux.sh so that it runs the client, and checks whether a text is known.

Only complete lines of a known form are changed. A script without such a line is left unchanged.
"""

import re

from kallsymsd.core.toolsource import digest
from kallsymsd.kbuild.script.scripttext import SCRIPT_PARTS, parts

#: The line that runs the tool, from 6.1 to 7.4: indentation, and arguments with the blank before them.
CALL = re.compile(rb"(?<!\\\n)^([ \t]*)scripts/kallsyms( [^\n]*)$", re.MULTILINE)

_PROGRAM = b'"$(set -- %b scripts/kallsyms; [ -f "$1" ] && [ -r "$1" ] && [ -x "$1" ] || shift; echo "$1")"'
_COMMENT = re.compile(rb"^[ \t]*#[^\n]*$", re.MULTILINE)
_FIRST_LINE = re.compile(rb"#![ \t]*(/(?:usr/)?bin/(?:ba)?sh(?:[ \t]+-[a-z]+)?)[ \t]*\n")


def edit(script: bytes, program: bytes) -> bytes | None:
    """The script with ``program``, a path, in place of scripts/kallsyms; None if it does not run that.

    If the program is no longer executable by then, scripts/kallsyms runs. Apart from comments, no other line
    may have that name: it would still run the tool.
    """
    if b"scripts/kallsyms" in _COMMENT.sub(b"", CALL.sub(b"", script)):
        return None
    edited, count = CALL.subn(lambda line: line[1] + _PROGRAM % quote(program) + line[2], script)
    return edited if count else None


def unknown_part(script: bytes) -> str:
    """The name of a part of the script that no release has; "" if all parts are known.

    Every part counts: an edit relies on what it replaces, on what that calls, and on the text around it.
    """
    return next((name for name, text in parts(script) if digest(text) not in SCRIPT_PARTS.get(name, ())), "")


def quote(word: bytes) -> bytes:
    """``word``, quoted for a shell."""
    return b"'%b'" % word.replace(b"'", b"'\\''")


def interpreter(script: bytes) -> list[bytes]:
    """The shell and options in the first line of ``script``; [] if it is no shell."""
    first = _FIRST_LINE.match(script)
    return first[1].split() if first else []
