# SPDX-License-Identifier: GPL-2.0-only
"""Runs kallsymsd and writes down what it opens for writing, changes, connects to and starts.

python -m tests.service.audited LOG [ARGUMENTS]; LOG gets a line of JSON for each, event and path.
"""

import json
import os
import sys
from pathlib import Path

from kallsymsd.__main__ import main

_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND

# Events of sys.addaudithook that change something, and which of their arguments is the path (-1: none is).
_CHANGES = {
    "os.chmod": 0,
    "os.chown": 0,
    "os.link": 1,
    "os.mkdir": 0,
    "os.remove": 0,
    "os.rename": 1,
    "os.rmdir": 0,
    "os.symlink": 1,
    "os.truncate": 0,
    "sqlite3.connect": 0,
    "os.chdir": -1,
    "os.exec": -1,
    "os.fork": -1,
    "os.posix_spawn": -1,
    "os.system": -1,
    "pickle.find_class": -1,
    "socket.bind": -1,
    "socket.connect": -1,
    "subprocess.Popen": -1,
}


def audit(log: int) -> None:
    """Begin to write to ``log``."""

    def note(event: str, arguments: tuple[object, ...]) -> None:
        if event == "open":
            flags = arguments[2]
            if not isinstance(flags, int) or not flags & _WRITING:
                return
            path = arguments[0]
        elif event in _CHANGES:
            path = arguments[_CHANGES[event]] if _CHANGES[event] >= 0 else ""
        else:
            return
        if isinstance(path, int):  # a descriptor
            path = Path(f"/proc/self/fd/{path}").readlink()
        text = os.fsdecode(path)  # type: ignore[arg-type]  # Any
        os.write(log, (json.dumps([event, text]) + "\n").encode())

    sys.addaudithook(note)


if __name__ == "__main__":
    audit(os.open(sys.argv.pop(1), os.O_WRONLY | os.O_CREAT | os.O_APPEND))
    sys.exit(main())
