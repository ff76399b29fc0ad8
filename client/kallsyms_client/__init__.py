# SPDX-License-Identifier: GPL-2.0-only
"""The thin client ``kallsyms``: stands in for the kernel's scripts/kallsyms.

Everything here runs before each build step, as ``python3 -I -S``: it imports sys, posix and _socket, and
kallsymsd only to read the dialect table or to compute in its own process.
"""
