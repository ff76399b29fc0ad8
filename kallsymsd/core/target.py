# SPDX-License-Identifier: GPL-2.0-only
"""The ELF class and byte order that tables are made for."""


class Target:
    """ELF class and data encoding of a kernel.

    bits        32 or 64: the width of relative_base and, up to v6.19, the alignment of every table
    big_endian  byte order of markers, token_index and offsets in a .bin
    """

    __slots__ = ("big_endian", "bits")

    def __init__(self, bits: int, big_endian: bool) -> None:  # noqa: FBT001  as read from an ELF header
        if bits not in (32, 64):
            raise ValueError(f"target of {bits} bits; 32 and 64 exist")
        self.bits = bits
        self.big_endian = big_endian

    def __repr__(self) -> str:
        return f"<target {self.bits}-bit {'big' if self.big_endian else 'little'} endian>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Target) and (self.bits, self.big_endian) == (other.bits, other.big_endian)

    def __hash__(self) -> int:
        return hash((self.bits, self.big_endian))
