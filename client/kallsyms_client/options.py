# SPDX-License-Identifier: GPL-2.0-only
"""Parses the command line with the rules of glibc's getopt_long(), like the kernel's own tool.

The kernel's options depend on the dialect, and the dialect may depend on the options. So there are two steps:
:func:`split` needs no dialect, :func:`resolve` does.
"""

from kallsymsd.core.dialects import OPTION_BITS, Dialect
from kallsymsd.protocol.wire import ASM, INCBIN

_FLAGS = (b"64bit", b"big-endian", b"debug", b"from-elf", b"help", b"patch", b"version")
_SYSMAP = b"sysmap"  # our option; since v7.4 also the kernel's, which may be abbreviated
_FORMS = {b"asm": ASM, b"incbin": INCBIN}


class UsageError(Exception):
    """The command line is wrong; ``message`` is getopt's message without the program's name."""

    def __init__(self, message: bytes) -> None:
        super().__init__(message)
        self.message = message


class Command:
    """A command line, parsed as far as possible without a dialect.

    unresolved   options for :func:`resolve`, in order: the kernel's, and errors in our own
    positionals  file arguments
    flags        our own options without a value
    dialect      value of --dialect, None if not given
    sysmap       value of --sysmap, None if not given; resolve() checks whether it is allowed
    form         wire.ASM or wire.INCBIN from --format, None if not given
    verbose      -v
    """

    __slots__ = ("dialect", "flags", "form", "positionals", "sysmap", "unresolved", "verbose")

    def __init__(self) -> None:
        self.unresolved: list[bytes] = []
        self.positionals: list[bytes] = []
        self.flags: set[bytes] = set()
        self.dialect: bytes | None = None
        self.sysmap: bytes | None = None
        self.form: int | None = None
        self.verbose = False

    @property
    def from_elf(self) -> bool:
        """Whether the options ask to read a linked kernel in any dialect, which allows --sysmap."""
        return bool(self.flags & {b"from-elf", b"patch"})


def split(arguments: list[bytes], *, permute: bool = True) -> Command:
    """Parse a command line, given without the program's name.

    Options may follow file arguments unless ``permute`` is false (getopt's POSIXLY_CORRECT). Our own options
    cannot be abbreviated: they must not make an abbreviation of a kernel option ambiguous.
    """
    command = Command()
    rest = arguments[::-1]
    while rest:
        argument = rest.pop()
        if argument == b"--":
            break
        if not argument.startswith(b"-") or argument == b"-":
            command.positionals.append(argument)
            if not permute:
                break
        elif argument.startswith(b"--"):
            _take_long(command, argument, rest)
        else:
            letters = argument[1:].lstrip(b"v")
            command.verbose = command.verbose or len(letters) < len(argument) - 1
            if letters:
                command.unresolved.append(b"-" + letters)
    command.positionals.extend(reversed(rest))
    return command


def _take_long(command: Command, argument: bytes, rest: list[bytes]) -> None:
    """Take a long option and its value, which may be the next argument in ``rest`` (reversed)."""
    name, equals, value = argument[2:].partition(b"=")
    if name in _FLAGS and not equals:
        command.flags.add(name)
        return
    if name and _SYSMAP.startswith(name):
        if not equals and rest:
            value = rest.pop()
            argument += b"=" + value
        if b"=" in argument:
            command.sysmap = value
    if name in (b"dialect", b"format"):
        if not equals and rest:
            value = rest.pop()
            argument += b"=" + value
        if name == b"dialect" and b"=" in argument:
            command.dialect = value
            return
        if value in _FORMS:
            command.form = _FORMS[value]
            return
    command.unresolved.append(argument)


def resolve(unresolved: list[bytes], dialect: Dialect, *, from_elf: bool = False) -> int:
    """The given options as bits of the dialect table; UsageError if ``dialect`` lacks one.

    ``from_elf`` allows --sysmap in every dialect. The messages are glibc's (posix/getopt.c) in the C locale.
    """
    known = [name.encode() for name in dialect.options]
    if dialect.reads_elf or from_elf:
        known.append(_SYSMAP)
    bits = 0
    for argument in unresolved:
        if not argument.startswith(b"--"):
            raise UsageError(b"invalid option -- '%b'" % argument[1:2])
        name, equals, value = argument[2:].partition(b"=")
        if name == b"format" and equals:
            raise UsageError(b"option '--format' takes 'incbin' or 'asm', not '%b'" % value)
        if name in (b"dialect", b"format"):
            raise UsageError(b"option '--%b' requires an argument" % name)
        found = _found(argument, name, known)
        if found == _SYSMAP:
            if not equals:
                raise UsageError(b"option '--sysmap' requires an argument")
        elif equals:
            raise UsageError(b"option '--%b' doesn't allow an argument" % found)
        else:
            bits |= OPTION_BITS[found.decode()]
    return bits


def _found(argument: bytes, name: bytes, known: list[bytes]) -> bytes:
    """The option that ``name``, from ``argument``, abbreviates."""
    matches = [name] if name in known or name in _FLAGS else [each for each in known if each.startswith(name)]
    if not matches:
        raise UsageError(b"unrecognized option '%b'" % argument)
    if len(matches) > 1:
        possible = b"".join(b" '--%b'" % each for each in matches)
        raise UsageError(b"option '%b' is ambiguous; possibilities:%b" % (argument, possible))
    return matches[0]
