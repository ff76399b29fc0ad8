# SPDX-License-Identifier: GPL-2.0-only
"""The client, ``kallsyms``, which stands in for the kernel's scripts/kallsyms.

It runs several times in each kernel build, as ``python3 -I -S``, so start-up time matters. A run that the
daemon answers imports little more than sys, posix, _socket, kallsymsd.protocol and the dialect table.
"""
