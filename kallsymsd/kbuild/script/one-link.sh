# Put into the text of scripts/link-vmlinux.sh by kallsymsd.kbuild.script.onelinkedit, never run by itself.
#
# Leaves vmlinux and System.map as the rest of the script would have made them, and is true; or is false,
# and then the script goes on as if nothing had been. "set -e" does not hold in here.
kallsymsd_one_link()
{
	kallsymsd_link_once predict || return 1
	# For the script's own check of System.map.
	kallsyms_sysmap=.tmp_vmlinux2.syms
	kallsyms_vmlinux=.tmp_vmlinux2
	info KSYMS ${kallsymsd_vmlinux}
	mv -f ${kallsymsd_linked} ${kallsymsd_vmlinux} && cp ${kallsyms_sysmap} System.map
}

# Where nobody knows yet whether one link gives the same in this tree: after the script's own links, one of
# ours beside them, which is compared and thrown away. Nothing of it is left but what was found.
kallsymsd_try()
{
	local status=0

	[ -n "${kallsymsd_trial}" ] || return 0
	info TRY "one link of ${kallsymsd_vmlinux}"
	(
		kallsymsd_trying=yes
		kallsymsd_link_once try
	) || status=$?
	kallsymsd_tool compare ${kallsymsd_linked} ${kallsymsd_vmlinux} ${status} || :
	rm -f ${kallsymsd_linked}
}

# ${kallsymsd_linked}, linked once where that is possible, and its map, for tables as ${1} says: "predict", or "try".
# Each link here but the one without tables is like the script's last: debug information kept, and tables of the
# right sizes, or of sizes hoped to be right. With BTF it is the same: the last one, hoped to be right, or that of
# these sources.
kallsymsd_link_once()
{
	local tables=${kallsymsd_tables}
	local first=.tmp_vmlinux1
	local btf=
	local hoped=
	local links=0
	local status=0

	kallsymsd_trial=
	kallsymsd_linked=.tmp_vmlinux1
	if is_enabled CONFIG_DEBUG_INFO_BTF; then
		kallsymsd_linked=.tmp_vmlinux2
		first=${kallsymsd_typed}
		btf=${kallsymsd_btf}
		hoped=${btf}
	fi

	# The numbers are those of kallsymsd.kbuild.linkonce: DONE, DIFFERS, UNTRIED, GIVEN.
	kallsymsd_tool ${1} ${tables} || status=$?
	case ${status} in
	80)
		;;
	81)	# not known how large the tables will be
		links=1
		kallsymsd_quietly kallsymsd_link_without_tables ${first} || return 1
		if [ -n "${btf}" ]; then
			kallsymsd_gen_btf || return 1
			hoped=
		fi
		kallsymsd_tool tables ${first} ${tables} ${btf} || status=$?
		[ ${status} -eq 80 ] || return 1
		;;
	82)
		kallsymsd_trial=yes
		return 1
		;;
	83)
		hoped=
		;;
	*)
		return 1
		;;
	esac

	# A linker that adds stubs may need more than one with the sizes known; the script has three links.
	while [ ${links} -lt 3 ]; do
		links=$((links + 1))
		kallsymsd_assemble ${tables} || return 1
		status=0
		# The tool starts and loads what it needs while the linker runs, and then waits for the word.
		{
			{
				{
					kallsymsd_quietly kallsymsd_link ${kallsymsd_linked} ${tables}.o ${btf} &&
						kallsymsd_renew_btf ${kallsymsd_linked} ${links} ${hoped}
				} >&3 && echo linked
			} | kallsymsd_tool patch ${kallsymsd_linked} ${tables} ${links} ${hoped}
		} 3>&1 || status=$?
		hoped=
		case ${status} in
		80)
			kallsymsd_resolve_btfids ${kallsymsd_linked}
			return
			;;
		81)	# the tables that it needs have been written, for the next link
			;;
		*)
			return 1
			;;
		esac
	done
	return 1
}

# kallsymsd.kbuild.linkonce, which hears how this script links.
kallsymsd_tool()
{
	KALLSYMSD_BTF=${kallsymsd_btf} KALLSYMSD_CONDITIONS=${kallsymsd_conditions} \
		KALLSYMSD_SCRIPT=${kallsymsd_script} KALLSYMSD_RULES=${kallsymsd_rules} KALLSYMSD_LD="${LD}" \
		KALLSYMSD_LDFLAGS="${KBUILD_LDFLAGS} ${LDFLAGS_vmlinux}" KALLSYMSD_TRYING=${kallsymsd_trying} \
		"${kallsymsd_python}" -I -S "${kallsymsd_module}" one-link "$@"
}

# What pahole makes of ${1}, the ${2}-th link, in place of the BTF that was linked in, ${3}, if any.
kallsymsd_renew_btf()
{
	local status=0

	[ -n "${3}" ] || return 0
	kallsymsd_tool untyped ${1} ${kallsymsd_typed} ${2} || status=$?
	[ ${status} -eq 80 ] && kallsymsd_gen_btf
}

# ${kallsymsd_btf} of ${kallsymsd_typed}, which some scripts would link themselves. It may come out true when
# pahole fails; an older object must not be taken for what it made.
kallsymsd_gen_btf()
{
	rm -f ${kallsymsd_btf} || return 1
	(
		vmlinux_link()
		{
			:
		}
		gen_btf ${kallsymsd_typed} ${kallsymsd_btf}
	)
}

kallsymsd_assemble()
{
	info AS "${1}.o"
	${CC} ${NOSTDINC_FLAGS} ${LINUXINCLUDE} ${KBUILD_CPPFLAGS} ${KBUILD_AFLAGS} ${KBUILD_AFLAGS_KERNEL} \
		-c -o "${1}.o" "${1}.S"
}

# What the linker says is shown when it succeeds; when it fails, the script's own link will say it.
kallsymsd_quietly()
{
	local status=0

	"$@" 2> .tmp_vmlinux.messages || status=$?
	[ ${status} -ne 0 ] || cat .tmp_vmlinux.messages >&2
	rm -f .tmp_vmlinux.messages
	return ${status}
}
