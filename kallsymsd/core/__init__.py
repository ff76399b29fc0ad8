# SPDX-License-Identifier: GPL-2.0-only
"""Bytes in, bytes out: from a System.map to the kallsyms tables and their assembly.

Data flows one way. Each step is one function from one type to the next:

    map text -> SymbolTable -> TokenTable -> Tables -> Assembly

Nothing here does I/O, reads a clock or the environment, or knows about the daemon.
"""
