# SPDX-License-Identifier: GPL-2.0-only
"""What the file arguments mean: what is read, and where the result goes."""

import posix

from kallsyms_client import wire
from kallsyms_client.options import Command
from kallsyms_client.output import included_name, relative_to_here
from kallsyms_client.report import ClientError, DeferError, failure, strerror
from kallsymsd.core.dialects import Dialect

_FROM_ELF = 3  # --from-elf VMLINUX OUT.S OUT.bin
_MAP_ONLY = 1  # --sysmap=OUT.map VMLINUX, where the dialect reads ELF
NAMED = 4  # VMLINUX IN.map OUT.S OUT.bin

_USAGE = b"Usage: kallsyms --from-elf [OPTION]... VMLINUX OUT.S OUT.bin\n"


class Files:
    """The files of one run.

    input     path of the map or of the linked kernel
    source    wire.MAP or wire.ELF
    tables    whether tables are made; else only the map
    form      wire.ASM or wire.INCBIN
    target    bits and whether big-endian; (0, False) for wire.ASM
    name      what the .S includes, b"" if it includes nothing
    binary    path of the .bin, None for none
    assembly  path of the .S, None for standard output
    sysmap    path of the map to be made, None for none
    """

    __slots__ = ("assembly", "binary", "form", "input", "name", "source", "sysmap", "tables", "target")

    def __init__(self, path: bytes, source: int) -> None:
        self.input = path
        self.source = source
        self.tables = True
        self.form = wire.ASM
        self.target = (0, False)
        self.name = b""
        self.binary: bytes | None = None
        self.assembly: bytes | None = None
        self.sysmap: bytes | None = None


def of(command: Command, dialect: Dialect) -> Files:
    """The files that the command line names; ClientError with the usage for a wrong number of them."""
    count = len(command.positionals)
    if command.from_elf:
        if count != _FROM_ELF:
            raise ClientError(_USAGE)
        vmlinux, assembly, binary = command.positionals
        files = _to_files(command, dialect, Files(vmlinux, wire.ELF), vmlinux, assembly, binary)
    elif count == NAMED and command.sysmap is None:
        vmlinux, in_map, assembly, binary = command.positionals
        files = _to_files(command, dialect, Files(in_map, wire.MAP), vmlinux, assembly, binary)
    elif dialect.reads_elf:
        files = _as_since_v7_4(command, dialect)
    elif count and dialect.positionals in (0, count):
        return _beside_standard_output(command)
    else:
        raise DeferError(dialect.usage.encode(), repeated=True)
    files.sysmap = command.sysmap
    _check_distinct(files)
    return files


def _to_files(
    command: Command, dialect: Dialect, files: Files, vmlinux: bytes, assembly: bytes, binary: bytes
) -> Files:
    """The outputs are named, the target is that of VMLINUX. With --format=asm a .bin without use is empty."""
    files.assembly, files.binary = assembly, binary
    if command.form != wire.ASM:
        _include(binary, command, files, vmlinux)
    elif dialect.binary:
        files.name = binary
    return files


def _as_since_v7_4(command: Command, dialect: Dialect) -> Files:
    """VMLINUX OUT.bin > OUT.S as the tool makes them, or --sysmap=OUT.map VMLINUX."""
    count = len(command.positionals)
    if count != dialect.positionals and (count != _MAP_ONLY or command.sysmap is None):
        raise DeferError(dialect.usage.encode(), repeated=True)
    files = Files(command.positionals[0], wire.ELF)
    if count == _MAP_ONLY:
        files.tables = False
        return files
    _check_standard_output()
    files.name = files.binary = command.positionals[1]
    if command.form == wire.INCBIN:
        _include(files.binary, command, files, files.input)
    return files


def _include(binary: bytes, command: Command, files: Files, vmlinux: bytes) -> None:
    """A short .S that includes ``binary``."""
    from kallsyms_client.target import elf_target

    files.form = wire.INCBIN
    files.target = elf_target(vmlinux, command.flags)
    files.name = binary


def _check_distinct(files: Files) -> None:
    named = [(files.assembly, b"OUT.S"), (files.binary, b"OUT.bin"), (files.sysmap, b"OUT.map")]
    seen: dict[bytes, bytes] = {}
    for path, what in named:
        if path is None:
            continue
        if path in seen:
            raise failure(b"%b: given both as %b and as %b" % (path, seen[path], what))
        seen[path] = what


def _check_standard_output() -> None:
    try:
        posix.fstat(1)  # the next file to be opened would become standard output
    except OSError as error:
        raise failure(b"standard output: " + strerror(error)) from error


def _beside_standard_output(command: Command) -> Files:
    """IN.map > OUT.S. The .S includes a .bin only if all that takes is known."""
    files = Files(command.positionals[0], wire.MAP)
    _check_standard_output()
    if command.form == wire.ASM:
        return files
    binary, why = included_name()
    if binary:
        from kallsyms_client.target import known_target

        target = known_target(command.flags, files.input)
        if target is not None:
            files.form = wire.INCBIN
            files.target = target
            files.binary = binary
            files.name = relative_to_here(binary)
            return files
    if command.form == wire.INCBIN:
        if binary:
            raise failure(
                b"--format=incbin: the target is not known: give --64bit or --big-endian, "
                b"or run it where include/config/auto.conf is"
            )
        raise failure(b"--format=incbin: no name for the .bin from standard output: " + why)
    return files
