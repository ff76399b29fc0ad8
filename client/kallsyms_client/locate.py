# SPDX-License-Identifier: GPL-2.0-only
"""Finds packages that python3 -I -S does not see."""

from kallsyms_client.failures import DeferError


def import_with_site(module: str) -> None:
    """Import ``module`` with site-packages enabled: a .pth file there points to an editable install."""
    import importlib
    import site

    site.main()
    try:
        importlib.import_module(module)
    except ImportError as error:
        raise DeferError(f"kallsyms: {error}; install kallsymsd for this Python\n".encode()) from error
