# SPDX-License-Identifier: GPL-2.0-only
"""One link tried beside the script's own links: tables to begin with, and whether both gave the same."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from kallsymsd.core.errors import InputError
from kallsymsd.elf.elffile import ElfFile
from kallsymsd.kbuild.trial import verdicts
from kallsymsd.kbuild.trial.verdicts import BEGUN, DIFFERENT, LINK, MOST_ATTEMPTS, SAME, Verdict
from kallsymsd.protocol.regular import open_regular, read_regular

if TYPE_CHECKING:
    from kallsymsd.kbuild.outcome import Outcome

#: The map of the link that is tried.
MAP = ".tmp_vmlinux.trial.syms"
SYSMAP = "System.map"
_LARGEST_MAP = 1 << 30
_CHUNK = 1 << 20
# Each so many lines of a map, addresses are put off by so much more.
_LINES, _STEP = 64, 16


def moved(map_text: bytes) -> bytes:
    """A map with the same symbols in the same order, and most at other addresses.

    A link with its tables is like one that was predicted: all that depends on addresses has to be patched.
    """
    lines = []
    for number, line in enumerate(map_text.splitlines()):
        address, separator, rest = line.partition(b" ")
        value = int(address, 16) + number // _LINES * _STEP
        lines.append(b"%0*x%b%b\n" % (len(address), min(value, 16 ** len(address) - 1), separator, rest))
    return b"".join(lines)


def read_map(path: str) -> bytes:
    """The map of the tree that is called so."""
    return read_regular(path, _LARGEST_MAP, follow=False)


def decide(name: str, linked: Path, vmlinux: Path, *, is_linked: bool, outcome: Outcome) -> bool:
    """Keep the verdict ``name`` on ``linked``, whose map is MAP; whether it is the same as ``vmlinux``.

    ``is_linked`` is false where there is none: ``outcome`` says why. Such a trial is made again, a few times.
    """
    place = verdicts.place(dict(os.environb))
    last = verdicts.find(place, name)
    verdict = Verdict(
        LINK, BEGUN, subject=f"one link by {os.environ.get('KALLSYMSD_LD', '')}", tree=str(Path.cwd())
    )
    if not is_linked:
        verdict.attempts = (last.attempts if last else 0) + 1
        verdict.reason = outcome.reason or "it could not be done"
        if verdict.attempts >= MOST_ATTEMPTS:
            verdict.result = DIFFERENT
        outcome.reason = f"one link was tried beside the script's, but {verdict.reason}"
    elif difference := _difference(linked, vmlinux):
        verdict.result, verdict.reason = DIFFERENT, difference
        outcome.reason = f"one link was tried beside the script's, and {difference}"
    else:
        verdict.result = SAME
        outcome.reason = "one link was tried beside the script's and gave the same; it is done from now on"
    verdicts.keep(place, name, verdict)
    return verdict.result == SAME


def _difference(linked: Path, vmlinux: Path) -> str:
    at = _first_difference(linked, vmlinux)
    if at >= 0:
        return f"vmlinux is another one from byte {at} on{_section(vmlinux, at)}"
    at = _first_difference(Path(MAP), Path(SYSMAP))
    return f"System.map is another one from byte {at} on" if at >= 0 else ""


def _first_difference(one: Path, other: Path) -> int:
    """Offset of the first byte in which two files differ, -1 if they do not."""
    files = [open_regular(os.fsencode(path), follow=True) for path in (one, other)]
    try:
        at = 0
        while True:
            left, right = (os.pread(file, _CHUNK, at) for file in files)
            if left != right:
                pairs = enumerate(zip(left, right, strict=False))
                return at + next((i for i, (a, b) in pairs if a != b), min(len(left), len(right)))
            if not left:
                return -1
            at += len(left)
    finally:
        for file in files:
            os.close(file)


def _section(path: Path, offset: int) -> str:
    """Which section has this byte, for a message."""
    try:
        elf = ElfFile.read(read_regular(os.fsencode(path), _LARGEST_MAP, follow=True))
    except (InputError, OSError):
        return ""
    for section in elf.sections:
        if section.type != "SHT_NOBITS" and section.offset <= offset < section.offset + section.size:
            return f", in section {section.name.decode('utf-8', 'replace')}"
    return ""
