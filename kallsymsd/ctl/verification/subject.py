# SPDX-License-Identifier: GPL-2.0-only
"""The subject of a verification: a map, the kernel's own tool, and everything that decides its output."""

import os
import platform
import shlex
import subprocess
from argparse import Namespace
from pathlib import Path
from typing import NamedTuple

from kallsymsd.core.dialects import DIALECTS, OPTION_BITS, Dialect, find
from kallsymsd.core.toolsource import of_source
from kallsymsd.ctl import passes
from kallsymsd.ctl.command import CommandError
from kallsymsd.protocol.regular import open_regular, read_regular

# Seconds allowed for the tool to print its usage; with some maps the older parser never ends.
_PATIENCE = 10
_MAX_CONFIG = 1 << 24
_MAX_SOURCE = 1 << 20

# The configuration that selects each option of scripts/kallsyms (scripts/link-vmlinux.sh). Options that the
# tool lacks are dropped later.
_CONFIGURED = {
    "all-symbols": ("CONFIG_KALLSYMS_ALL",),
    "absolute-percpu": ("CONFIG_KALLSYMS_ABSOLUTE_PERCPU",),
    "base-relative": ("CONFIG_KALLSYMS_BASE_RELATIVE",),
    "lto-clang": ("CONFIG_LTO_CLANG",),
    "pc-relative": ("CONFIG_64BIT", "CONFIG_RELOCATABLE"),
}
# Options without a configuration: those of distributions' x86_64 kernels.
_USUAL = ("all-symbols", "absolute-percpu", "base-relative", "pc-relative")


class Subject(NamedTuple):
    """The subject of a verification.

    map         the map
    tree        the object tree, or the map's directory
    tool        the kernel's own tool
    dialects    candidates for the tool's dialect; the first that matches is used
    options     names of the tool's options, which all these dialects have
    bits        word size of the target
    big_endian  byte order of the target
    compiler    command that assembles for the target
    """

    map: Path
    tree: Path
    tool: Path
    dialects: list[Dialect]
    options: list[str]
    bits: int
    big_endian: bool
    compiler: list[str]

    @property
    def option_bits(self) -> int:
        """The options as bits of the dialect table."""
        return sum(OPTION_BITS[name] for name in self.options)


def subject(options: Namespace) -> Subject:
    """The subject for a command line; CommandError if something is missing."""
    named: Path = options.subject
    in_map = _map(named)
    tree = named if named.is_dir() else in_map.parent
    tool = _tool(tree, options.tool)
    config = _config(tree)
    bits = _bits(in_map)
    dialects = _dialects(tree, tool, options.dialect)
    names = options.option if options.option is not None else _options(config)
    common = [name for name in names if all(name in dialect.options for dialect in dialects)]
    if options.option is not None and common != names:
        lacking = next(name for name in names if name not in common)
        raise CommandError(
            f"--option {lacking}: the dialect {dialects[0].name} lacks it; see kallsyms --help"
        )
    return Subject(
        in_map,
        tree,
        tool,
        dialects,
        common,
        bits,
        options.big_endian or "CONFIG_CPU_BIG_ENDIAN" in config,
        _compiler(options.cc, bits),
    )


def _map(named: Path) -> Path:
    if not named.exists():
        raise CommandError(f"{named}: no such map or tree")
    if not named.is_dir():
        return named
    path = named / passes.FINAL
    if not path.exists():
        raise CommandError(f"{named}: has no {passes.FINAL}; build the kernel first, or name a map")
    return path


def _tool(tree: Path, named: Path | None) -> Path:
    original = os.environ.get("KALLSYMSD_ORIGINAL")
    places = [tree / "scripts" / "kallsyms.orig", tree / "scripts" / "kallsyms"]
    if named or original:
        places = [named or Path(original or "")]
    for path in places:
        # Skip a script that stands in for the tool: it would compare kallsymsd with itself.
        if os.access(path, os.X_OK) and path.is_file() and (named or _is_elf(path)):
            return path.absolute()
    raise CommandError(f"{places[0]}: the kernel's own tool is missing; name one with --tool")


def _is_elf(path: Path) -> bool:
    try:
        descriptor = open_regular(str(path), follow=True)
    except OSError:
        return False
    try:
        return os.pread(descriptor, 4, 0) == b"\x7fELF"
    finally:
        os.close(descriptor)


def _config(tree: Path) -> set[str]:
    """The names that are y in the tree's configuration; empty if there is none."""
    try:
        text = read_regular(f"{tree}/include/config/auto.conf", _MAX_CONFIG, follow=True)
    except OSError:
        return set()
    lines = text.decode("utf-8", "replace").splitlines()
    return {line.removesuffix("=y") for line in lines if line.endswith("=y")}


def _options(config: set[str]) -> list[str]:
    if not config:
        return list(_USUAL)
    return [name for name, symbols in _CONFIGURED.items() if config & set(symbols)]


def _bits(in_map: Path) -> int:
    """The word size of the target, from the width of the first address."""
    try:
        descriptor = open_regular(str(in_map), follow=True)
        try:
            address = os.pread(descriptor, 100, 0).partition(b"\n")[0].partition(b" ")[0]
        finally:
            os.close(descriptor)
    except OSError as error:
        raise CommandError(f"{in_map}: {error.strerror}") from error
    return 32 if len(address) == 8 else 64


def _dialects(tree: Path, tool: Path, named: str | None) -> list[Dialect]:
    if named:
        dialect = find(named)
        if dialect is None:
            names = ", ".join(each.name for each in DIALECTS)
            raise CommandError(f"--dialect {named}: unknown; must be a kernel release or one of {names}")
        return [dialect]
    source = tree / "source" if (tree / "source").exists() else tree
    try:
        known = of_source(read_regular(source / "scripts/kallsyms.c", _MAX_SOURCE, follow=True))
    except OSError:
        known = None
    if known is not None:
        return [known]
    usage = _usage(tool)
    fitting = [dialect for dialect in DIALECTS if dialect.usage == usage]
    if not fitting:
        raise CommandError(f"{tool}: has an unknown dialect; name one with --dialect")
    return fitting[::-1]


def _usage(tool: Path) -> str:
    """The usage that the tool prints without arguments."""
    try:
        done = subprocess.run(  # noqa: S603  the tool that the build runs
            [tool],
            env={"LC_ALL": "C", "KALLSYMSD": "off"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_PATIENCE,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise CommandError(f"{tool}: cannot be run: {error}") from error
    return done.stderr.decode("utf-8", "replace").replace(f"Usage: {tool} ", "Usage: kallsyms ")


def _compiler(named: str | None, bits: int) -> list[str]:
    command = named or os.environ.get("CC") or os.environ.get("CROSS_COMPILE", "") + "gcc"
    words = shlex.split(command) or ["gcc"]
    if not named and bits == 32 and platform.machine() == "x86_64":
        words.append("-m32")
    return words
