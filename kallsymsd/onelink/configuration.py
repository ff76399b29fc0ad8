# SPDX-License-Identifier: GPL-2.0-only
"""The kernel's configuration, as scripts/link-vmlinux.sh asks it."""

import re

from kallsymsd.protocol.regular import read_regular

_PATH = "include/config/auto.conf"
# Most bytes; those of distributions have 250 kB.
_MOST = 1 << 24
# kallsyms() in the script: what has to be set for which option, from 6.1 to 7.4.
_OPTION = re.compile(
    rb"^\tif is_enabled (\w+)(?: \|\| is_enabled (\w+))?; then\n"
    rb'\t\tkallsymopt="\$\{kallsymopt\} --([a-z-]+)"\n\tfi$',
    re.MULTILINE,
)


class Configuration:
    """What is enabled in the object tree that is the working directory."""

    def __init__(self) -> None:
        """OSError where there is no configuration."""
        self._lines = frozenset(read_regular(_PATH, _MOST, follow=True).split(b"\n"))

    def is_enabled(self, name: str) -> bool:
        """Whether ``name``, such as CONFIG_KALLSYMS, is y."""
        return name.encode() + b"=y" in self._lines

    def value(self, name: str) -> str:
        """The value of ``name``, such as CONFIG_CC_VERSION_TEXT, as it is written; "" where it has none."""
        start = name.encode() + b"="
        value = next((line[len(start) :] for line in self._lines if line.startswith(start)), b"")
        return value.decode("utf-8", "surrogateescape")

    def number(self, name: str) -> int:
        """The value of ``name``, such as CONFIG_PAHOLE_VERSION; 0 where it has none."""
        value = self.value(name)
        return int(value) if value.isdecimal() else 0

    def options(self, conditions: str) -> list[str]:
        """The options that the script would give, for what :func:`conditions` found in it."""
        options = []
        for condition in conditions.split():
            option, _, names = condition.partition("=")
            if any(self.is_enabled(name) for name in names.split(",")):
                options.append("--" + option)
        return options


def conditions(script: bytes) -> bytes | None:
    """Which options ``script`` gives to kallsyms on what condition: ``OPTION=CONFIG_A,CONFIG_B`` and blanks.

    None if it may give others.
    """
    found = _OPTION.findall(script)
    if len(found) != script.count(b'kallsymopt="$'):
        return None
    return b" ".join(
        option + b"=" + b",".join(name for name in (first, second) if name) for first, second, option in found
    )
