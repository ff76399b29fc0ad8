# SPDX-License-Identifier: GPL-2.0-only
"""Frees the daemon from what it inherits: resource limits, and the build's scheduling and CPU affinity.

A process that starts a daemon may run with limits for reasons of its own. The daemon serves all builds of its
user, so it either lifts such limits or does not start.
"""

import contextlib
import os
import resource
from pathlib import Path

# With a lower limit on memory, or on the size of files (memory files included), the daemon would fail where
# clients themselves would not.
_MUCH = 4 << 30
# For the main thread. Other threads get stacks of the size that the daemon asks for.
_STACK = 1 << 20
_NEVER = -1

# The least that each limit must be (_NEVER: it must not be set), its name, and the shell's option to set it.
_LEAST = {
    resource.RLIMIT_FSIZE: (_MUCH, "the size of files", "ulimit -f"),
    resource.RLIMIT_AS: (_MUCH, "memory", "ulimit -v"),
    resource.RLIMIT_DATA: (_MUCH, "data", "ulimit -d"),
    resource.RLIMIT_STACK: (_STACK, "the stack", "ulimit -s"),
    resource.RLIMIT_CPU: (_NEVER, "CPU time", "ulimit -t"),
}


class LimitedError(Exception):
    """The daemon must not run with these limits; the text says why and what to do, in one line."""


def lift_limits() -> None:
    """Raise limits that are too low for a daemon, as far as allowed; LimitedError if that is not enough.

    Only soft limits are raised. A hard limit is someone's decision and stays.
    """
    for which, (least, name, option) in _LEAST.items():
        soft, hard = resource.getrlimit(which)
        if not _is_enough(soft, least):
            # ValueError: the kernel's EPERM. A sandbox may forbid it.
            with contextlib.suppress(OSError, ValueError):
                resource.setrlimit(which, (hard, hard))
                soft = hard
        if not _is_enough(soft, least):
            raise LimitedError(f"{name} must not be limited to {soft}; see {option}")


def raise_descriptor_limit(wanted: int) -> int:
    """Ask for ``wanted`` descriptors; how many the process may have."""
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
    """Run as an ordinary process, whatever the priority and affinity of the build that started this daemon.

    LimitedError if that is not allowed: other builds must not wait for a daemon that yields to everything.
    """
    with contextlib.suppress(OSError):  # a set larger than the machine means all CPUs
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
    # Not more and not less likely to be killed when memory runs out.
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("0")


def _is_enough(limit: int, least: int) -> bool:
    return limit == resource.RLIM_INFINITY or (least != _NEVER and limit >= least)
