# SPDX-License-Identifier: GPL-2.0-only
"""Edits scripts/link-vmlinux.sh to link vmlinux once (docs/one-link.md).

A shell function (one-link.sh) is inserted before the script's links. It either makes the same files, or the
script continues with its own links, up to System.map. The text before and after, such as the check of
System.map, runs in both cases. A script with an unknown part is left unchanged.
"""

import re
import sys
from collections.abc import Callable
from pathlib import Path

from kallsymsd.core.toolsource import digest
from kallsymsd.kbuild.outcome import Outcome
from kallsymsd.kbuild.script.edit import interpreter, quote, unknown_part
from kallsymsd.kbuild.script.scripttext import parts
from kallsymsd.onelink.configuration import conditions
from kallsymsd.protocol.messages import say

_FUNCTIONS = Path(__file__).with_name("one-link.sh")
_BEGIN = re.compile(rb'^btf_vmlinux_bin_o=""$', re.MULTILINE)
_END = re.compile(rb'^mksysmap "?(vmlinux|\$\{VMLINUX\})"? System\.map(?: \$\{kallsymso\})?$', re.MULTILINE)
# Since 6.11 even the first link has tables: those of an empty map. The replaced text starts there.
_EMPTY = re.compile(
    rb"^if is_enabled CONFIG_KALLSYMS; then\n"
    rb"(\t(?:true >|truncate -s0) \.tmp_\S+\n\tkallsyms \.tmp_\S+ \.tmp_\S+)\nfi$",
    re.MULTILINE,
)
# How the script makes BTF: it runs pahole on the first link with debug information, and finally writes the
# IDs of types into the finished file.
_PAHOLE = b'\n\tLLVM_OBJCOPY="${OBJCOPY}" ${PAHOLE} -J ${PAHOLE_FLAGS} ${1}\n'
_RESOLVE = re.compile(
    rb"^(if is_enabled CONFIG_DEBUG_INFO_BTF(?: && is_enabled CONFIG_BPF)?; then\n"
    rb"\tinfo BTFIDS [^\n]*\n\t\$\{RESOLVE_BTFIDS\}[^\n]*) (?:vmlinux|\"\$\{VMLINUX\}\")\nfi$",
    re.MULTILINE,
)

# vmlinux_link() gets the objects to link in variables since 6.11, before that in arguments. The object with
# the tables has the same name as the script's last one, because some linkers put that name into vmlinux.
_BY_VARIABLES = b"""
kallsymsd_tables=.tmp_vmlinux2.kallsyms
kallsymsd_link()
{
	kallsymso=${2}
	btf_vmlinux_bin_o=${3}
	strip_debug=
	vmlinux_link ${1}
}
kallsymsd_link_without_tables()
{
%b
	btf_vmlinux_bin_o=
	strip_debug=1
	! is_enabled CONFIG_DEBUG_INFO_BTF || strip_debug=
	vmlinux_link ${1}
}
"""
_BY_ARGUMENTS = b"""
kallsymsd_tables=.tmp_vmlinux.kallsyms2
kallsymsd_link()
{
	vmlinux_link ${1} ${2} ${3}
}
kallsymsd_link_without_tables()
{
	if is_enabled CONFIG_DEBUG_INFO_BTF; then
		vmlinux_link ${1}
		return
	fi
	vmlinux_link .tmp_vmlinux.kallsyms1 && mv -f .tmp_vmlinux.kallsyms1 ${1}
}
"""
# The input of pahole, its output, and the lines that a known script must have.
_BTF_BY_VARIABLES = (
    b".tmp_vmlinux1",
    b".tmp_vmlinux1.btf.o",
    (_PAHOLE, b"\n\tlocal btf_data=${1}.btf.o\n", b"\n\tif ! gen_btf .tmp_vmlinux1; then\n"),
)
_BTF_BY_ARGUMENTS = (
    b".tmp_vmlinux.btf",
    b".btf.vmlinux.bin.o",
    (
        _PAHOLE,
        b"\n\tvmlinux_link ${1}\n",
        b"\n\tbtf_vmlinux_bin_o=.btf.vmlinux.bin.o\n",
        b"\n\tif ! gen_btf .tmp_vmlinux.btf $btf_vmlinux_bin_o ; then\n",
    ),
)


def with_one_link(script: bytes, edited: bytes, rules: list[str] | None, *, is_tool_trusted: bool) -> bytes:
    """The text ``edited`` with one link, if all parts of ``script``, its original, are known.

    ``rules`` are those by which scripts/mksysmap drops names, None if they are unknown. ``is_tool_trusted``
    is false while scripts/kallsyms is on trial: then the tree's own tool makes the tables. If the text is
    left unchanged, the outcome says why.
    """
    unknown = unknown_part(script)
    made = None
    if unknown:
        reason = f"scripts/link-vmlinux.sh is not that of a release: {unknown} differs"
    elif rules is None:
        reason = "scripts/mksysmap has unknown rules"
    elif not is_tool_trusted:
        reason = "scripts/kallsyms is on trial"
    else:
        reason = "scripts/link-vmlinux.sh of this release does not support one link"
        made = _edited(edited, _identity(script), rules)
    if made is None:
        Outcome(reason=reason).finish()
    return made or edited


def ask(arguments: list[str]) -> int:
    """Execute a command of the edited script (kallsymsd.kbuild.linkonce); returns the exit status.

    After any error, the script falls back to its own links. An unexpected error prints one line.
    """
    try:
        return _entry()(arguments)
    except Exception as error:  # noqa: BLE001  a defect of ours must not end a build
        reason = " ".join(f"{type(error).__name__} {error}".split())
        Outcome(reason=reason).finish(failed=True)
        message = f"kallsymsd: {reason}; falling back to the kernel's own links\n"
        say(message.encode("utf-8", "backslashreplace"))
        return 1


def _entry() -> Callable[[list[str]], int]:
    """The function main() of linkonce, imported with site-packages if needed."""
    try:
        from kallsymsd.kbuild.linkonce import main
    except ImportError:
        import site

        site.main()
        from kallsymsd.kbuild.linkonce import main

    return main


def _identity(script: bytes) -> str:
    """Digest of the script's text, without comments, and of its interpreter."""
    return digest(b" ".join(interpreter(script)), *(text for _, text in parts(script)))


def _edited(script: bytes, identity: str, rules: list[str]) -> bytes | None:
    empty = list(_EMPTY.finditer(script))
    begin, end = empty or list(_BEGIN.finditer(script)), list(_END.finditer(script))
    options = conditions(script)
    if len(begin) != 1 or len(end) != 1 or options is None or begin[0].start() > end[0].end():
        return None
    first, last = begin[0].start(), end[0].end()
    encoding = sys.getfilesystemencoding()
    python = sys.executable.encode(encoding, "surrogateescape")
    module = str(Path(__file__).parents[1] / "__main__.py").encode(encoding, "surrogateescape")
    added = b"".join(
        (
            _FUNCTIONS.read_bytes(),
            _BY_VARIABLES % empty[0][1] if empty else _BY_ARGUMENTS,
            b"kallsymsd_vmlinux=%b\n" % end[0][1],
            b"kallsymsd_conditions=%b\n" % quote(options),
            b"kallsymsd_script=%b\n" % identity.encode(),
            b"kallsymsd_rules=%b\n" % quote(" ".join(rules).encode()),
            b"kallsymsd_python=%b\n" % quote(python),
            b"kallsymsd_module=%b\n" % quote(module),
            _btf(script[first:last], script, by_variables=bool(empty)),
            b"kallsymsd_trying=\n",
            b"if kallsymsd_one_link; then\n\t:\nelse\n",
            # Restore the variables for the script's own links.
            b"btf_vmlinux_bin_o=\nkallsymso=\nstrip_debug=\n" if empty else b"",
        )
    )
    return b"".join((script[:first], added, script[first:last], b"\nkallsymsd_try\nfi", script[last:]))


def _btf(links: bytes, script: bytes, *, by_variables: bool) -> bytes:
    """Variables with the files for BTF, and a function with the script's commands after the last link.

    The variables are empty if the script makes BTF in an unknown way.
    """
    typed, made, lines = _BTF_BY_VARIABLES if by_variables else _BTF_BY_ARGUMENTS
    resolve = _RESOLVE.findall(links)
    if len(resolve) == 1 and script.count(b"${PAHOLE} -J") == 1 and all(line in script for line in lines):
        resolving = resolve[0] + b' "${1}"\nfi'
    else:
        typed, made, resolving = b"", b"", b"\t:"
    return b"kallsymsd_typed=%b\nkallsymsd_btf=%b\nkallsymsd_resolve_btfids()\n{\n%b\n}\n" % (
        typed,
        made,
        resolving,
    )
