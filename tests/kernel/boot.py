# SPDX-License-Identifier: GPL-2.0-only
"""Booting a kernel in QEMU, and what it says of its own symbols."""

import re
import subprocess
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

#: Seconds from start to power-off; 10 to 15 without KVM on an idle machine.
LIMIT = 120.0

#: Shows what is wanted between marks; ``dmesg -n 1`` keeps messages of the kernel out of it.
_INIT = """#!/bin/sh
/bin/busybox mount -t proc proc /proc
/bin/busybox dmesg -n 1
echo 0 >/proc/sys/kernel/kptr_restrict
seconds=0
while [ $seconds -lt {wait} ]; do
    /bin/busybox dmesg | /bin/busybox grep -Eq 'kallsyms_selftest: (finish|abort)' && break
    /bin/busybox sleep 1
    seconds=$((seconds + 1))
done
echo '==== selftest'
/bin/busybox dmesg | /bin/busybox grep kallsyms_selftest
echo '==== kallsyms'
/bin/busybox cat /proc/kallsyms
echo '==== end'
/bin/busybox reboot -f
"""
_SELFTEST_LIMIT = 60

_FILES = """dir /proc 0755 0 0
dir /dev 0755 0 0
dir /bin 0755 0 0
nod /dev/console 0600 0 0 c 5 1
file /bin/busybox /bin/busybox 0755 0 0
slink /bin/sh busybox 0777 0 0
file /init {init} 0755 0 0
"""

#: Address, type letter, name.
Symbol = tuple[int, str, str]


@dataclass(frozen=True)
class Booted:
    """What a running kernel said.

    selftest  lines of CONFIG_KALLSYMS_SELFTEST, without their prefix
    symbols   /proc/kallsyms, in its order
    """

    selftest: list[str]
    symbols: list[Symbol]

    @property
    def selftest_passed(self) -> bool:
        """Whether the kernel's own test found every symbol."""
        return "finish" in self.selftest and not any(
            "abort" in line or "failed" in line for line in self.selftest
        )


def boot(vmlinux: Path, gen_init_cpio: Path, scratch: Path, *, has_selftest: bool) -> Booted:
    """Boot a kernel and read its symbols.

    gen_init_cpio  the kernel tree's own program, which makes the initramfs without root
    has_selftest   wait for the kernel's own test of kallsyms, which runs in the background

    Raises AssertionError with the end of the console if the kernel does not end in ``LIMIT`` seconds.
    """
    init, files, initrd, console = (scratch / name for name in ("init", "files", "initrd", "console"))
    init.write_text(_INIT.format(wait=_SELFTEST_LIMIT if has_selftest else 0))
    files.write_text(_FILES.format(init=init))
    with initrd.open("wb") as out:
        subprocess.run([gen_init_cpio, files], stdout=out, check=True)
    command: list[str | Path] = [
        *("qemu-system-x86_64", "-accel", "tcg", "-cpu", "max", "-m", "512", "-smp", "2"),
        *("-nodefaults", "-display", "none", "-serial", "stdio", "-no-reboot"),
        # no_timer_check: on a busy machine the emulated timer fails that check.
        *("-kernel", vmlinux, "-initrd", initrd, "-append", "console=ttyS0 panic=-1 no_timer_check"),
    ]
    with console.open("wb") as out:
        try:
            subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                timeout=LIMIT,
                check=True,
            )
        except (subprocess.TimeoutExpired, subprocess.CalledProcessError) as error:
            raise AssertionError(f"{error}\n{_end(console)}") from None
    return parse(console.read_text(errors="replace").replace("\r", ""))


def _end(console: Path) -> str:
    return "".join(console.read_text(errors="replace").splitlines(keepends=True)[-30:])


def parse(console: str) -> Booted:
    """What stands between the marks of a console."""
    match = re.search(r"==== selftest\n(.*)==== kallsyms\n(.*)==== end\n", console, re.DOTALL)
    assert match, f"the kernel has not shown its symbols:\n{console[-2000:]}"
    selftest, symbols = match.groups()
    said = re.findall(r"kallsyms_selftest: (.*)", selftest)
    return Booted([line.strip() for line in said], [_symbol(line) for line in symbols.splitlines()])


def _symbol(line: str) -> Symbol:
    address, letter, name = line.split(" ")
    return int(address, 16), letter, name


def shown(system_map: str, *, tables_hidden: bool) -> Counter[Symbol]:
    """What /proc/kallsyms must show of a System.map.

    Absolute symbols (A) are not in the tables. Those of the per-cpu section, whose addresses are offsets, are
    made absolute by --absolute-percpu and show as A.

    tables_hidden  scripts/kallsyms itself leaves out the names of the tables, as that of 6.1 does; later
                   mksysmap does, so that System.map lacks them too
    """
    symbols = [_symbol(line) for line in system_map.splitlines()]
    address = {name: where for where, _, name in symbols}
    first, last = address["__per_cpu_start"], address["__per_cpu_end"]
    return Counter(
        (where, "A" if first <= where <= last else letter, name)
        for where, letter, name in symbols
        if letter != "A" and not (tables_hidden and name in _TABLES)
    )


_TABLES = {
    f"kallsyms_{table}"
    for table in (
        *(
            "offsets",
            "relative_base",
            "num_syms",
            "names",
            "markers",
            "seqs_of_names",
            "token_table",
            "token_index",
        ),
    )
}
