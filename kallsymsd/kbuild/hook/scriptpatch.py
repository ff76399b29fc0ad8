# SPDX-License-Identifier: GPL-2.0-only
"""Makes a patch for scripts/link-vmlinux.sh that calls kallsyms with all files named.

That form (kallsyms VMLINUX IN.map OUT.S OUT.bin) was mailed in February 2024. The patch replaces the call
found in the tree's own script, so it applies whatever else was changed there.
"""

import difflib
import os
import re
from pathlib import Path

from kallsymsd.core.toolsource import of_source
from kallsymsd.protocol.regular import read_regular

SCRIPT = "scripts/link-vmlinux.sh"
# Size limit of a source text in bytes.
_MOST = 1 << 20

# The line that runs the tool. Its map and output have quotes since 6.11. The second argument of the function
# is the .S itself up to 6.10, then its name without the suffix.
_CALL = re.compile(
    r"^(?P<indent>[ \t]*)scripts/kallsyms \$\{kallsymopt\} "
    r'(?P<map>"?\$\{1\}"?) > (?P<text>"?\$\{2\}(?P<end>\.S)?"?)$',
    re.MULTILINE,
)


class PatchError(Exception):
    """No patch can be made. The text is one line: why, and what to do."""


def make(source: Path) -> str:
    """The patch for the source tree ``source``, for "git apply". PatchError if none can be made."""
    try:
        script = os.fsdecode(read_regular(str(source / SCRIPT), _MOST, follow=True))
        dialect = of_source(read_regular(str(source / "scripts/kallsyms.c"), _MOST, follow=True))
    except OSError as error:
        raise PatchError(f"{error.filename}: {error.strerror}; name a kernel's source tree") from error
    if dialect is None:
        raise PatchError(f"{source}/scripts/kallsyms.c: is not recognized; use kallsymsctl run or install")
    calls = list(_CALL.finditer(script))
    if len(calls) != 1 or dialect.reads_elf:
        raise PatchError(
            f"{source / SCRIPT}: does not call scripts/kallsyms with a map, so it cannot be patched; "
            "use kallsymsctl run or install"
        )
    call = calls[0]
    # "command", because the function around the call is named kallsyms, too. Class and byte order come from
    # vmlinux.o, which exists at every pass.
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
