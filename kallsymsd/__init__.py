# SPDX-License-Identifier: GPL-2.0-only
"""kallsymsd makes the kallsyms step of a Linux kernel build nearly free.

__all__ lists the public names (docs/library.md); __init__.pyi has their types. Each is loaded at first use,
because every run of the client imports this module.
"""

__all__ = ["InputError", "KallsymsdError", "KernelSymbol", "Tables", "Target", "build", "read"]

__version__ = "0.1.0"

_WHERE = {
    "InputError": "kallsymsd.core.errors",
    "KallsymsdError": "kallsymsd.core.errors",
    "KernelSymbol": "kallsymsd.elf.tablereader",
    "Tables": "kallsymsd.core.tables",
    "Target": "kallsymsd.core.target",
    "build": "kallsymsd.api",
    "read": "kallsymsd.api",
}


def __getattr__(name: str) -> object:
    """Load a public name at first use (PEP 562)."""
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module  # noqa: PLC0415  the client never gets here

    return getattr(import_module(_WHERE[name]), name)


def __dir__() -> list[str]:
    return sorted((*globals(), *__all__))
