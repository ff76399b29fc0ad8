# SPDX-License-Identifier: GPL-2.0-only
"""Detects the dialect of a kernel tree where no option or variable names it."""

from kallsyms_client.options import UsageError, resolve
from kallsymsd.core.dialects import DIALECTS, Dialect
from kallsymsd.protocol.regular import read_regular

_SOURCE = b"scripts/kallsyms.c"
# Size limit in bytes; all kernels have 20 to 30 kB.
_MOST = 1 << 20


def detect(
    unresolved: list[bytes], positionals: int, srctree: bytes, *, from_elf: bool = False
) -> tuple[Dialect, bytes]:
    """The dialect for a command line with these options and ``positionals`` file arguments; a warning or b"".

    The text of scripts/kallsyms.c decides, not the kernel's version: stable kernels carry parts of later
    dialects. A recognized text decides even if its dialect lacks one of the options: the kernel's own tool
    would reject that option, too. Otherwise the newest dialect that takes the options and the number of
    files is used, with a warning. With ``from_elf`` (--from-elf is given) the number of files is the same in
    all dialects.
    """
    path, text = _source(srctree)
    if path:
        from kallsymsd.core.toolsource import of_source

        dialect = of_source(text)
        if dialect is not None:
            return dialect, b""
    fitting = [
        dialect
        for dialect in DIALECTS
        if dialect.release > (0, 0)  # never guess a dialect that no release has
        and (
            from_elf
            or dialect.positionals in (0, positionals)
            or _makes_map(dialect, positionals, unresolved)
        )
        and _takes(dialect, unresolved, from_elf=from_elf)
    ]
    if not fitting:
        # Wrong in every dialect: let the newest one report the error.
        fitting = [dialect for dialect in DIALECTS if not dialect.positionals]
    found = b"%b is not recognized" % path if path else b"no %b in $srctree, ./source or ." % _SOURCE
    return fitting[-1], b"%b; using dialect %b, the newest that fits; set --dialect or KALLSYMSD_DIALECT" % (
        found,
        fitting[-1].name.encode(),
    )


def _source(srctree: bytes) -> tuple[bytes, bytes]:
    """Path and text of the kernel's scripts/kallsyms.c, both empty if there is none.

    kbuild exports srctree, and links "source" in an object tree to the source tree.
    """
    places = [srctree] if srctree else []
    for place in (*places, b"source", b"."):
        path = place + b"/" + _SOURCE
        try:
            return path, read_regular(path, _MOST, follow=True)
        except OSError:
            continue
    return b"", b""


def _makes_map(dialect: Dialect, positionals: int, unresolved: list[bytes]) -> bool:
    """Whether the command line is --sysmap=FILE VMLINUX (the option may be abbreviated) in such a dialect."""
    return dialect.reads_elf and positionals == 1 and any(option.startswith(b"--s") for option in unresolved)


def _takes(dialect: Dialect, unresolved: list[bytes], *, from_elf: bool) -> bool:
    try:
        resolve(unresolved, dialect, from_elf=from_elf)
    except UsageError:
        return False
    return True
