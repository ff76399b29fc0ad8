# SPDX-License-Identifier: GPL-2.0-only
"""The output of --help and --version."""

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

Makes the kallsyms tables of a Linux kernel from its sorted symbols, in place of scripts/kallsyms. Asks the
daemon, kallsymsd; without a daemon, kallsyms computes the same bytes itself.

Options of the kernel's own tool, with the dialects that have them; they may be abbreviated:
{options}
Options of this program:
  --dialect=NAME      use the dialect of a kernel release, such as v6.12, or one of:
                      {dialects}
  --format=incbin     write a short .S that includes a .bin
  --format=asm        write plain assembly, as the kernel's own tool does
  --from-elf          read a linked kernel; make the map that nm and mksysmap would make, and its tables
  --patch             overwrite the tables in a linked kernel with those it needs
  --sysmap=OUT.map    also write that map
  --64bit             the target is a 64-bit machine
  --big-endian        the target is big-endian
                      (either option defines the target; the default of the other is 32-bit, little-endian)
  --debug             add the full listing as comments to a .S that includes a .bin
                      (plain assembly is that listing already)
  -v                  print on standard error how the tables were made
  --help, --version   print this help, or the version, and exit

With four file arguments, OUT.bin and then OUT.S are replaced atomically. OUT.S includes OUT.bin by the name
given. The ELF header of VMLINUX defines class and byte order of the target. With --format=asm, VMLINUX is not
opened and OUT.bin becomes an empty file. The default dialect is mail-2024.

With one file argument, the default dialect is that of scripts/kallsyms.c in $srctree, ./source or the working
directory. The .S includes a .bin, written beside it under the same name, if standard output is an empty file
whose name ends in .S, and if the target is known: from the options, from the linked kernel (IN.map without
.syms), or from include/config/auto.conf. Otherwise it is plain assembly.

With --from-elf, or in dialect v7.4, kallsyms reads the linked kernel. OUT.bin and OUT.map are replaced before
OUT.S is written. In dialect v7.4, the .S and .bin are those of the kernel's own tool; --format=incbin selects
the form of this program.

With --patch, VMLINUX must come straight from the linker, with tables of the right sizes. It becomes the file
that another link would make, build-id included, and OUT.map is written. If the layout differs, VMLINUX stays
unchanged, and OUT.S and OUT.bin are the tables for the next link. The map is that of llvm-nm if $NM names it,
otherwise that of nm.

Examples:
  kallsyms --all-symbols .tmp_vmlinux1.syms > .tmp_vmlinux1.kallsyms.S
  kallsyms --dialect=v6.12 --all-symbols --absolute-percpu --from-elf --sysmap=out.map vmlinux out.S out.bin
  kallsyms --dialect=v6.12 --all-symbols --absolute-percpu --patch --sysmap=out.map vmlinux
  kallsyms --dialect=v7.4 --all-symbols --pc-relative --sysmap=out.map vmlinux out.bin > out.S

Environment:
  KALLSYMSD=auto      ask the daemon; if none runs, compute here and start one for the next run (default)
  KALLSYMSD=off       neither ask nor start a daemon
  KALLSYMSD=require   fail if the daemon does not answer
  KALLSYMSD=verify    like auto, but compare with the kernel's own tool before writing anything
  KALLSYMSD_ORIGINAL  that tool (default: scripts/kallsyms.orig); without either, compare with a cold run
  KALLSYMSD_SOCKET    the daemon's socket (default: kallsymsd/s in $XDG_RUNTIME_DIR)
  KALLSYMSD_DIALECT   like --dialect

Exit status: 0 on success; 3 if --patch finds that the layout differs; 1 on any error, with nothing written to
standard output and all files unchanged.
"""


def help_text(flags: set[bytes]) -> bytes:
    """The help if ``flags`` ask for it, else the version."""
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
