# SPDX-License-Identifier: GPL-2.0-only
"""scripts/link-vmlinux.sh with one link (docs/one-link.md): what is put into its text, and where.

All its links, up to System.map, become the alternative to one shell function (one-link.sh), which either
makes the same files or leaves all to the script. What comes before and after that, such as the check of
System.map, is the script's in both cases. A script of which any part is not known in full stays as it is.
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
# Since 6.11 even the first link has tables: those of an empty map. With them begins what is replaced.
_EMPTY = re.compile(
    rb"^if is_enabled CONFIG_KALLSYMS; then\n"
    rb"(\t(?:true >|truncate -s0) \.tmp_\S+\n\tkallsyms \.tmp_\S+ \.tmp_\S+)\nfi$",
    re.MULTILINE,
)
# How BTF is made: pahole is run on the first link that has debug information. At the end the IDs of types are
# written into the finished file.
_PAHOLE = b'\n\tLLVM_OBJCOPY="${OBJCOPY}" ${PAHOLE} -J ${PAHOLE_FLAGS} ${1}\n'
_RESOLVE = re.compile(
    rb"^(if is_enabled CONFIG_DEBUG_INFO_BTF(?: && is_enabled CONFIG_BPF)?; then\n"
    rb"\tinfo BTFIDS [^\n]*\n\t\$\{RESOLVE_BTFIDS\}[^\n]*) (?:vmlinux|\"\$\{VMLINUX\}\")\nfi$",
    re.MULTILINE,
)

# How vmlinux_link() is told what to link with: by variables since 6.11, before by arguments and names. The
# object with the tables is called as the script's last one is: some linkers put its name into vmlinux.
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
# What it runs pahole on, what it makes of that, and lines without which it is not the one that is known.
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


def with_one_link(script: bytes, edited: bytes, rules: list[str] | None, *, is_tool_tried: bool) -> bytes:
    """The text ``edited`` with one link, where ``script``, of which it was made, is known in full.

    ``rules``: those of scripts/mksysmap, by which names are dropped; None where they are not known. Without
    ``is_tool_tried`` the tree's own tool is to make the tables this time. Where the text stays as it is, the
    outcome says why.
    """
    unknown = unknown_part(script)
    made = None
    if unknown:
        reason = f"scripts/link-vmlinux.sh is not that of a release: {unknown}"
    elif rules is None:
        reason = "scripts/mksysmap has rules that are not known"
    elif not is_tool_tried:
        reason = "scripts/kallsyms is being tried"
    else:
        reason = "scripts/link-vmlinux.sh is of a release that is not linked once"
        made = _edited(edited, _identity(script), rules)
    if made is None:
        Outcome(reason=reason).finish()
    return made or edited


def ask(arguments: list[str]) -> int:
    """What a function of the edited script asks for; the exit status (kallsymsd.kbuild.linkonce).

    Whatever goes wrong, the script goes on by itself; what nobody thought of is said in one line.
    """
    try:
        return _entry()(arguments)
    except Exception as error:  # noqa: BLE001  a defect of ours must not end a build
        reason = " ".join(f"{type(error).__name__} {error}".split())
        Outcome(reason=reason).finish(failed=True)
        say(f"kallsymsd: {reason}; vmlinux is linked as ever\n".encode("utf-8", "backslashreplace"))
        return 1


def _entry() -> Callable[[list[str]], int]:
    """The function that does it, with site-packages."""
    try:
        from kallsymsd.kbuild.linkonce import main
    except ImportError:
        import site

        site.main()
        from kallsymsd.kbuild.linkonce import main

    return main


def _identity(script: bytes) -> str:
    """Digest of all that the script does, and of the shell that runs it."""
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
            # As they were before.
            b"btf_vmlinux_bin_o=\nkallsymso=\nstrip_debug=\n" if empty else b"",
        )
    )
    return b"".join((script[:first], added, script[first:last], b"\nkallsymsd_try\nfi", script[last:]))


def _btf(links: bytes, script: bytes, *, by_variables: bool) -> bytes:
    """Names for what BTF is made of, and a function with the lines that come after the last of the ``links``.

    Without the names where it is made in a way that is not known.
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
