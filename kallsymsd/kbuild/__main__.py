# SPDX-License-Identifier: GPL-2.0-only
"""Entry point of the hook's scripts: ``python3 -I -S .../kbuild/__main__.py recipe|tool|map|one-link ...``.

Keep this file short: Python compiles it at every start.
"""

import _signal  # type: ignore[import-not-found]  # see kallsyms_client.signals
import posix
import sys

if _signal.getsignal(_signal.SIGINT) is _signal.default_int_handler:
    # Before any other import: an interrupt during an import may get lost.
    _signal.signal(_signal.SIGINT, _signal.SIG_DFL)

if not __package__:  # started by path: the client is beside kallsymsd or, in a checkout, in client/
    package = __file__.rpartition("/")[0]
    if sys.path and sys.path[0] == package:
        del sys.path[0]
    beside = package.rpartition("/")[0].rpartition("/")[0]
    sys.path[:0] = [beside, beside + "/client"]

verb = sys.argv.pop(1)
if verb == "tool":
    from kallsymsd.kbuild.standin import main as stand_in

    status = stand_in()
elif verb == "map":
    from kallsymsd.kbuild.linkedmap import main as make_map

    status = make_map(sys.argv[1:])
elif verb == "one-link":
    from kallsymsd.kbuild.script.onelinkedit import ask

    status = ask(sys.argv[1:])
else:
    from kallsymsd.kbuild.script.recipe import main

    status = main()
posix._exit(status)  # noqa: SLF001 - the system call: nothing is buffered
