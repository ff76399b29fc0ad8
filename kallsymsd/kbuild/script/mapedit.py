# SPDX-License-Identifier: GPL-2.0-only
"""Edits mksysmap() of scripts/link-vmlinux.sh to make the map directly from the linked kernel.

The function's one command, nm with sed or scripts/mksysmap, moves into a function of its own, which
mksysmap.sh calls as fallback.
"""

import re
import sys
from collections.abc import Callable

from kallsyms_client.failures import ClientError
from kallsymsd.kbuild.script import sysmaprules
from kallsymsd.kbuild.script.edit import quote

_FUNCTION = re.compile(
    rb"^mksysmap\(\)\n\{\n(?P<info>\tinfo NM [^\n]*\n)\t(?P<command>[^\n]*)\n\}$", re.MULTILINE
)
# The function's command, and the parser for the text of scripts/mksysmap.
_COMMANDS = (
    (  # since 6.10
        re.compile(rb'\$\{NM\} -n "\$\{1\}" \| sed -f "\$\{srctree\}/scripts/mksysmap" > "\$\{2\}"'),
        sysmaprules.of_sed,
    ),
    (  # to 6.3
        re.compile(rb'\$\{CONFIG_SHELL\} "\$\{srctree\}/scripts/mksysmap" \$\{1\} \$\{2\}'),
        sysmaprules.of_grep,
    ),
)
# From 6.4 to 6.9, mksysmap also drops the symbols of another object, so its map is not ours to make.
_WITH_OBJECT = re.compile(rb'\$\{CONFIG_SHELL\} "\$\{srctree\}/scripts/mksysmap" \$\{1\} \$\{2\} \$\{3\}')
_EDITED = b"""\
kallsymsd_python=%b
kallsymsd_module=%b
kallsymsd_rules=%b
kallsymsd_nm=
%b
kallsymsd_stock_map()
{
\t%b
}
mksysmap()
{
%b\tkallsymsd_mksysmap "$@"
}"""


def with_map(script: bytes, source: bytes, read: Callable[[bytes], bytes]) -> bytes:
    """The script with the map made by us; unchanged if the script's map cannot be predicted.

    ``source`` is ${srctree} of the script; ``read`` returns a file's contents or raises ClientError.
    """
    function = _function(script)
    dropped = rules_of(script, source, read)
    if function is None or dropped is None or _WITH_OBJECT.fullmatch(function["command"]):
        return script
    here = __file__.rpartition("/")[0]
    try:
        functions = read(f"{here}/mksysmap.sh".encode(sys.getfilesystemencoding(), "surrogateescape"))
    except ClientError:
        return script
    python, module = (
        quote(path.encode(sys.getfilesystemencoding(), "surrogateescape"))
        for path in (sys.executable, f"{here.rpartition('/')[0]}/__main__.py")
    )
    added = _EDITED % (
        python,
        module,
        quote(" ".join(dropped).encode()),
        functions,
        function["command"],
        function["info"],
    )
    return script[: function.start()] + added + script[function.end() :]


def rules_of(script: bytes, source: bytes, read: Callable[[bytes], bytes]) -> list[str] | None:
    """The rules for names that the script's maps drop, for dialects.SymbolFilter; None if they are unknown.

    They do not include the symbols of another object, which 6.4 to 6.9 also drop.
    """
    function = _function(script)
    if function is None or not source:
        return None
    kinds = (*_COMMANDS, (_WITH_OBJECT, sysmaprules.of_quoted))
    readers = [reader for command, reader in kinds if command.fullmatch(function["command"])]
    try:
        return readers[0](read(source + b"/scripts/mksysmap")) if readers else None
    except ClientError:
        return None


def _function(script: bytes) -> re.Match[bytes] | None:
    """The function mksysmap() of a script, if there is exactly one."""
    return _FUNCTION.search(script) if len(re.findall(rb"\bmksysmap\(\)", script)) == 1 else None
