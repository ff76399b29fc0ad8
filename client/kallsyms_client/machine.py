# SPDX-License-Identifier: GPL-2.0-only
"""Class and byte order of the target, which only the form with a .bin needs.

A target is a pair: 32 or 64 bits, and whether it is big-endian.
"""

import posix

from kallsyms_client.failures import ClientError, failure
from kallsymsd.protocol.messages import strerror
from kallsymsd.protocol.regular import open_regular

_AUTO_CONF = b"include/config/auto.conf"
#: Suffix of a map that is named after its linked kernel.
SYMS = b".syms"


def elf_target(vmlinux: bytes, flags: set[bytes]) -> tuple[int, bool]:
    """The target in the ELF header of ``vmlinux``.

    ClientError if the file cannot be read, is no ELF file, or contradicts --64bit or --big-endian.
    """
    target = _read_header(vmlinux)
    flagged = _flagged(flags)
    if flagged is not None and target != flagged:
        raise failure(b"%b: is %b, but the options say %b" % (vmlinux, _describe(target), _describe(flagged)))
    return target


def known_target(flags: set[bytes], in_map: bytes) -> tuple[int, bool] | None:
    """The target, from the first of these that exists; None without any.

    --64bit and --big-endian; the linked kernel, whose path is that of the map without .syms, as in all
    kernels of these dialects; the kernel's configuration in the working directory.
    """
    return _flagged(flags) or _linked(in_map) or _configured()


def _linked(in_map: bytes) -> tuple[int, bool] | None:
    if not in_map.endswith(SYMS):
        return None
    try:
        return _read_header(in_map[: -len(SYMS)])
    except ClientError:
        return None  # for example, there is no linked kernel behind the empty map of the first pass


def _flagged(flags: set[bytes]) -> tuple[int, bool] | None:
    """The target from the options; either option defines it."""
    if not flags & {b"64bit", b"big-endian"}:
        return None
    return 64 if b"64bit" in flags else 32, b"big-endian" in flags


def _describe(target: tuple[int, bool]) -> bytes:
    bits, big_endian = target
    return b"%d-bit %b-endian" % (bits, b"big" if big_endian else b"little")


def _read_header(path: bytes) -> tuple[int, bool]:
    """The target from EI_CLASS and EI_DATA in e_ident (elf(5))."""
    try:
        descriptor = open_regular(path, follow=True)
        try:
            ident = posix.read(descriptor, 16)
        finally:
            posix.close(descriptor)
    except OSError as error:
        raise failure(path + b": " + strerror(error)) from error
    if len(ident) < 16 or ident[:4] != b"\x7fELF":
        raise failure(path + b": not an ELF file")
    if ident[4] not in (1, 2):
        raise failure(b"%b: bad ELF class %d" % (path, ident[4]))
    if ident[5] not in (1, 2):
        raise failure(b"%b: bad ELF data encoding %d" % (path, ident[5]))
    return 32 * ident[4], ident[5] == 2


def _configured() -> tuple[int, bool] | None:
    try:
        descriptor = open_regular(_AUTO_CONF, follow=True)
    except OSError:
        return None
    bits, big_endian, last = 32, False, b"\n"
    try:
        while chunk := posix.read(descriptor, 1 << 16):
            text = last + chunk
            if b"\nCONFIG_64BIT=y\n" in text:
                bits = 64
            if b"\nCONFIG_CPU_BIG_ENDIAN=y\n" in text:
                big_endian = True
            last = text[-32:]  # a line may continue in the next chunk
    except OSError:
        return None
    finally:
        posix.close(descriptor)
    return bits, big_endian
