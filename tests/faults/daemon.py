# SPDX-License-Identifier: GPL-2.0-only
"""kallsymsd with a failpoint: ``python -m tests.faults.daemon`` does at one stage what the environment says.

KALLSYMSD_TEST_FAILPOINT is STAGE:ACTION, KALLSYMSD_TEST_VERSION the version it claims to be,
KALLSYMSD_TEST_MAP the map that is rewritten.
"""

import errno
import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import diskcache

from kallsymsd import __main__ as program
from kallsymsd.engine.engine import Engine
from kallsymsd.engine.store import Store
from kallsymsd.engine.trees import Trees
from kallsymsd.protocol.wire import BuildRequest
from kallsymsd.service import reading
from kallsymsd.service.connection import Connection
from kallsymsd.service.tally import Tally

#: The functions that a request passes, in this order.
STAGES: dict[str, tuple[Any, str]] = {
    "accept": (socket.socket, "accept"),
    "request": (BuildRequest, "decode"),
    "load": (Store, "__init__"),
    "identify": (Engine, "identify"),
    "build": (Engine, "build"),
    "compute": (Trees, "build"),
    "hand out": (Tally, "outcome"),
    "reply": (Connection, "send"),
    "read": (reading, "read_to_end"),
    "keep": (Engine, "keep"),
    "store": (diskcache.Cache, "set"),
}


def _raise(error: BaseException) -> Callable[[], None]:
    def act() -> None:
        raise error

    return act


def _rewrite(times: int) -> Callable[[], None]:
    """Change a letter of the map, of which the size stays, the first ``times`` times."""
    left = [times]

    def act() -> None:
        if not left[0]:
            return
        left[0] -= 1
        time.sleep(0.02)  # the file's time must differ; it may have a grain of 10 ms
        with Path(os.environ["KALLSYMSD_TEST_MAP"]).open("r+b") as file:
            file.seek(-2, os.SEEK_END)
            last = file.read(1)
            file.seek(-2, os.SEEK_END)
            file.write(bytes((last[0] + 1,)))

    return act


#: What happens there.
ACTIONS: dict[str, Callable[[], None]] = {
    "SIGKILL": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "SIGSTOP": lambda: os.kill(os.getpid(), signal.SIGSTOP),
    "ENOSPC": _raise(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))),
    "EIO": _raise(OSError(errno.EIO, os.strerror(errno.EIO))),
    "no memory": _raise(MemoryError()),
    "EDQUOT": _raise(OSError(errno.EDQUOT, os.strerror(errno.EDQUOT))),
    "hang": lambda: time.sleep(3600),
    "wait": lambda: time.sleep(1),
    "rewrite once": _rewrite(1),
    "rewrite always": _rewrite(-1),
}


def _install(stage: str, action: str) -> None:
    owner, name = STAGES[stage]
    whole = getattr(owner, name)

    def failing(*arguments: Any, **keywords: Any) -> Any:  # noqa: ANN401  in place of any function
        if stage == "read":  # what was read is old by then
            result = whole(*arguments, **keywords)
            ACTIONS[action]()
            return result
        # Connection, data, answer: all that is sent without an answer passes.
        if stage != "reply" or arguments[2] is not None:
            ACTIONS[action]()
        return whole(*arguments, **keywords)

    setattr(owner, name, failing)


if __name__ == "__main__":
    vars(program)["take"] = lambda _: []  # what clients have noted is for the judge
    if failpoint := os.environ.get("KALLSYMSD_TEST_FAILPOINT"):
        _install(*failpoint.split(":"))
    if version := os.environ.get("KALLSYMSD_TEST_VERSION"):
        vars(program)["__version__"] = version
    sys.exit(program.main())
