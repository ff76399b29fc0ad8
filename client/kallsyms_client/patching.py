# SPDX-License-Identifier: GPL-2.0-only
"""kallsyms --patch: the tables of a linked kernel, put into it without another link."""

import mmap
import os

from kallsyms_client import inplace
from kallsyms_client.options import Command
from kallsyms_client.output import FileArgument, Piece, write
from kallsyms_client.regular import open_regular
from kallsyms_client.report import ClientError, failure, say, strerror
from kallsyms_client.signals import Undoing
from kallsymsd.core import assembly, nm, patch, pipeline, vmlinux
from kallsymsd.core.dialects import Dialect
from kallsymsd.core.elf import ElfFile
from kallsymsd.core.errors import InputError
from kallsymsd.core.tables import Tables
from kallsymsd.core.target import Target

_USAGE = b"Usage: kallsyms --patch [OPTION]... [--sysmap=OUT.map] VMLINUX [OUT.S OUT.bin]\n"


class RelinkError(ClientError):
    """The file must be linked again; exit status 3."""

    status = 3


def run(command: Command, dialect: Dialect, options: int, environment: dict[bytes, bytes]) -> None:
    """Do what the command line says: ClientError for exit status 1, RelinkError for 3."""
    if len(command.positionals) not in (1, 3):
        raise ClientError(_USAGE)
    path, *outputs = command.positionals
    _check_distinct(command)
    data, planned = _contents(path)
    with data:
        try:
            elf = ElfFile.read(data)
            vmlinux.check_linked(elf)
            text = nm.system_map(elf, dialect, flavour(environment))
            tables = pipeline.build(text, dialect, options)
            plan = patch.plan(elf, tables)
        except InputError as error:
            raise ClientError(error.render(path)) from error
        target = Target(elf.bits, elf.big_endian)
    say(tables.warnings)
    if isinstance(plan, patch.LayoutDiffers):
        if outputs:
            _write_tables(tables, target, *outputs)
        raise RelinkError(b"kallsyms: %b: must be linked again: %b\n" % (path, plan.reason.encode()))
    _apply(path, plan, planned, command.sysmap, text)
    if command.verbose:
        size = sum(len(data) for _, data in plan.replacements)
        say(b"kallsyms: %d symbols, %d bytes patched\n" % (tables.num_syms, size))


def flavour(environment: dict[bytes, bytes]) -> int:
    """Whose map the kernel's tool would read: that of the build's own nm, which kbuild exports as $NM."""
    return nm.LLVM if b"llvm-nm" in environment.get(b"NM", b"") else nm.BINUTILS


def _check_distinct(command: Command) -> None:
    """No output may be written over VMLINUX, nor over another."""
    named = dict(zip((b"VMLINUX", b"OUT.S", b"OUT.bin"), command.positionals, strict=False))
    if command.sysmap is not None:
        named[b"OUT.map"] = command.sysmap
    seen: dict[bytes, bytes] = {}
    for what, path in named.items():
        other = seen.setdefault(os.path.realpath(path), what)
        if other != what:
            raise failure(b"%b: given both as %b and as %b" % (path, other, what))


def _contents(path: bytes) -> tuple[memoryview, inplace.Identity]:
    """The file, mapped into memory, and which it is."""
    try:
        descriptor = open_regular(path, follow=True)
        try:
            status = os.fstat(descriptor)
            size = status.st_size
            data = memoryview(mmap.mmap(descriptor, size, prot=mmap.PROT_READ) if size else b"")
            return data, inplace.Identity(status)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise failure(path + b": " + strerror(error)) from error


def _write_tables(tables: Tables, target: Target, out_s: bytes, out_bin: bytes) -> None:
    """The tables for the next link."""
    made = assembly.incbin(tables, target, out_bin)
    binary = made.binary
    write(
        FileArgument(out_s, Piece(made.text, 0, len(made.text))),
        FileArgument(out_bin, Piece(binary, 0, len(binary))),
    )


def _apply(
    path: bytes, plan: patch.Patch, planned: inplace.Identity, sysmap: bytes | None, text: bytes
) -> None:
    """Patch the file and write the map: both or neither, also when a signal comes meanwhile."""
    with Undoing():
        if sysmap is None:
            inplace.apply(path, plan.replacements, planned)
            return
        file = FileArgument(sysmap, Piece(text, 0, len(text)))
        try:
            file.stage()
            inplace.apply(path, plan.replacements, planned, lambda: file.commit(undoable=True))
        except BaseException:
            file.undo()
            raise
        finally:
            file.clean()
