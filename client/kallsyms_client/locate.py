# SPDX-License-Identifier: GPL-2.0-only
"""Finds the package kallsymsd where python3 -I -S does not see it."""

import importlib
import site

from kallsyms_client.failures import DeferError


def import_with_site(module: str) -> None:
    """Import ``module`` with the help of site-packages: an editable install is found by a .pth file."""
    site.main()
    try:
        importlib.import_module(module)
    except ImportError as error:
        raise DeferError(
            f"kallsyms: {error}; install the package kallsymsd for this Python\n".encode()
        ) from error
