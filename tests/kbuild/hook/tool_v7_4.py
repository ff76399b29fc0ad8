# SPDX-License-Identifier: GPL-2.0-only
"""The reference with the command line of v7.4's scripts/kallsyms, which nobody packages.

[--all-symbols] [--pc-relative] [--sysmap=MAP] VMLINUX [OUT.bin]
"""

import os
import sys
from pathlib import Path

from tests.reference import elf, tool


def main(arguments: list[str]) -> int:
    """Do what the tool does; the exit status."""
    options = [argument for argument in arguments if argument.startswith("--")]
    vmlinux, *binary = (argument for argument in arguments if argument not in options)
    image = Path(vmlinux).read_bytes()
    map_text = elf.system_map(image) if image else b""
    for option in options:
        if option.startswith("--sysmap="):
            Path(option.partition("=")[2]).write_bytes(map_text)
    if not binary:
        return 0
    flags = [option.removeprefix("--") for option in options if "=" not in option]
    outcome = tool.run("v7.4", flags, map_text, os.fsencode(binary[0]))
    sys.stdout.buffer.write(outcome.stdout)
    sys.stderr.buffer.write(outcome.stderr)
    Path(binary[0]).write_bytes(outcome.binary)
    return outcome.status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
