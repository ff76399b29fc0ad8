# SPDX-License-Identifier: GPL-2.0-only
"""``python3 -m kallsyms_client``, and for builds ``python3 -I -S .../kallsyms_client/__main__.py``.

Compiled anew at each run when it is started by path, hence short. Everything else is imported.
"""

import _signal  # type: ignore[import-not-found]  # see kallsyms_client.signals
import posix
import sys

if _signal.getsignal(_signal.SIGINT) is _signal.default_int_handler:
    # Before anything is imported: imports may lose an interrupt.
    _signal.signal(_signal.SIGINT, _signal.SIG_DFL)

if not __package__:  # started by path: kallsymsd lies beside this package, or, in a checkout, beside client/
    package = __file__.rpartition("/")[0]
    if sys.path and sys.path[0] == package:
        del sys.path[0]
    beside = package.rpartition("/")[0]
    sys.path[:0] = [beside, beside.removesuffix("/client")] if beside.endswith("/client") else [beside]

from kallsyms_client.main import main

# Nothing is buffered, and an interpreter that cleans up costs as much as the rest of the client.
posix._exit(main())  # noqa: SLF001 - the system call
