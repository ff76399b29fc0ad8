# SPDX-License-Identifier: GPL-2.0-only
"""Loops over the symbols of ELF files, without the interpreter's lock."""
