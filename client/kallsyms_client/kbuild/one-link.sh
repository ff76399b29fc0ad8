# Put into the text of scripts/link-vmlinux.sh by kallsyms_client.kbuild.script, never run by itself.
#
# Leaves vmlinux and System.map as the rest of the script would have made them, and is true; or is false,
# and then the script goes on as if nothing had been. "set -e" does not hold in here. Each link here but the
# one without tables is like the script's last: debug information kept, and tables of the right sizes, or of
# sizes hoped to be right.
kallsymsd_one_link()
{
	local tables=${kallsymsd_tables}
	local linked=.tmp_vmlinux1
	local links=0
	local status=0

	# 80 and 81: DONE and DIFFERS of kallsyms_client.kbuild.onelink.
	kallsymsd_tool predict ${tables} || status=$?
	case ${status} in
	80)
		;;
	81)	# not known how large the tables will be
		links=1
		kallsymsd_quietly kallsymsd_link_without_tables ${linked} || return 1
		kallsymsd_tool tables ${linked} ${tables} || status=$?
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
				kallsymsd_quietly kallsymsd_link ${linked} ${tables}.o >&3 && echo linked
			} | kallsymsd_tool patch ${linked} ${tables} ${links}
		} 3>&1 || status=$?
		case ${status} in
		80)
			# For the script's own check of System.map.
			kallsyms_sysmap=.tmp_vmlinux2.syms
			kallsyms_vmlinux=.tmp_vmlinux2
			info KSYMS ${kallsymsd_vmlinux}
			cp ${kallsyms_sysmap} System.map && mv -f ${linked} ${kallsymsd_vmlinux}
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
