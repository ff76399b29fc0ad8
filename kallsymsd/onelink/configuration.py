# SPDX-License-Identifier: GPL-2.0-only
"""The kernel's configuration, queried as scripts/link-vmlinux.sh does."""

import re

from kallsymsd.protocol.regular import read_regular

_PATH = "include/config/auto.conf"
# Size limit in bytes; the configurations of distributions have 250 kB.
_MOST = 1 << 24
# In kallsyms() of the script, from 6.1 to 7.4: the condition for an option.
_OPTION = re.compile(
    rb"^\tif is_enabled (\w+)(?: \|\| is_enabled (\w+))?; then\n"
    rb'\t\tkallsymopt="\$\{kallsymopt\} --([a-z-]+)"\n\tfi$',
    re.MULTILINE,
)


class Configuration:
    """The configuration of the object tree in the working directory."""

    def __init__(self) -> None:
        """Read it; OSError if there is none."""
        self._lines = frozenset(read_regular(_PATH, _MOST, follow=True).split(b"\n"))

    def is_enabled(self, name: str) -> bool:
        """Whether ``name``, such as CONFIG_KALLSYMS, is y."""
        return name.encode() + b"=y" in self._lines

    def value(self, name: str) -> str:
        """The value of ``name``, such as CONFIG_CC_VERSION_TEXT, as written in the file; "" if unset."""
        start = name.encode() + b"="
        value = next((line[len(start) :] for line in self._lines if line.startswith(start)), b"")
        return value.decode("utf-8", "surrogateescape")

    def number(self, name: str) -> int:
        """The number ``name``, such as CONFIG_PAHOLE_VERSION; 0 if it is unset."""
        value = self.value(name)
        return int(value) if value.isdecimal() else 0

    def options(self, conditions: str) -> list[str]:
        """The options that the script would pass to kallsyms; ``conditions`` is from :func:`conditions`."""
        options = []
        for condition in conditions.split():
            option, _, names = condition.partition("=")
            if any(self.is_enabled(name) for name in names.split(",")):
                options.append("--" + option)
        return options


def conditions(script: bytes) -> bytes | None:
    """The options that ``script`` passes to kallsyms, with the configuration that each needs.

    The form is ``OPTION=CONFIG_A,CONFIG_B``, separated by blanks. None if the script may pass other options.
    """
    found = _OPTION.findall(script)
    if len(found) != script.count(b'kallsymopt="$'):
        return None
    return b" ".join(
        option + b"=" + b",".join(name for name in (first, second) if name) for first, second, option in found
    )
