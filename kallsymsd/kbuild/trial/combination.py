# SPDX-License-Identifier: GPL-2.0-only
"""The key of the verdict on one link: everything that can make it differ from the kernel's own links.

docs/kernel-trees.md has the list, too. The objects are not in it: both kinds of link read the same ones, and
neither looks at their contents.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from kallsymsd.kbuild.trial import verdicts
from kallsymsd.protocol.regular import read_regular

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kallsymsd.core.dialects import Dialect
    from kallsymsd.onelink.configuration import Configuration

# Seconds allowed for a program to print its version.
_PATIENCE = 10
_LARGEST_LAYOUT = 1 << 24
# Variables that the script and its recipe get from kbuild.
_VARIABLES = (
    *("SRCARCH", "CC", "OBJCOPY", "KBUILD_AFLAGS", "KBUILD_AFLAGS_KERNEL", "KBUILD_CPPFLAGS"),
    *("PAHOLE", "PAHOLE_FLAGS", "RESOLVE_BTFIDS"),
)
# Variables that the edited script sets: its digest, the rules of scripts/mksysmap, linker and flags.
_SCRIPT = ("KALLSYMSD_SCRIPT", "KALLSYMSD_RULES", "KALLSYMSD_LD", "KALLSYMSD_LDFLAGS")
# Configuration that changes what is linked, or how, without changing any of the above.
_OPTIONS = (
    *("CONFIG_CC_VERSION_TEXT", "CONFIG_AS_VERSION", "CONFIG_LD_VERSION", "CONFIG_LLD_VERSION"),
    *("CONFIG_PAHOLE_VERSION", "CONFIG_64BIT", "CONFIG_CPU_BIG_ENDIAN", "CONFIG_SMP", "CONFIG_MODULES"),
    *("CONFIG_RELOCATABLE", "CONFIG_RANDOMIZE_BASE", "CONFIG_KALLSYMS_ALL", "CONFIG_DEBUG_INFO"),
    *("CONFIG_DEBUG_INFO_BTF", "CONFIG_LTO_CLANG", "CONFIG_X86_KERNEL_IBT", "CONFIG_CFI_CLANG", "CONFIG_CFI"),
    *("CONFIG_LD_DEAD_CODE_DATA_ELIMINATION", "CONFIG_KLP_BUILD", "CONFIG_RUST"),
)


def key(
    configuration: Configuration, dialect: Dialect, options: list[str], environment: Mapping[str, str]
) -> str:
    """The key of the verdict on one link in the working directory, an object tree.

    OSError if one of its parts cannot be read.
    """
    layout = Path(environment.get("objtree", "."), environment.get("KBUILD_LDS", "vmlinux.lds"))
    fields = [
        dialect.name,
        *options,
        *(environment.get(name, "") for name in (*_SCRIPT, *_VARIABLES)),
        *(configuration.value(name) for name in _OPTIONS),
        _version(environment.get("KALLSYMSD_LD", "")),
        _version(environment.get("NM", "")),
    ]
    text = read_regular(os.fsencode(layout), _LARGEST_LAYOUT, follow=True)
    return verdicts.key(verdicts.LINK, text, *(os.fsencode(field) for field in fields))


def _version(command: str) -> str:
    """The version that a program prints; "" if it does not run, and then the links fail, too."""
    try:
        done = subprocess.run(  # noqa: S603  the build's own program
            [*command.split(), "--version"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_PATIENCE,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return os.fsdecode(done.stdout)
