# SPDX-License-Identifier: GPL-2.0-only
"""What a process inherits and a daemon must not: limits of resources, and the build's place among processes.

Whoever starts a daemon may have limited itself, or all that it starts, for reasons of its own. The daemon
serves all builds of its user, so it either gets rid of such limits or does not start.
"""

import contextlib
import os
import resource
from pathlib import Path

# Below this a limit on memory, or on the size of files, memory files included, makes answers fail that
# clients would make.
_MUCH = 4 << 30
# The main thread's own. Other threads have stacks of the size that is asked for.
_STACK = 1 << 20
_NEVER = -1

# What each limit must be at least, _NEVER: there must be none; its name, and the shell's option that sets it.
_LEAST = {
    resource.RLIMIT_FSIZE: (_MUCH, "the size of files", "ulimit -f"),
    resource.RLIMIT_AS: (_MUCH, "memory", "ulimit -v"),
    resource.RLIMIT_DATA: (_MUCH, "data", "ulimit -d"),
    resource.RLIMIT_STACK: (_STACK, "the stack", "ulimit -s"),
    resource.RLIMIT_CPU: (_NEVER, "CPU time", "ulimit -t"),
}


class LimitedError(Exception):
    """No daemon is to run in these surroundings; the text says why and what to do, in one line."""


def lift_limits() -> None:
    """Raise limits that are too low for a daemon, as far as is allowed; LimitedError if that is not enough.

    A soft limit is the caller's own; the hard limit is somebody's decision, and stays.
    """
    for which, (least, name, option) in _LEAST.items():
        soft, hard = resource.getrlimit(which)
        if not _is_enough(soft, least):
            # ValueError: the kernel's EPERM. A sandbox may forbid it.
            with contextlib.suppress(OSError, ValueError):
                resource.setrlimit(which, (hard, hard))
                soft = hard
        if not _is_enough(soft, least):
            raise LimitedError(f"{name} must not be limited as here, to {soft}; see {option}")


def raise_descriptor_limit(wanted: int) -> int:
    """Ask for ``wanted`` descriptors; how many there may be."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return wanted
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    except (OSError, ValueError):  # a sandbox may forbid it; there is room for many clients anyway
        return soft
    return wanted


def leave_build() -> None:
    """Take the place of an ordinary process, whatever that of the build is which has started this one.

    LimitedError if that is not allowed: other builds are not to wait for one that yields to everybody.
    """
    with contextlib.suppress(OSError):  # more than there are is all of them
        os.sched_setaffinity(0, range(os.sysconf("SC_NPROCESSORS_CONF")))
    try:
        if os.sched_getscheduler(0) != os.SCHED_OTHER:
            os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
        if os.getpriority(os.PRIO_PROCESS, 0) != 0:
            os.setpriority(os.PRIO_PROCESS, 0, 0)
    except OSError as error:
        raise LimitedError(
            f"the build has a low priority, which cannot be raised ({error.strerror}); start one without it"
        ) from error
    # Neither the first to be killed when memory runs out, nor spared.
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("0")


def _is_enough(limit: int, least: int) -> bool:
    return limit == resource.RLIM_INFINITY or (least != _NEVER and limit >= least)
