# SPDX-License-Identifier: GPL-2.0-only
"""A patch for scripts/link-vmlinux.sh with which it calls kallsyms with all files named.

That form (kallsyms VMLINUX IN.map OUT.S OUT.bin) was mailed in February 2024. The call that is replaced is
found in the tree's own script, so the patch applies to that, whatever else was changed there.
"""

import difflib
import os
import re
from pathlib import Path

from kallsymsd.core.toolsource import of_source
from kallsymsd.protocol.regular import read_regular

SCRIPT = "scripts/link-vmlinux.sh"
# Most bytes of a source text.
_MOST = 1 << 20

# The line that runs the tool: its map and its output, with quotes (since 6.11) or without; and with the
# function's second argument being the .S itself (to 6.10) or what that begins with.
_CALL = re.compile(
    r"^(?P<indent>[ \t]*)scripts/kallsyms \$\{kallsymopt\} "
    r'(?P<map>"?\$\{1\}"?) > (?P<text>"?\$\{2\}(?P<end>\.S)?"?)$',
    re.MULTILINE,
)


class PatchError(Exception):
    """There can be no patch; the text is one line that says why and what to do."""


def make(source: Path) -> str:
    """The patch for the tree ``source``, as "git apply" takes it. PatchError where there can be none."""
    try:
        script = os.fsdecode(read_regular(str(source / SCRIPT), _MOST, follow=True))
        dialect = of_source(read_regular(str(source / "scripts/kallsyms.c"), _MOST, follow=True))
    except OSError as error:
        raise PatchError(f"{error.filename}: {error.strerror}; name a kernel's source tree") from error
    if dialect is None:
        raise PatchError(f"{source}/scripts/kallsyms.c: is not a text that is known")
    calls = list(_CALL.finditer(script))
    if len(calls) != 1 or dialect.reads_elf:
        raise PatchError(
            f"{source / SCRIPT}: does not call scripts/kallsyms with a map; there is no patch for it"
        )
    call = calls[0]
    # "command", because the function that the call is in has the name too. The class and byte order are read
    # from vmlinux.o: it is there at every pass.
    program = f"command kallsyms --dialect={dialect.name}"
    new = (
        f"{call['indent']}{program} ${{kallsymopt}} vmlinux.o {call['map']} \\\n"
        f'{call["indent"]}\t{call["text"]} "${{2{"" if call["end"] else "%.S"}}}.bin"'
    )
    edited = script[: call.start()] + new + script[call.end() :]
    return "".join(
        difflib.unified_diff(
            script.splitlines(keepends=True),
            edited.splitlines(keepends=True),
            f"a/{SCRIPT}",
            f"b/{SCRIPT}",
        )
    )
