# SPDX-License-Identifier: GPL-2.0-only
"""Entry point of ``python3 -m kallsyms_client`` and, in builds, ``python3 -I -S .../__main__.py``.

Keep this file short: Python compiles it at every start by path. Everything else is imported.
"""

import _signal  # type: ignore[import-not-found]  # see kallsyms_client.signals
import posix
import sys

if _signal.getsignal(_signal.SIGINT) is _signal.default_int_handler:
    # Before any other import: an interrupt during an import may get lost.
    _signal.signal(_signal.SIGINT, _signal.SIG_DFL)

if not __package__:  # started by path: kallsymsd is beside this package or, in a checkout, beside client/
    package = __file__.rpartition("/")[0]
    if sys.path and sys.path[0] == package:
        del sys.path[0]
    beside = package.rpartition("/")[0]
    sys.path[:0] = [beside, beside.removesuffix("/client")] if beside.endswith("/client") else [beside]

from kallsyms_client.main import main

# Nothing is buffered, and the interpreter's clean-up would take as long as the rest of the client.
posix._exit(main())  # noqa: SLF001 - the system call
