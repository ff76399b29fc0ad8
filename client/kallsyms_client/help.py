# SPDX-License-Identifier: GPL-2.0-only
"""What --help and --version print."""

import textwrap

from kallsymsd import __version__
from kallsymsd.core.dialects import DIALECTS, OPTION_BITS

_HELP = """\
Usage: kallsyms [OPTION]... IN.map > OUT.S
       kallsyms [OPTION]... VMLINUX IN.map OUT.S OUT.bin
       kallsyms [OPTION]... --from-elf [--sysmap=OUT.map] VMLINUX OUT.S OUT.bin
       kallsyms [OPTION]... --patch [--sysmap=OUT.map] VMLINUX [OUT.S OUT.bin]
       kallsyms [OPTION]... [--sysmap=OUT.map] VMLINUX OUT.bin > OUT.S    since v7.4
       kallsyms --sysmap=OUT.map VMLINUX                                  since v7.4

Make the kallsyms tables of a Linux kernel from its sorted symbols, in place of the kernel's scripts/kallsyms.
Asks kallsymsd; without it, makes the same bytes itself.

Options of the kernel, each where the dialect has it; they may be abbreviated:
{options}
Options of this program:
  --dialect=NAME      speak the dialect of a kernel release, such as v6.12, or one of:
                      {dialects}
  --format=incbin     a short .S that includes a .bin
  --format=asm        plain assembly, as the kernel's tool prints it
  --from-elf          read the linked kernel: make the map that nm and mksysmap would make, and its tables
  --patch             overwrite the tables in a linked kernel with those that it needs
  --sysmap=OUT.map    write that map, too
  --64bit             the target is a 64-bit machine
  --big-endian        the target is big-endian
                      (either makes the target known; without the other it is 32-bit, or little-endian)
  --debug             put the full listing as comments into a .S that includes a .bin
                      (plain assembly is that listing already)
  -v                  say on standard error how the tables were made
  --help, --version   print this, or the version, and exit

Four file arguments: OUT.bin and OUT.S are replaced, in this order, by files that are complete. OUT.S includes
OUT.bin by the name given. Class and byte order of the target come from the ELF header of VMLINUX. With
--format=asm VMLINUX is not opened and OUT.bin becomes an empty file. Unless one is named the dialect is
mail-2024.

One file argument: unless one is named the dialect is that of scripts/kallsyms.c in $srctree, ./source or the
working directory. If standard output is a file at its start whose name ends in .S, and the target is known
from the options, from the linked kernel (IN.map without .syms) or from include/config/auto.conf, the .S
includes a .bin, which is made beside it under the same name. Otherwise it is plain assembly.

With --from-elf, or in dialect v7.4, the linked kernel is read. OUT.bin and OUT.map are replaced before OUT.S
is written. In dialect v7.4 .S and .bin are those of the kernel's own tool; --format=incbin makes ours.

With --patch, VMLINUX is fresh from the linker, with tables of the right sizes. It becomes what another link
would make, build-id included, and OUT.map is written. If its layout differs it stays as it is, and OUT.S and
OUT.bin are the tables for the next link. The map is that of llvm-nm where $NM names it, else that of nm.

Examples:
  kallsyms --all-symbols .tmp_vmlinux1.syms > .tmp_vmlinux1.kallsyms.S
  kallsyms --dialect=v6.12 --all-symbols --absolute-percpu --from-elf --sysmap=out.map vmlinux out.S out.bin
  kallsyms --dialect=v6.12 --all-symbols --absolute-percpu --patch --sysmap=out.map vmlinux
  kallsyms --dialect=v7.4 --all-symbols --pc-relative --sysmap=out.map vmlinux out.bin > out.S

Environment:
  KALLSYMSD=auto      ask the daemon; where none runs, start one for the next time (the default)
  KALLSYMSD=off       neither ask nor start one
  KALLSYMSD=require   fail without its answer
  KALLSYMSD=verify    as auto, and compare with the kernel's own tool before anything is written
  KALLSYMSD_ORIGINAL  that tool, instead of scripts/kallsyms.orig; where neither is, computes to compare
  KALLSYMSD_SOCKET    the daemon's socket, instead of kallsymsd/s in $XDG_RUNTIME_DIR
  KALLSYMSD_DIALECT   as --dialect

Exit status: 0; 3 if --patch finds another layout; 1 for any error: then standard output got nothing, and
all files are as they were.
"""


def help_text(flags: set[bytes]) -> bytes:
    """The answer to the options given: the help, else the version."""
    if b"help" not in flags:
        return f"kallsyms (kallsymsd) {__version__}\n".encode()
    options = ""
    for option in OPTION_BITS:
        names = [dialect.name for dialect in DIALECTS if option in dialect.options]
        where = "all dialects" if len(names) == len(DIALECTS) else ", ".join(names)
        options += f"  --{option:<18}{where}\n"
    names = textwrap.wrap(", ".join(dialect.name for dialect in DIALECTS), 80)
    dialects = ("\n" + " " * 22).join(names)
    return _HELP.format(options=options, dialects=dialects).encode()
