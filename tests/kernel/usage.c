/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Preloaded into every program of a build: at its end, one line to $KALLSYMSD_TEST_USAGE with what it used itself,
 * and when it began and ended:
 *
 *	CPU ns <tab> begin ns <tab> end ns (CLOCK_MONOTONIC) <tab> arguments, parted by spaces
 *
 * What a process used before exec() counts for the program that it ended as. Missing: programs that are
 * statically linked or killed, and what a process does before and after libc's own part of it, half a millisecond
 * each.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static long long begin;

static long long now(void)
{
	struct timespec at;

	clock_gettime(CLOCK_MONOTONIC, &at);
	return at.tv_sec * 1000000000LL + at.tv_nsec;
}

static void set_begin(void)
{
	begin = now();
}

__attribute__((constructor)) static void at_begin(void)
{
	set_begin();
	pthread_atfork(NULL, NULL, set_begin);
}

static long long nanoseconds(struct timeval span)
{
	return span.tv_sec * 1000000000LL + span.tv_usec * 1000LL;
}

__attribute__((destructor)) static void tell(void)
{
	const char *path = getenv("KALLSYMSD_TEST_USAGE");
	struct rusage usage;
	char line[4096];
	ssize_t length, at;
	int file;

	if (!path)
		return;
	getrusage(RUSAGE_SELF, &usage);
	length = snprintf(line, sizeof(line), "%lld\t%lld\t%lld\t", nanoseconds(usage.ru_utime) +
			  nanoseconds(usage.ru_stime), begin, now());
	file = open("/proc/self/cmdline", O_RDONLY | O_CLOEXEC);
	at = file < 0 ? 0 : read(file, line + length, sizeof(line) - length - 1);
	if (at < 0)
		at = 0;
	close(file);
	for (length += at; at > 0; at--)
		if (line[length - at] == '\0' || line[length - at] == '\n' || line[length - at] == '\t')
			line[length - at] = ' ';
	line[length++] = '\n';
	file = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
	if (file < 0)
		return;
	/* One write, so that lines of processes do not mix. */
	if (write(file, line, length) < 0)
		abort();
	close(file);
}

/* Python's os._exit() comes here; exit() does not, it runs the destructor. */
__attribute__((noreturn)) void _exit(int status)
{
	tell();
	syscall(SYS_exit_group, status);
	__builtin_unreachable();
}
