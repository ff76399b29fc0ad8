# SPDX-License-Identifier: GPL-2.0-only
"""scripts/kallsyms once more, in plain Python, slow and readable.

This is a second transcription of the same specification, made to be compared with the library and with the
kernel's own tools. It shares no code with kallsymsd: it names the options by their own spelling and states
the differences between kernels itself, as a history of changes (forms.py). Read in this order:

    forms.py    what changed from kernel to kernel
    elf.py      since v7.4: a linked kernel to the lines of its System.map
    reader.py   lines of a System.map to symbols
    order.py    which symbols stay, and the two orders they are put in
    tokens.py   the token table
    text.py     the assembly that the tool prints
    tool.py     all of it: map and options in; exit status, standard output and standard error out
    decode.py   the way back: tables from assembly text, whoever printed it
"""
