# SPDX-License-Identifier: GPL-2.0-only
"""The client with a system call that fails: ``python program.py CALL NUMBER FAULT ARGUMENT...``

The NUMBER-th CALL (functions of posix, with commas between them) does FAULT: the name of an error, or of a
signal, which comes just before it, or just after it where a plus follows its name. If there were fewer
calls, it ends with the line "unhit". As FAULT, EMFILE means that NUMBER descriptors are all it may have.
"""

import errno
import os
import posix
import resource
import signal
import sys
from functools import partial
from typing import Any

from kallsyms_client import main

_, call, number, fault, *arguments = sys.argv
whole = {name: getattr(posix, name) for name in call.split(",")}
calls = 0


def failing(name: str, *values: Any) -> Any:  # noqa: ANN401  in place of any system call
    global calls  # noqa: PLW0603 - a script of its own
    calls += 1
    if calls != int(number):
        return whole[name](*values)
    if fault.endswith("+"):
        try:
            return whole[name](*values)
        finally:
            posix.kill(posix.getpid(), signal.Signals[fault[:-1]])
    if fault.startswith("SIG"):
        posix.kill(posix.getpid(), signal.Signals[fault])
        return whole[name](*values)
    if name == "close":  # the descriptor is closed all the same
        whole[name](*values)
    raise OSError(getattr(errno, fault), fault)


if fault == "EMFILE":
    resource.setrlimit(resource.RLIMIT_NOFILE, (int(number), int(number)))
else:
    for name in whole:
        setattr(posix, name, partial(failing, name))
sys.argv = ["kallsyms", *arguments]
status = main.main()
for name, function in whole.items():
    setattr(posix, name, function)
if fault != "EMFILE" and calls < int(number):
    posix.write(2, b"unhit\n")
os._exit(status)
