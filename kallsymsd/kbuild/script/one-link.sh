# kallsymsd.kbuild.script.onelinkedit inserts this text into scripts/link-vmlinux.sh; it never runs alone.
#
# Either makes the vmlinux and System.map that the rest of the script would make and returns true, or returns
# false, and the script continues with its own links. "set -e" has no effect in here.
kallsymsd_one_link()
{
	kallsymsd_link_once predict || return 1
	# Used by the script's own check of System.map.
	kallsyms_sysmap=.tmp_vmlinux2.syms
	kallsyms_vmlinux=.tmp_vmlinux2
	info KSYMS ${kallsymsd_vmlinux}
	mv -f ${kallsymsd_linked} ${kallsymsd_vmlinux} && cp ${kallsyms_sysmap} System.map
}

# The trial of one link in a new kind of tree: after the script's own links, does one of ours, compares the
# results and removes it. Only the verdict is kept.
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

# Links ${kallsymsd_linked}, once if possible, and makes its map. ${1}, "predict" or "try", says which tables to
# start with. Each link here, but for the one without tables, is like the script's last: it keeps debug
# information and has tables of the right, or predicted, sizes. Likewise the BTF is either that of these sources
# or that of the last link, which is replaced later.
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

	# Exit statuses of kallsymsd.kbuild.linkonce: DONE, DIFFERS, UNTRIED, GIVEN.
	kallsymsd_tool ${1} ${tables} || status=$?
	case ${status} in
	80)
		;;
	81)	# no prediction: link without tables first
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

	# A linker that adds stubs may need more than one link with known sizes; the script itself does three.
	while [ ${links} -lt 3 ]; do
		links=$((links + 1))
		kallsymsd_assemble ${tables} || return 1
		status=0
		# The tool starts and loads its modules while the linker runs, then waits for the word "linked".
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
		81)	# the tool has written the needed tables for the next link
			;;
		*)
			return 1
			;;
		esac
	done
	return 1
}

# Runs kallsymsd.kbuild.linkonce with variables that describe how this script links.
kallsymsd_tool()
{
	KALLSYMSD_BTF=${kallsymsd_btf} KALLSYMSD_CONDITIONS=${kallsymsd_conditions} \
		KALLSYMSD_SCRIPT=${kallsymsd_script} KALLSYMSD_RULES=${kallsymsd_rules} KALLSYMSD_LD="${LD}" \
		KALLSYMSD_LDFLAGS="${KBUILD_LDFLAGS} ${LDFLAGS_vmlinux}" KALLSYMSD_TRYING=${kallsymsd_trying} \
		"${kallsymsd_python}" -I -S "${kallsymsd_module}" one-link "$@"
}

# Runs pahole on ${1}, link number ${2}, to replace the BTF object that was linked in, ${3}, if any.
kallsymsd_renew_btf()
{
	local status=0

	[ -n "${3}" ] || return 0
	kallsymsd_tool untyped ${1} ${kallsymsd_typed} ${2} || status=$?
	[ ${status} -eq 80 ] && kallsymsd_gen_btf
}

# Makes ${kallsymsd_btf} from ${kallsymsd_typed}, which some scripts would link in gen_btf(). gen_btf() may
# return true even if pahole fails, so an older object must be removed first.
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

# Shows the linker's messages only if it succeeds: after a failure, the script's own link repeats them.
kallsymsd_quietly()
{
	local status=0

	"$@" 2> .tmp_vmlinux.messages || status=$?
	[ ${status} -ne 0 ] || cat .tmp_vmlinux.messages >&2
	rm -f .tmp_vmlinux.messages
	return ${status}
}
