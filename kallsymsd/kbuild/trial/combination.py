# SPDX-License-Identifier: GPL-2.0-only
"""What decides whether one link gives the same as the script's own links: what a verdict on that is bound to.

The list stands in docs/kernel-trees.md, too. What is not in it is in every link alike: the objects, whose
contents neither kind of link looks at.
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

# Seconds that a program may take to say its version.
_PATIENCE = 10
_LARGEST_LAYOUT = 1 << 24
# What the script and its recipe get from kbuild.
_VARIABLES = (
    *("SRCARCH", "CC", "OBJCOPY", "KBUILD_AFLAGS", "KBUILD_AFLAGS_KERNEL", "KBUILD_CPPFLAGS"),
    *("PAHOLE", "PAHOLE_FLAGS", "RESOLVE_BTFIDS"),
)
# Set by the edited script: its digest, the rules of scripts/mksysmap, and how it links.
_SCRIPT = ("KALLSYMSD_SCRIPT", "KALLSYMSD_RULES", "KALLSYMSD_LD", "KALLSYMSD_LDFLAGS")
# Configuration that changes what is linked, or how, without being seen in the above.
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
    """The key of the verdict on one link in the tree that is the working directory.

    OSError where something of it cannot be read.
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
    """What a program says of itself; "" for one that says nothing, whose links then fail as well."""
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
