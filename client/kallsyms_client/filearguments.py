# SPDX-License-Identifier: GPL-2.0-only
"""The meaning of the file arguments: what to read and where to write the result."""

import posix

from kallsyms_client.destinations import Named, can_be_included, check_distinct, included_name, is_one_file
from kallsyms_client.failures import ClientError, DeferError, failure
from kallsyms_client.options import Command
from kallsyms_client.output import relative_to_here
from kallsymsd.core.dialects import Dialect
from kallsymsd.protocol import wire
from kallsymsd.protocol.messages import strerror

_FROM_ELF = 3  # --from-elf VMLINUX OUT.S OUT.bin
_MAP_ONLY = 1  # --sysmap=OUT.map VMLINUX, where the dialect reads ELF
NAMED = 4  # VMLINUX IN.map OUT.S OUT.bin

_USAGE = b"Usage: kallsyms --from-elf [OPTION]... VMLINUX OUT.S OUT.bin\n"


class Files:
    """The files of one run.

    input     path of the map or linked kernel
    source    wire.MAP or wire.ELF
    tables    whether to make tables; otherwise only the map
    form      wire.ASM or wire.INCBIN
    target    bits and whether big-endian; (0, False) for wire.ASM
    name      the file that the .S includes, b"" for none
    binary    path of the .bin, None for none
    assembly  path of the .S, None for standard output
    sysmap    path of the map to write, None for none
    optional  the .bin was not asked for: if it cannot be written, everything goes into the .S
    """

    __slots__ = (
        "assembly",
        "binary",
        "form",
        "input",
        "name",
        "optional",
        "source",
        "sysmap",
        "tables",
        "target",
    )

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
        self.optional = False

    def go_without_binary(self) -> None:
        """Put everything into the .S."""
        self.form, self.target, self.name, self.binary, self.optional = wire.ASM, (0, False), b"", None, False


def of(command: Command, dialect: Dialect) -> Files:
    """The files of a command line; ClientError with the usage if their number is wrong."""
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
        files = _beside_standard_output(command)
    else:
        raise DeferError(dialect.usage.encode(), repeated=True)
    files.sysmap = command.sysmap
    _check_distinct(files, command)
    return files


def _to_files(
    command: Command, dialect: Dialect, files: Files, vmlinux: bytes, assembly: bytes, binary: bytes
) -> Files:
    """All outputs are named; the target is that of VMLINUX. With plain assembly an unused .bin is empty."""
    files.assembly, files.binary = assembly, binary
    if command.form == wire.INCBIN or (command.form is None and can_be_included(binary)):
        _include(binary, command, files, vmlinux)
    elif dialect.binary and can_be_included(binary):
        files.name = binary
    return files


def _as_since_v7_4(command: Command, dialect: Dialect) -> Files:
    """VMLINUX OUT.bin > OUT.S, in the form of the kernel's own tool, or --sysmap=OUT.map VMLINUX."""
    count = len(command.positionals)
    if count != dialect.positionals and (count != _MAP_ONLY or command.sysmap is None):
        raise DeferError(dialect.usage.encode(), repeated=True)
    files = Files(command.positionals[0], wire.ELF)
    if count == _MAP_ONLY:
        files.tables = False
        return files
    _check_standard_output()
    files.binary = command.positionals[1]
    if can_be_included(files.binary):
        files.name = files.binary
    if command.form == wire.INCBIN:
        _include(files.binary, command, files, files.input)
    return files


def _include(binary: bytes, command: Command, files: Files, vmlinux: bytes) -> None:
    """Make a short .S that includes ``binary``."""
    from kallsyms_client.machine import elf_target

    if not can_be_included(binary):
        raise failure(b"--format=incbin: the name of the .bin has control characters")
    files.form = wire.INCBIN
    files.target = elf_target(vmlinux, command.flags)
    files.name = binary


def _check_distinct(files: Files, command: Command) -> None:
    """Raise ClientError if an output is the same file as an input or another output."""
    inputs: list[Named] = [(files.input, b"IN.map" if files.source == wire.MAP else b"VMLINUX")]
    if len(command.positionals) == NAMED:
        inputs.append((command.positionals[0], b"VMLINUX"))
    outputs: list[Named] = [(1, b"standard output")] if files.tables and files.assembly is None else []
    named = (files.assembly, b"OUT.S"), (files.binary, b"OUT.bin"), (files.sysmap, b"OUT.map")
    outputs += [(path, what) for path, what in named if path is not None]
    check_distinct(inputs, outputs)


def _check_standard_output() -> None:
    try:
        posix.fstat(1)  # if it is closed, the next file to be opened would become descriptor 1
    except OSError as error:
        raise failure(b"standard output: " + strerror(error)) from error


def _beside_standard_output(command: Command) -> Files:
    """IN.map > OUT.S. The .S includes a .bin only if its name and the target are known."""
    files = Files(command.positionals[0], wire.MAP)
    _check_standard_output()
    if command.form == wire.ASM:
        return files
    binary, why = included_name()
    name = b""
    if binary:
        name = relative_to_here(binary)
        why = _why_not(binary, name, files.input)
    if not why and command.form is None and not _can_be_read_again(files.input):
        return files
    target = None
    if not why:
        from kallsyms_client.machine import known_target

        target = known_target(command.flags, files.input)
    if target is not None:
        files.form = wire.INCBIN
        files.target = target
        files.binary = binary
        files.name = name
        files.optional = command.form is None
    elif command.form == wire.INCBIN:
        if why:
            raise failure(b"--format=incbin: cannot name the .bin after standard output: " + why)
        raise failure(
            b"--format=incbin: the target is unknown; give --64bit or --big-endian, "
            b"or run in the directory of include/config/auto.conf"
        )
    return files


def _why_not(binary: bytes, name: bytes, in_map: bytes) -> bytes:
    """Why the .S on standard output cannot include ``binary`` as ``name``; b"" if it can."""
    from kallsyms_client.machine import SYMS

    if not can_be_included(name):
        return b"it has control characters"
    # The linked kernel beside a map is read for its target.
    for used in (1, in_map, in_map.removesuffix(SYMS)):
        if is_one_file(binary, used):
            return b"%b is an input, or standard output itself" % binary
    return b""


def _can_be_read_again(in_map: bytes) -> bool:
    """Whether the map can be read a second time, in case its .bin cannot be written; a pipe cannot."""
    try:
        return posix.stat(in_map).st_mode & 0o170000 == 0o100000
    except OSError:
        return True  # opening the map will report the error
