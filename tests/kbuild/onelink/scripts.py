# SPDX-License-Identifier: GPL-2.0-only
"""scripts/link-vmlinux.sh in miniature, of our own writing, in the two shapes that kernels have had.

Like the kernel's: three links, the tables from the map of the one before, debug information in the last one
only, the check at the end, and the lines that kallsymsd.kbuild.script.onelinkedit looks for.
"""

_HEAD = r"""#!/bin/sh
set -e
LD="$1"
LDFLAGS_vmlinux="$3"

is_enabled() {
	grep -q "^$1=y" include/config/auto.conf
}
info()
{
	printf "  %-7s %s\n" "${1}" "${2}"
}
"""

_LINK = r"""
vmlinux_link()
{
	local output=${1}
	local flags="${LDFLAGS_vmlinux} --script=vmlinux.lds"
	local objects=vmlinux.o

	info LD ${output}
	shift
	if is_enabled CONFIG_MODULES; then
		objects="${objects} .vmlinux.export.o"
	fi
	@STRIP@
	if is_enabled CONFIG_VMLINUX_MAP; then
		flags="${flags} -Map=${output}.map"
	fi
	${LD} ${flags} -o ${output} --whole-archive ${objects} --no-whole-archive @LAST@
}
"""

# @BEGIN@ stands for how it knows what to make, and makes it.
_GEN_BTF = r"""
gen_btf()
{
	@BEGIN@
	LLVM_OBJCOPY="${OBJCOPY}" ${PAHOLE} -J ${PAHOLE_FLAGS} ${1}
	${OBJCOPY} --only-section=.BTF --set-section-flags .BTF=alloc,readonly --strip-all ${1} @MADE@ 2>/dev/null
	printf '\1\0' | dd of=@MADE@ conv=notrunc bs=1 seek=16 status=none
	@END@
}
"""

_RESOLVE = r"""
if is_enabled CONFIG_DEBUG_INFO_BTF@AND@; then
	info BTFIDS vmlinux
	${RESOLVE_BTFIDS} vmlinux
fi
"""

_MAP = r"""
mksysmap()
{
	info NM ${2}
	${NM} -n "${1}" | sed -f "${srctree}/scripts/mksysmap" > "${2}"
}
case "${KBUILD_VERBOSE}" in
*1*)
	set -x
	;;
esac
"""

_OPTIONS = r"""
	local kallsymopt;

	if is_enabled CONFIG_KALLSYMS_ALL; then
		kallsymopt="${kallsymopt} --all-symbols"
	fi

	if is_enabled CONFIG_KALLSYMS_ABSOLUTE_PERCPU; then
		kallsymopt="${kallsymopt} --absolute-percpu"
	fi
"""

_ASSEMBLE = """${CC} ${NOSTDINC_FLAGS} ${LINUXINCLUDE} ${KBUILD_CPPFLAGS} ${KBUILD_AFLAGS} \\
		${KBUILD_AFLAGS_KERNEL} -c -o"""

#: As from 6.11 on: vmlinux_link() is told by variables what to link with.
BY_VARIABLES = (
    _HEAD
    + _LINK.replace("@LAST@", "${kallsymso} ${btf_vmlinux_bin_o}").replace(
        "@STRIP@", '[ -z "${strip_debug}" ] || flags="${flags} --strip-debug"'
    )
    + rf"""
kallsyms()
{{{_OPTIONS}
	info KSYMS "${{2}}.S"
	scripts/kallsyms ${{kallsymopt}} "${{1}}" > "${{2}}.S"
	info AS "${{2}}.o"
	{_ASSEMBLE} "${{2}}.o" "${{2}}.S"
	kallsymso_prev="${{kallsymso:-}}"
	kallsymso=${{2}}.o
}}
sysmap_and_kallsyms()
{{
	mksysmap "${{1}}" "${{1}}.syms"
	kallsyms "${{1}}.syms" "${{1}}.kallsyms"
	kallsyms_sysmap=${{1}}.syms
}}
"""
    + _GEN_BTF.replace("@BEGIN@", 'local btf_data=${1}.btf.o\n\n\tinfo BTF "${btf_data}"')
    .replace("@MADE@", '"${btf_data}"')
    .replace("@END@", "btf_vmlinux_bin_o=${btf_data}")
    + _MAP
    + r"""
btf_vmlinux_bin_o=
kallsymso=
strip_debug=

if is_enabled CONFIG_KALLSYMS; then
	true > .tmp_vmlinux.kallsyms0.syms
	kallsyms .tmp_vmlinux.kallsyms0.syms .tmp_vmlinux0.kallsyms
fi

if is_enabled CONFIG_KALLSYMS || is_enabled CONFIG_DEBUG_INFO_BTF; then
	if ! is_enabled CONFIG_DEBUG_INFO_BTF; then
		strip_debug=1
	fi
	vmlinux_link .tmp_vmlinux1
fi

if is_enabled CONFIG_DEBUG_INFO_BTF; then
	if ! gen_btf .tmp_vmlinux1; then
		exit 1
	fi
fi

if is_enabled CONFIG_KALLSYMS; then

	strip_debug=1

	sysmap_and_kallsyms .tmp_vmlinux1
	vmlinux_link .tmp_vmlinux2
	sysmap_and_kallsyms .tmp_vmlinux2
	if [ -n "${KALLSYMS_EXTRA_PASS}" ]; then
		vmlinux_link .tmp_vmlinux3
		sysmap_and_kallsyms .tmp_vmlinux3
	fi
fi

strip_debug=

vmlinux_link vmlinux
"""
    + _RESOLVE.replace("@AND@", "")
    + r"""
mksysmap vmlinux System.map

if is_enabled CONFIG_KALLSYMS; then
	if ! cmp -s System.map "${kallsyms_sysmap}"; then
		echo >&2 Inconsistent kallsyms data
		exit 1
	fi
fi
echo "vmlinux: $0" > .vmlinux.d
"""
)

#: As before 6.11: by arguments, and debug information is left out of files with certain names.
BY_ARGUMENTS = (
    _HEAD
    + _LINK.replace("@LAST@", "$@").replace(
        "@STRIP@", '[ "${output}" = "${output#.tmp_vmlinux.kallsyms}" ] || flags="${flags} --strip-debug"'
    )
    + rf"""
kallsyms()
{{{_OPTIONS}
	if is_enabled CONFIG_KALLSYMS_BASE_RELATIVE; then
		kallsymopt="${{kallsymopt}} --base-relative"
	fi

	info KSYMS ${{2}}
	scripts/kallsyms ${{kallsymopt}} ${{1}} > ${{2}}
}}
kallsyms_step()
{{
	kallsymso_prev=${{kallsymso}}
	kallsyms_vmlinux=.tmp_vmlinux.kallsyms${{1}}
	kallsymso=${{kallsyms_vmlinux}}.o
	vmlinux_link ${{kallsyms_vmlinux}} "${{kallsymso_prev}}" ${{btf_vmlinux_bin_o}}
	mksysmap ${{kallsyms_vmlinux}} ${{kallsyms_vmlinux}}.syms
	kallsyms ${{kallsyms_vmlinux}}.syms ${{kallsyms_vmlinux}}.S
	info AS ${{kallsymso}}
	{_ASSEMBLE} ${{kallsymso}} ${{kallsyms_vmlinux}}.S
}}
"""
    + _GEN_BTF.replace("@BEGIN@", 'vmlinux_link ${1}\n\n\tinfo "BTF" ${2}')
    .replace("@MADE@", "${2}")
    .replace("\n\t@END@", "")
    + _MAP
    + r"""
btf_vmlinux_bin_o=""
if is_enabled CONFIG_DEBUG_INFO_BTF; then
	btf_vmlinux_bin_o=.btf.vmlinux.bin.o
	if ! gen_btf .tmp_vmlinux.btf $btf_vmlinux_bin_o ; then
		exit 1
	fi
fi

kallsymso=""
kallsymso_prev=""
kallsyms_vmlinux=""
if is_enabled CONFIG_KALLSYMS; then
	kallsyms_step 1
	kallsyms_step 2
	if [ -n "${KALLSYMS_EXTRA_PASS}" ]; then
		kallsyms_step 3
	fi
fi

vmlinux_link vmlinux "${kallsymso}" ${btf_vmlinux_bin_o}
"""
    + _RESOLVE.replace("@AND@", " && is_enabled CONFIG_BPF")
    + r"""
mksysmap vmlinux System.map

if is_enabled CONFIG_KALLSYMS; then
	if ! cmp -s System.map ${kallsyms_vmlinux}.syms; then
		echo >&2 Inconsistent kallsyms data
		exit 1
	fi
fi
echo "vmlinux: $0" > .vmlinux.d
"""
)

#: As from 7.0 to 7.3, where another program makes vmlinux of the file that is linked.
BY_NAME = (
    BY_VARIABLES.replace('LDFLAGS_vmlinux="$3"\n', 'LDFLAGS_vmlinux="$3"\nVMLINUX="$4"\n')
    .replace(".tmp_vmlinux.kallsyms0.syms", ".tmp_vmlinux0.syms")
    .replace("\nvmlinux_link vmlinux\n", '\nvmlinux_link "${VMLINUX}"\n')
    .replace("{RESOLVE_BTFIDS} vmlinux\n", '{RESOLVE_BTFIDS} "${VMLINUX}"\n')
    .replace("\nmksysmap vmlinux System.map\n", '\nmksysmap "${VMLINUX}" System.map\n')
    .replace('"vmlinux: $0"', '"${VMLINUX}: $0"')
)

#: The script of the kernels whose own tool there is, by its dialect.
SCRIPTS = {"v6.11": BY_VARIABLES, "v6.1.y": BY_ARGUMENTS}
