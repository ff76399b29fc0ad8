# SPDX-License-Identifier: GPL-2.0-only
"""mksysmap() of scripts/link-vmlinux.sh, with the map made straight from the linked kernel.

The function's one command, nm and sed or scripts/mksysmap, becomes a function of its own, which is called
whenever the map is not ours (mksysmap.sh).
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
# Its command, and what reads the text of scripts/mksysmap then.
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
# From 6.4 to 6.9: it also drops the symbols of another object, and makes the map itself.
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
    """The script with the map made by us; as it is, where it is not known what map it would make.

    ``source`` is the directory that the script calls ${srctree}; ``read`` gives a file's contents, or raises
    ClientError.
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
    """Which names the script's maps never have, as dialects.SymbolFilter has it; None if that is not known.

    Symbols of another object, which 6.4 to 6.9 drop as well, are not among them.
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
    """The one function mksysmap() of a script."""
    return _FUNCTION.search(script) if len(re.findall(rb"\bmksysmap\(\)", script)) == 1 else None
