# SPDX-License-Identifier: GPL-2.0-only
"""The client with a system call that fails: ``python program.py CALL NUMBER FAULT ARGUMENT...``

The NUMBER-th CALL (a function of posix) does FAULT: the name of an error, or of a signal, which comes just
before it. If there were fewer
calls, it ends with the line "unhit". As FAULT, EMFILE means that NUMBER descriptors are all it may have.
"""

import errno
import posix
import resource
import signal
import sys
from typing import Any

from kallsyms_client import main

_, call, number, fault, *arguments = sys.argv
whole = getattr(posix, call)
calls = 0


def failing(*values: Any) -> Any:  # noqa: ANN401  in place of any system call
    global calls  # noqa: PLW0603 - a script of its own
    calls += 1
    if calls != int(number):
        return whole(*values)
    if fault.startswith("SIG"):
        posix.kill(posix.getpid(), signal.Signals[fault])
        return whole(*values)
    if call == "close":  # the descriptor is closed all the same
        whole(*values)
    raise OSError(getattr(errno, fault), fault)


if fault == "EMFILE":
    resource.setrlimit(resource.RLIMIT_NOFILE, (int(number), int(number)))
else:
    setattr(posix, call, failing)
sys.argv = ["kallsyms", *arguments]
status = main.main()
setattr(posix, call, whole)
if fault != "EMFILE" and calls < int(number):
    posix.write(2, b"unhit\n")
posix._exit(status)
