# SPDX-License-Identifier: GPL-2.0-only
"""The map of a linked kernel in the place of nm and scripts/mksysmap: what mksysmap.sh asks for."""

import posix
import re
import sys

from kallsyms_client.main import DEFERRED, FAILED
from kallsyms_client.regular import Reader, open_regular
from kallsyms_client.report import say

# What "nm --version" printed, and the rules of scripts/mksysmap.
_NM = b"KALLSYMSD_NM"
_RULES = b"KALLSYMSD_RULES"

# Locales in which nm sorts as strcmp() does; kbuild takes C.
_LOCALES = (b"", b"C", b"POSIX")
# Two symbols of one address and name: llvm-nm leaves their order open.
_AMBIGUOUS = re.compile(rb"^(\S+) (\S) (\S+)\n\1 (?!\2)\S \3$", re.MULTILINE)

Environment = dict[bytes, bytes]


class _UnknownError(Exception):
    """It is not known for sure what the script's own command prints."""


def main(arguments: list[str]) -> int:
    """Make the map of the linked kernel ``arguments[0]``, as the file ``arguments[1]``.

    The exit status: 0, or DEFERRED where the script's own command must make it, which also says what is
    wrong. With KALLSYMSD=verify the file is there and stays; FAILED if it should be another.
    """
    encoding = sys.getfilesystemencoding()
    linked, path = (argument.encode(encoding, "surrogateescape") for argument in arguments)
    try:
        return _run(linked, path, posix.environ)
    except (_UnknownError, OSError, MemoryError):
        return DEFERRED
    except Exception as error:  # noqa: BLE001  a defect of ours must not end a build
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        say(f"kallsymsd: {reason}; nm is run\n".encode("utf-8", "backslashreplace"))
        return DEFERRED


def _run(linked: bytes, path: bytes, environment: Environment) -> int:
    from kallsyms_client.output import FileArgument, Piece, write
    from kallsyms_client.report import ClientError

    text = _map_text(linked, environment)
    if environment.get(b"KALLSYMSD") == b"verify":
        return _compare(text, path, environment)
    try:
        write(FileArgument(path, Piece(text, 0, len(text))))
    except ClientError as error:
        raise _UnknownError from error
    return 0


def _map_text(linked: bytes, environment: Environment) -> bytes:
    """The map; _UnknownError where the script's own command might make another one."""
    try:
        from kallsymsd.core import vmlinux
    except ImportError:
        from kallsyms_client.locate import import_with_site

        import_with_site("kallsymsd.core.vmlinux")
        from kallsymsd.core import vmlinux
    from kallsymsd.core import nm
    from kallsymsd.core.dialects import SymbolFilter
    from kallsymsd.core.errors import InputError

    flavour = nm.of_version(environment.get(_NM, b""))
    locale = next(filter(None, (environment.get(name) for name in (b"LC_ALL", b"LC_COLLATE", b"LANG"))), b"")
    if flavour is None or locale not in _LOCALES:
        raise _UnknownError
    dropped = SymbolFilter(*environment[_RULES].decode("ascii").split())
    descriptor = open_regular(linked, follow=True)
    try:
        reader = Reader(descriptor, posix.fstat(descriptor).st_size)
        elf = vmlinux.linked(reader.read, reader.size)
        text = nm.filtered_map(elf, flavour, dropped)
    except InputError as error:
        raise _UnknownError from error
    finally:
        posix.close(descriptor)
    # Where nothing is left, or a byte is no character, grep and sed have ways of their own.
    if not text or not text.isascii() or (flavour == nm.LLVM and _AMBIGUOUS.search(text)):
        raise _UnknownError
    return text


def _compare(text: bytes, path: bytes, environment: Environment) -> int:
    """The exit status for a map that the script's own command made as ``path``."""
    from kallsyms_client import tally
    from kallsyms_client.local import read_map

    descriptor = open_regular(path, follow=True)
    try:
        theirs = read_map(descriptor, posix.fstat(descriptor).st_size)
    finally:
        posix.close(descriptor)
    if text == theirs:
        return 0
    ours, others = text.splitlines(), theirs.splitlines()
    pairs = zip(ours, others, strict=False)
    at = next((at for at, (one, other) in enumerate(pairs) if one != other), min(len(ours), len(others)))
    here, there = (lines[at] if at < len(lines) else b"(end)" for lines in (ours, others))
    say(b"kallsymsd: KALLSYMSD=verify: %b: line %d is '%b', would be '%b'\n" % (path, at + 1, there, here))
    if place := tally.directory(environment):
        tally.count(place, "wrong", 0.0)
    return FAILED
