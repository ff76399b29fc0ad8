# SPDX-License-Identifier: GPL-2.0-only
"""The native core: the loops over symbols and bytes. They run without the interpreter's lock.

Each module is compiled separately. Its .pyi declares what Python code calls, its .pxd what the other native
modules call. A .pxd without a module has short functions that are compiled into each module that uses them.

    columns    bytes objects as columns of numbers; memory allocation
    text       hexadecimal numbers and lines of a map
    sorting    sorting by number
    strings    Strings: many strings in two columns; the other modules take and return them
    mapnames   names that scripts/kallsyms drops, and names that bound a range
    mapparser  map lines to symbols
    maporder   the order of a map's symbols in the tables
    mapreader  map text to the columns of a symbol table; uses the three above
    mapmoves   maps in which only addresses changed
    nameorder  the order of the symbols by name
    simd       loops over codes and pair counts for several instruction sets (pairs.c)
    tokentable the token table, cold
    replay     the token table, updated; uses history and taken
    alignment  which strings of two tables are equal
    carryover  columns of a new table, made from the columns of the old one
    encoding   the bytes of the kernel's tables
    listing    the same tables as lines of assembly
    allocator  how much freed memory malloc keeps
"""
