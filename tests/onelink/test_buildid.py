# SPDX-License-Identifier: GPL-2.0-only
"""Build-ids of files of several chunks, some of them changed: what the linker gives for the changed input."""

from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import pytest

from kallsymsd.elf.elffile import ElfFile
from kallsymsd.onelink import buildid
from tests.onelink.machines import MACHINES, NEW_LLD, call

CHUNK = 1 << 20
#: Offsets in .data: where chunks of the file begin and end, or nearly so, and in the same one twice.
CHANGES = (0, 70_000, CHUNK - 1, 2 * CHUNK, 2 * CHUNK + 4097)

_PROGRAM = """\
    .section .text, "ax"
    .globl _start
_start:
    .skip 64
    .section .data, "aw"
    .incbin "data"
"""


@pytest.mark.parametrize(
    ("linker", "kind"),
    [
        ("ld", "sha1"),
        ("ld", "md5"),
        *((linker, kind) for linker in ("ld.lld", NEW_LLD) for kind in ("sha1", "md5", "fast")),
    ],
)
@pytest.mark.parametrize("machine", ["x86_64", "arm"])
def test_id_of_the_changed_file(
    machine: str, linker: str, kind: str, tmp_path: Path, unavailable: Callable[[str], NoReturn]
) -> None:
    target = MACHINES[machine]
    if why_not := target.why_not(linker):
        unavailable(why_not)
    data = bytes(range(256)) * (3 * CHUNK // 256)
    changed = bytearray(data)
    for at in CHANGES:
        changed[at] ^= 0xFF
    linked = []
    for number, content in enumerate((data, bytes(changed))):
        here = tmp_path / str(number)
        here.mkdir()
        (here / "data").write_bytes(content)
        (here / "program.S").write_text(_PROGRAM)
        target.assemble(here / "program.S")
        command = [target.program(linker), *target.linker, f"--build-id={kind}", "-o", "program", "program.o"]
        call([*command], here)
        linked.append((here / "program").read_bytes())
    before, after = (ElfFile.read(content) for content in linked)
    note, expected = buildid.find(before), buildid.find(after)
    section = before.section(b".data")
    assert note
    assert expected
    assert section
    replacements = [(section.offset + at, bytes([changed[at]])) for at in CHANGES]
    assert buildid.recompute(before, note, replacements) == expected.id != note.id
    # Many changes side by side are one.
    whole = [(section.offset, bytes(changed))]
    assert buildid.recompute(before, note, whole) == expected.id
