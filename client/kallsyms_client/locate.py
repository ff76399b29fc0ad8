# SPDX-License-Identifier: GPL-2.0-only
"""Finds the package kallsymsd where python3 -I -S does not see it."""

import importlib
import site

from kallsyms_client.report import failure


def find_kallsymsd() -> None:
    """Import kallsymsd with the help of site-packages (an editable install is found through a .pth file)."""
    site.main()
    try:
        importlib.import_module("kallsymsd.core.dialects")
    except ImportError as error:
        raise failure(f"{error}; install the package kallsymsd for this Python".encode()) from error
