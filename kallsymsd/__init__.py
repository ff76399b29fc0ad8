# SPDX-License-Identifier: GPL-2.0-only
"""kallsymsd: the kallsyms part of a Linux kernel link, nearly free.

What other programs may import stands in __all__ (docs/library.md). It is loaded when it is first used: the
thin client passes through this module, and must not pay for it. __init__.pyi has the types.
"""

__all__ = ["InputError", "KallsymsdError", "KernelSymbol", "Tables", "Target", "build", "read"]

__version__ = "0.1.0"

_WHERE = {
    "InputError": "kallsymsd.core.errors",
    "KallsymsdError": "kallsymsd.core.errors",
    "KernelSymbol": "kallsymsd.elf.tablereader",
    "Tables": "kallsymsd.core.tables",
    "Target": "kallsymsd.core.target",
    "build": "kallsymsd.library",
    "read": "kallsymsd.library",
}


def __getattr__(name: str) -> object:
    """Load what stands in __all__ (PEP 562)."""
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module  # noqa: PLC0415  the thin client does not come here

    return getattr(import_module(_WHERE[name]), name)


def __dir__() -> list[str]:
    return sorted((*globals(), *__all__))
