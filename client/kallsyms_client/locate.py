# SPDX-License-Identifier: GPL-2.0-only
"""Finds the package kallsymsd where python3 -I -S does not see it."""

import importlib
import site

from kallsyms_client.report import failure


def import_session() -> None:
    """Import the session with the help of site-packages: an editable install is found by a .pth file."""
    site.main()
    try:
        importlib.import_module("kallsyms_client.session")
    except ImportError as error:
        raise failure(f"{error}; install the package kallsymsd for this Python".encode()) from error
