# SPDX-License-Identifier: GPL-2.0-only
"""kallsymsd: the kallsyms part of a Linux kernel link, nearly free.

The library is in kallsymsd.core. This module stays empty because the thin client passes through it.
"""

__version__ = "0.1.0"
