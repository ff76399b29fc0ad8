# SPDX-License-Identifier: GPL-2.0-only
"""kallsyms --patch: writes the tables that a linked kernel needs into it, without another link."""

from kallsyms_client.destinations import Named, can_be_included, check_distinct
from kallsyms_client.failures import ClientError, failure
from kallsyms_client.options import Command
from kallsyms_client.output import FileArgument, write
from kallsyms_client.signals import Undoing
from kallsymsd.core import assembly, pipeline
from kallsymsd.core.dialects import Dialect
from kallsymsd.core.errors import InputError
from kallsymsd.core.tables import Tables
from kallsymsd.core.target import Target
from kallsymsd.elf import nm, vmlinux
from kallsymsd.onelink.overwrite import LinkedFile, OverwriteError
from kallsymsd.onelink.patchplan import LayoutDiffers, Patch
from kallsymsd.protocol.messages import say
from kallsymsd.protocol.received import Piece

_USAGE = b"Usage: kallsyms --patch [OPTION]... [--sysmap=OUT.map] VMLINUX [OUT.S OUT.bin]\n"


class RelinkError(ClientError):
    """The kernel must be linked again; exit status 3."""

    status = 3


def run(command: Command, dialect: Dialect, options: int, environment: dict[bytes, bytes]) -> None:
    """Execute the command line: ClientError for exit status 1, RelinkError for 3."""
    if len(command.positionals) not in (1, 3):
        raise ClientError(_USAGE)
    _check_distinct(command)
    try:
        _run(command, dialect, options, environment)
    except OverwriteError as error:
        raise failure(error.message) from error


def _run(command: Command, dialect: Dialect, options: int, environment: dict[bytes, bytes]) -> None:
    path, *outputs = command.positionals
    try:
        file = LinkedFile(path)
        elf = file.elf
        vmlinux.check_linked(elf)
        text = nm.system_map(elf, dialect, flavour(environment))
        tables = pipeline.build(text, dialect, options)
        plan = file.plan(tables)
    except InputError as error:
        raise ClientError(error.render(path)) from error
    say(tables.warnings)
    if isinstance(plan, LayoutDiffers):
        if outputs:
            _write_tables(tables, Target(elf.bits, elf.big_endian), *outputs)
        raise RelinkError(b"kallsyms: %b: must be linked again: %b\n" % (path, plan.reason.encode()))
    _write(file, plan, command.sysmap, text)
    if command.verbose:
        size = sum(len(data) for _, data in plan.replacements)
        say(b"kallsyms: %d symbols, %d bytes patched\n" % (tables.num_syms, size))


def flavour(environment: dict[bytes, bytes]) -> int:
    """The flavour of the build's nm, which kbuild exports as $NM: the kernel's own tool reads its map."""
    return nm.LLVM if b"llvm-nm" in environment.get(b"NM", b"") else nm.BINUTILS


def _check_distinct(command: Command) -> None:
    """Raise ClientError if an output is VMLINUX or another output."""
    path, *named = command.positionals
    outputs: list[Named] = list(zip(named, (b"OUT.S", b"OUT.bin"), strict=False))
    if command.sysmap is not None:
        outputs.append((command.sysmap, b"OUT.map"))
    check_distinct([(path, b"VMLINUX")], outputs)


def _write_tables(tables: Tables, target: Target, out_s: bytes, out_bin: bytes) -> None:
    """Write the tables for the next link."""
    if can_be_included(out_bin):
        made = assembly.incbin(tables, target, out_bin)
    else:
        made = assembly.Assembly(assembly.plain(tables), [])
    binary = made.binary
    write(
        FileArgument(out_s, Piece(made.text, 0, len(made.text))),
        FileArgument(out_bin, Piece(binary, 0, len(binary))),
    )


def _write(file: LinkedFile, patch: Patch, sysmap: bytes | None, text: bytes) -> None:
    """Patch the file and write the map: both or neither, even if a signal arrives meanwhile."""
    with Undoing():
        if sysmap is None:
            file.write(patch)
            return
        made = FileArgument(sysmap, Piece(text, 0, len(text)))
        try:
            made.stage()
            file.write(patch, lambda: made.commit(undoable=True))
        except BaseException:
            made.undo()
            raise
        finally:
            made.clean()
