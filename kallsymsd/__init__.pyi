# SPDX-License-Identifier: GPL-2.0-only
from kallsymsd.core.errors import InputError as InputError
from kallsymsd.core.errors import KallsymsdError as KallsymsdError
from kallsymsd.core.tables import Tables as Tables
from kallsymsd.core.target import Target as Target
from kallsymsd.elf.tablereader import KernelSymbol as KernelSymbol
from kallsymsd.api import build as build
from kallsymsd.api import read as read

__all__ = ["InputError", "KallsymsdError", "KernelSymbol", "Tables", "Target", "build", "read"]
__version__: str
