# SPDX-License-Identifier: GPL-2.0-only
"""python -m tests.kbuild.trial.texts TREE: rows for toolsource.py and scripttext.py, of a kernel's source.

Those that are in it already are marked. Before a new one is added, somebody has to look at what has changed,
and a real kernel has to be built with it.
"""

import sys
from pathlib import Path

from kallsymsd.core.toolsource import TOOLS, digest, identity
from kallsymsd.kbuild.script import scripttext
from kallsymsd.kbuild.script.scripttext import parts


def rows(tree: Path) -> list[str]:
    """A line for the tool, and one for each part of the script."""
    name, _ = identity((tree / "scripts/kallsyms.c").read_bytes())
    made = [_row("scripts/kallsyms.c", name, TOOLS.get(name, ""))]
    for part, text in parts((tree / "scripts/link-vmlinux.sh").read_bytes()):
        is_known = digest(text) in scripttext.SCRIPT_PARTS.get(part, ())
        made.append(_row(part, digest(text), "known" if is_known else ""))
    return made


def _row(what: str, name: str, remark: str) -> str:
    return f'{what}: "{name}"{remark and f" ({remark})"}'


if __name__ == "__main__":
    sys.stdout.write("".join(f"{row}\n" for row in rows(Path(sys.argv[1]))))
