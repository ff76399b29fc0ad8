# SPDX-License-Identifier: GPL-2.0-only
"""The loops over the symbols of ELF files; built like kallsymsd.core.native.

symbols   Symbols: a symbol table as columns
mksysmap  which symbols mksysmap drops
nmlines   the lines that nm prints
inputs    the symbols of the linker's input files, and where names are in a map
"""
