# SPDX-License-Identifier: GPL-2.0-only
"""The trial of one link, after the kernel's own links: its first tables, and the comparison of results."""

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

#: The map of the trial's link.
MAP = ".tmp_vmlinux.trial.syms"
SYSMAP = "System.map"
_LARGEST_MAP = 1 << 30
_CHUNK = 1 << 20
# shifted() adds _STEP bytes to the addresses for each _LINES lines.
_LINES, _STEP = 64, 16


def shifted(map_text: bytes) -> bytes:
    """A map with the same symbols in the same order, most of them at other addresses.

    A link with its tables is like one with predicted tables: everything that depends on addresses needs a
    patch.
    """
    lines = []
    for number, line in enumerate(map_text.splitlines()):
        address, separator, rest = line.partition(b" ")
        value = int(address, 16) + number // _LINES * _STEP
        lines.append(b"%0*x%b%b\n" % (len(address), min(value, 16 ** len(address) - 1), separator, rest))
    return b"".join(lines)


def read_map(path: str) -> bytes:
    """The contents of a map in the object tree."""
    return read_regular(path, _LARGEST_MAP, follow=False)


def decide(name: str, linked: Path, vmlinux: Path, *, is_linked: bool, outcome: Outcome) -> bool:
    """Save the verdict ``name`` on ``linked``, whose map is MAP; returns whether it equals ``vmlinux``.

    ``is_linked`` is false if there is no such file; ``outcome`` says why. Such a trial is repeated a few
    times.
    """
    place = verdicts.place(dict(os.environb))
    last = verdicts.find(place, name)
    verdict = Verdict(
        LINK, BEGUN, subject=f"one link by {os.environ.get('KALLSYMSD_LD', '')}", tree=str(Path.cwd())
    )
    if not is_linked:
        verdict.attempts = (last.attempts if last else 0) + 1
        verdict.reason = outcome.reason or "it could not be completed"
        if verdict.attempts >= MOST_ATTEMPTS:
            verdict.result = DIFFERENT
        outcome.reason = f"a trial of one link failed: {verdict.reason}"
    elif difference := _difference(linked, vmlinux):
        verdict.result, verdict.reason = DIFFERENT, difference
        outcome.reason = f"a trial rejected one link: {difference}"
    else:
        verdict.result = SAME
        outcome.reason = "a trial of one link gave the same result; the next build links once"
    verdicts.keep(place, name, verdict)
    return verdict.result == SAME


def _difference(linked: Path, vmlinux: Path) -> str:
    at = _first_difference(linked, vmlinux)
    if at >= 0:
        return f"vmlinux differs from byte {at} on{_section(vmlinux, at)}"
    at = _first_difference(Path(MAP), Path(SYSMAP))
    return f"System.map differs from byte {at} on" if at >= 0 else ""


def _first_difference(one: Path, other: Path) -> int:
    """Offset of the first byte that differs between two files, -1 if they are equal."""
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
    """The section with this byte, for a message."""
    try:
        elf = ElfFile.read(read_regular(os.fsencode(path), _LARGEST_MAP, follow=True))
    except (InputError, OSError):
        return ""
    for section in elf.sections:
        if section.type != "SHT_NOBITS" and section.offset <= offset < section.offset + section.size:
            return f", in section {section.name.decode('utf-8', 'replace')}"
    return ""
