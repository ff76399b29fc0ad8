# SPDX-License-Identifier: GPL-2.0-only
"""kallsymsd makes the kallsyms step of a Linux kernel build nearly free.

Keep this module empty: every run of the client imports it.
"""

__version__ = "0.1.0"
