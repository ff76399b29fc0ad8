# kallsymsd.kbuild.script.mapedit inserts this text into scripts/link-vmlinux.sh; it never runs alone.
#
# Writes the map of ${1} to ${2}; falls back to the script's own command, kallsymsd_stock_map.
kallsymsd_mksysmap()
{
	local status=0

	case "${KALLSYMSD:-}" in
	off)
		kallsymsd_stock_map "$@"
		;;
	verify)
		kallsymsd_stock_map "$@"
		kallsymsd_map "$@" || status=$?
		[ ${status} -ne 100 ]
		;;
	*)
		kallsymsd_map "$@" || status=$?
		[ ${status} -ne 0 ] || return 0
		kallsymsd_stock_map "$@"
		[ ${status} -ne 102 ] || kallsymsd_map "$@" compare || :
		;;
	esac
}

# Exit statuses: 100 and 101 are FAILED and DEFERRED of kallsymsd.kbuild.standin, 102 is UNTRIED of
# kallsymsd.kbuild.linkedmap.
kallsymsd_map()
{
	local status=0

	if ! [ -x "${kallsymsd_python}" ] || ! [ -f "${kallsymsd_module}" ]; then
		return 101
	fi
	# All passes use the same nm: ask for its version once.
	: "${kallsymsd_nm:=$(${NM} --version 2>&1)}"
	KALLSYMSD_NM=${kallsymsd_nm} KALLSYMSD_RULES=${kallsymsd_rules} \
		"${kallsymsd_python}" -I -S "${kallsymsd_module}" map "$@" || status=$?
	case ${status} in
	0 | 100 | 101 | 102)
		;;
	129 | 130 | 143) # the build was stopped: SIGHUP, SIGINT, SIGTERM
		exit ${status}
		;;
	*)
		echo "kallsymsd: kallsyms ended with status ${status}; ${NM} runs instead" >&2
		;;
	esac
	return ${status}
}
