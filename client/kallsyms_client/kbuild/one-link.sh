# Put into the text of scripts/link-vmlinux.sh by kallsyms_client.kbuild.script, never run by itself.
#
# Leaves vmlinux and System.map as the rest of the script would have made them, and is true; or is false,
# and then the script goes on as if nothing had been. "set -e" does not hold in here. Each link here but the
# one without tables is like the script's last: debug information kept, and tables of the right sizes, or of
# sizes hoped to be right. With BTF it is the same: the last one, hoped to be right, or that of these sources.
kallsymsd_one_link()
{
	local tables=${kallsymsd_tables}
	local linked=.tmp_vmlinux1
	local first=.tmp_vmlinux1
	local btf=
	local hoped=
	local links=0
	local status=0

	if is_enabled CONFIG_DEBUG_INFO_BTF; then
		linked=.tmp_vmlinux2
		first=${kallsymsd_typed}
		btf=${kallsymsd_btf}
		hoped=${btf}
	fi

	# 80 and 81: DONE and DIFFERS of kallsyms_client.kbuild.onelink.
	kallsymsd_tool predict ${tables} || status=$?
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
					kallsymsd_quietly kallsymsd_link ${linked} ${tables}.o ${btf} &&
						kallsymsd_renew_btf ${linked} ${links} ${hoped}
				} >&3 && echo linked
			} | kallsymsd_tool patch ${linked} ${tables} ${links} ${hoped}
		} 3>&1 || status=$?
		hoped=
		case ${status} in
		80)
			# For the script's own check of System.map.
			kallsyms_sysmap=.tmp_vmlinux2.syms
			kallsyms_vmlinux=.tmp_vmlinux2
			info KSYMS ${kallsymsd_vmlinux}
			mv -f ${linked} ${kallsymsd_vmlinux} && kallsymsd_resolve_btfids &&
				cp ${kallsyms_sysmap} System.map
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
