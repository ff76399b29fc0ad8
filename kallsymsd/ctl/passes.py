# SPDX-License-Identifier: GPL-2.0-only
"""Compares the maps of two passes of a link.

A kernel link runs kallsyms on the map of one pass to make the tables for the next pass. The link has settled
if the map of the finished kernel equals the last map that kallsyms read. Otherwise the kernel's own script
reports "Inconsistent kallsyms data" (scripts/link-vmlinux.sh).
"""

import os
import re
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from kallsymsd.ctl.command import CommandError
from kallsymsd.protocol.regular import open_regular, read_regular

#: The map of the finished kernel.
FINAL = "System.map"
# The result of a link; since v6.15, vmlinux is made from vmlinux.unstripped.
_LINKED = ("vmlinux", "vmlinux.unstripped")

# Maps of passes: .tmp_vmlinux1.syms since Linux v6.11, .tmp_vmlinux.kallsyms1.syms before. Since v6.11 a link
# starts with pass 0, whose map is empty.
_PASS = re.compile(r"\.tmp_vmlinux(\.kallsyms)?([0-9]+)\.syms")
# Size limit of a map in bytes.
_MAX_MAP = 1 << 30
_PIECE = 1 << 20


class Difference(NamedTuple):
    """The differences between two maps, each list in the order of its map.

    added    lines of symbols that only the later map has
    removed  lines of symbols that only the earlier map has
    moved    name, earlier and later address of symbols whose address differs
    """

    added: list[str]
    removed: list[str]
    moved: list[tuple[str, int, int]]

    @property
    def is_empty(self) -> bool:
        """Whether the maps are equal."""
        return not (self.added or self.removed or self.moved)


class Passes(NamedTuple):
    """The maps that a link left in a tree.

    last      map of its last pass
    final     map of the finished kernel
    problem   why the link did not finish, so that the maps cannot be compared; "" if it did
    """

    last: Path
    final: Path
    problem: str


def find(tree: Path) -> Passes | None:
    """The maps of the last link in ``tree``; None if it left none."""
    found = [
        (path.lstat().st_mtime_ns, int(match[2]), path)
        for path in tree.glob(".tmp_vmlinux*.syms")
        if (match := _PASS.fullmatch(path.name))
    ]
    if not any(number for _, number, _ in found):
        return None
    last = max(each for each in found if each[1])[2]
    final = tree / FINAL
    return Passes(last, final, _problem(tree, max(found)[2], final))


def is_first(path: Path) -> bool:
    """Whether ``path`` has the name of the map of pass 0."""
    match = _PASS.fullmatch(path.name)
    return match is not None and not int(match[2])


def _problem(tree: Path, newest: Path, final: Path) -> str:
    """Why the link that made ``newest``, the map of a pass, did not finish; "" if it seems to have."""
    if not final.exists():
        return f"there is no {FINAL}"
    if final.stat().st_mtime_ns < newest.stat().st_mtime_ns:
        return f"{FINAL} is older than {newest.name}"
    if not any((tree / name).exists() for name in _LINKED):
        return "there is no vmlinux"
    return ""


def is_cut_short(earlier: Path, later: Path) -> bool:
    """Whether ``later`` is a truncated copy of ``earlier``, because its writer was interrupted."""
    with (
        os.fdopen(open_regular(str(earlier), follow=True), "rb") as whole,
        os.fdopen(open_regular(str(later), follow=True), "rb") as part,
    ):
        while piece := part.read(_PIECE):
            if piece != whole.read(len(piece)):
                return False
        return bool(whole.read(1))


def read(path: Path) -> list[tuple[int, str]]:
    """Address, and type and name, of each line of a map; CommandError if it is not a map."""
    try:
        text = read_regular(str(path), _MAX_MAP, follow=True).decode("utf-8", "backslashreplace")
    except OSError as error:
        raise CommandError(f"{path}: {error.strerror}") from error
    lines = []
    for number, line in enumerate(text.splitlines(), 1):
        address, _, rest = line.partition(" ")
        try:
            lines.append((int(address, 16), rest))
        except ValueError as error:
            raise CommandError(f"{path}:{number}: not a line of a map: {line[:40]!r}") from error
    return lines


def compare(earlier: list[tuple[int, str]], later: list[tuple[int, str]]) -> Difference:
    """Compare two maps. Symbols with the same name, such as static functions, are matched in order."""
    old, new = _numbered(earlier), _numbered(later)
    return Difference(
        [f"{address:x} {key[0]}" for key, address in new.items() if key not in old],
        [f"{address:x} {key[0]}" for key, address in old.items() if key not in new],
        [(key[0], address, new[key]) for key, address in old.items() if key in new and new[key] != address],
    )


def _numbered(lines: list[tuple[int, str]]) -> dict[tuple[str, int], int]:
    """Addresses by type and name, and the number of earlier symbols with that name."""
    seen: Counter[str] = Counter()
    numbered = {}
    for address, rest in lines:
        numbered[rest, seen[rest]] = address
        seen[rest] += 1
    return numbered
