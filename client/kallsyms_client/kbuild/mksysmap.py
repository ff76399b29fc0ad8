# SPDX-License-Identifier: GPL-2.0-only
"""mksysmap() of scripts/link-vmlinux.sh, with the map made straight from the linked kernel.

The function's one command, nm and sed or scripts/mksysmap, becomes a function of its own, which is called
whenever the map is not ours (mksysmap.sh).
"""

import re
import sys
from collections.abc import Callable

from kallsyms_client.kbuild import rules
from kallsyms_client.kbuild.script import quote
from kallsyms_client.report import ClientError

_FUNCTION = re.compile(
    rb"^mksysmap\(\)\n\{\n(?P<info>\tinfo NM [^\n]*\n)\t(?P<command>[^\n]*)\n\}$", re.MULTILINE
)
# Its command, and what reads the text of scripts/mksysmap then. From 6.4 to 6.9 that is a script of a third
# kind, which is not known: it also drops the symbols of another object.
_COMMANDS = (
    (  # since 6.10
        re.compile(rb'\$\{NM\} -n "\$\{1\}" \| sed -f "\$\{srctree\}/scripts/mksysmap" > "\$\{2\}"'),
        rules.of_sed,
    ),
    (  # to 6.3
        re.compile(rb'\$\{CONFIG_SHELL\} "\$\{srctree\}/scripts/mksysmap" \$\{1\} \$\{2\}'),
        rules.of_grep,
    ),
)
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
    function = _FUNCTION.search(script)
    if function is None or not source or len(re.findall(rb"\bmksysmap\(\)", script)) != 1:
        return script
    readers = [reader for command, reader in _COMMANDS if command.fullmatch(function["command"])]
    here = __file__.rpartition("/")[0]
    try:
        dropped = readers[0](read(source + b"/scripts/mksysmap")) if readers else None
        functions = read(f"{here}/mksysmap.sh".encode(sys.getfilesystemencoding(), "surrogateescape"))
    except ClientError:
        return script
    if dropped is None:
        return script
    python, module = (
        quote(path.encode(sys.getfilesystemencoding(), "surrogateescape"))
        for path in (sys.executable, f"{here}/__main__.py")
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
