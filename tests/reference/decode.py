# SPDX-License-Identifier: GPL-2.0-only
"""Tables from assembly text, as an assembler would make them: the way back from what a tool printed."""

import re
from typing import Literal

U32 = 1 << 32

#: Beginnings of the lines that contribute nothing, or a relocation.
NO_BYTES = (b"#", b".globl ", b".size ", b"\tALGN", b"\t.balign", b"\t.section", b"\tPTR", b"\t.long\t_text")


def tables(text: bytes, *, binary: bytes = b"", big_endian: bool = False) -> dict[str, bytes]:
    """The bytes of every table in plain assembly that needs no relocation, by its name without kallsyms_.

    ``binary`` is the .bin that it includes. Raises ValueError for a line that none of the kernel's tools
    prints.
    """
    found: dict[str, bytearray] = {}
    table = bytearray()
    for line in text.split(b"\n"):
        label = re.fullmatch(rb"kallsyms_(\w+):", line)
        if label:
            table = found.setdefault(label[1].decode(), bytearray())
        else:
            table += assemble(line, binary=binary, big_endian=big_endian)
    return {name: bytes(content) for name, content in found.items()}


def assemble(line: bytes, *, binary: bytes = b"", big_endian: bool = False) -> bytes:
    """The bytes that one line contributes; ``binary`` is the file that an .incbin names."""
    order: Literal["big", "little"] = "big" if big_endian else "little"
    asciz = re.fullmatch(rb'\t\.asciz\t"(.*)"', line, re.DOTALL)
    if asciz:  # nothing is escaped: everything between the outer quotes is the text
        return asciz[1] + b"\0"
    included = re.fullmatch(rb'\t\.incbin "[^"]*", ([0-9]+), ([1-9][0-9]*)', line)
    if included:
        start, length = int(included[1]), int(included[2])
        if start + length > len(binary):
            raise ValueError(f"more is included than the .bin has: {line!r}")
        return binary[start : start + length]
    code = line.split(b"\t/* ")[0]
    if code.startswith(b"\t.byte "):
        return bytes(int(byte, 16) for byte in code.removeprefix(b"\t.byte ").split(b", "))
    if code.startswith(b"\t.short\t"):
        return int(code.split(b"\t")[2]).to_bytes(2, order)
    if code.startswith(b"\t.long\t") and not code.startswith(NO_BYTES):
        return (int(code.split(b"\t")[2], 0) % U32).to_bytes(4, order)
    if code and not code.startswith(NO_BYTES):
        raise ValueError(f"unexpected line of assembly: {line!r}")
    return b""
