# SPDX-License-Identifier: GPL-2.0-only
"""Which dialect a build speaks that does not say so."""

from kallsyms_client.options import UsageError, resolve
from kallsymsd.core.dialects import DIALECTS, Dialect
from kallsymsd.protocol.regular import read_regular

_SOURCE = b"scripts/kallsyms.c"
# Most bytes of it; it has 20 to 30 kB in all kernels.
_MOST = 1 << 20


def detect(
    unresolved: list[bytes], positionals: int, srctree: bytes, *, from_elf: bool = False
) -> tuple[Dialect, bytes]:
    """The dialect of a command line with these options and so many file arguments, and a warning, or b"".

    ``from_elf`` says that --from-elf is among the options; then the number of files is the same in all.
    The text of scripts/kallsyms.c decides among the dialects that take the options, not the kernel's
    version: stable kernels carry parts of later dialects. Where the text is that of a dialect that lacks
    an option, that one is returned: the tree's own tool would refuse the option too. Without a text that
    is known, the newest dialect that fits is taken, and a warning says so.
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
        if dialect.release > (0, 0)  # what no release has is not guessed
        and (
            from_elf
            or dialect.positionals in (0, positionals)
            or _makes_map(dialect, positionals, unresolved)
        )
        and _takes(dialect, unresolved, from_elf=from_elf)
    ]
    if not fitting:
        # Wrong in every dialect; the newest one says what is wrong.
        fitting = [dialect for dialect in DIALECTS if not dialect.positionals]
    found = b"%b is not a text that is known" % path if path else b"no %b in $srctree, source or ." % _SOURCE
    return fitting[-1], b"%b, taking the newest that fits, %b; name one: --dialect or KALLSYMSD_DIALECT" % (
        found,
        fitting[-1].name.encode(),
    )


def _source(srctree: bytes) -> tuple[bytes, bytes]:
    """Path and text of the kernel's scripts/kallsyms.c, both empty if there is none.

    kbuild exports srctree; "source" is its link from an object tree to the source tree.
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
    """Whether it is --sysmap=FILE VMLINUX, which may be abbreviated, in a dialect that has that."""
    return dialect.reads_elf and positionals == 1 and any(option.startswith(b"--s") for option in unresolved)


def _takes(dialect: Dialect, unresolved: list[bytes], *, from_elf: bool) -> bool:
    try:
        resolve(unresolved, dialect, from_elf=from_elf)
    except UsageError:
        return False
    return True
