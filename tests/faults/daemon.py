# SPDX-License-Identifier: GPL-2.0-only
"""kallsymsd with a failpoint: ``python -m tests.faults.daemon`` does at one stage what the environment says.

KALLSYMSD_TEST_FAILPOINT is STAGE:ACTION, KALLSYMSD_TEST_VERSION the version it claims to be.
"""

import errno
import os
import signal
import sys
import time
from collections.abc import Callable
from typing import Any

import diskcache

from kallsymsd import __main__ as program
from kallsymsd.engine.engine import Engine
from kallsymsd.service.connection import Connection
from kallsymsd.service.hub import Hub
from kallsymsd.service.server import Server

#: Where a request comes along, in this order.
STAGES: dict[str, tuple[Any, str]] = {
    "accept": (Hub, "_accept"),
    "request": (Server, "_build"),
    "load": (program, "_make_engine"),
    "identify": (Engine, "identify"),
    "build": (Engine, "build"),
    "compute": (Engine, "_computed"),
    "hand out": (Server, "_hand_out"),
    "reply": (Connection, "flush"),
    "keep": (Engine, "keep"),
    "store": (diskcache.Cache, "set"),
}


def _raise(error: BaseException) -> Callable[[], None]:
    def act() -> None:
        raise error

    return act


#: What happens there.
ACTIONS: dict[str, Callable[[], None]] = {
    "SIGKILL": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "SIGSTOP": lambda: os.kill(os.getpid(), signal.SIGSTOP),
    "ENOSPC": _raise(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))),
    "EIO": _raise(OSError(errno.EIO, os.strerror(errno.EIO))),
    "no memory": _raise(MemoryError()),
    "hang": lambda: time.sleep(3600),
}


def _install(stage: str, action: str) -> None:
    owner, name = STAGES[stage]
    whole = getattr(owner, name)

    def failing(*arguments: Any, **keywords: Any) -> Any:  # noqa: ANN401
        # The reply is what carries a descriptor; all else that is sent passes.
        out = arguments[0]._out if stage == "reply" else ()
        # Outcomes only: this is called on every turn of the loop.
        is_idle = stage == "hand out" and not arguments[0]._outcomes
        if stage == "reply" and not any(each.answer for each in out):
            is_idle = True
        if not is_idle:
            ACTIONS[action]()
        return whole(*arguments, **keywords)

    setattr(owner, name, failing)


if __name__ == "__main__":
    if failpoint := os.environ.get("KALLSYMSD_TEST_FAILPOINT"):
        _install(*failpoint.split(":"))
    if version := os.environ.get("KALLSYMSD_TEST_VERSION"):
        vars(program)["__version__"] = version
    sys.exit(program.main())
