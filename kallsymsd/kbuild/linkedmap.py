# SPDX-License-Identifier: GPL-2.0-only
"""Makes the map of a linked kernel in place of nm and scripts/mksysmap, for mksysmap.sh.

For each new combination of nm and kind of file there is a trial first: the script's own command makes the
map, and ours is compared with it. The verdict is kept (verdicts).
"""

import posix
import re
import sys

from kallsymsd.kbuild.standin import DEFERRED, FAILED
from kallsymsd.protocol.messages import say
from kallsymsd.protocol.regular import Reader, open_regular, read_regular

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kallsymsd.elf.elffile import ElfFile

# Variables with the output of "nm --version" and the rules of scripts/mksysmap.
_NM = b"KALLSYMSD_NM"
_RULES = b"KALLSYMSD_RULES"
_LARGEST_MAP = 1 << 30

# Locales in which nm sorts like strcmp(); kbuild sets C.
_LOCALES = (b"", b"C", b"POSIX")
# Two symbols with the same address and name: their order in llvm-nm is not defined.
_AMBIGUOUS = re.compile(rb"^(\S+) (\S) (\S+)\n\1 (?!\2)\S \3$", re.MULTILINE)

#: Exit status: run the script's own command, then "compare" to decide the trial.
UNTRIED = 102

Environment = dict[bytes, bytes]


class _UncertainError(Exception):
    """The output of the script's own command cannot be predicted with certainty."""


def main(arguments: list[str]) -> int:
    """Make the map of the linked kernel ``arguments[0]`` as the file ``arguments[1]``.

    Returns the exit status: 0, UNTRIED, or DEFERRED if the script's own command must make the map and report
    errors. With "compare" as third argument the file exists already and decides the trial. With
    KALLSYMSD=verify it exists, too, and the status is FAILED if ours differs.
    """
    encoding = sys.getfilesystemencoding()
    linked, path, *compare = (argument.encode(encoding, "surrogateescape") for argument in arguments)
    try:
        return _run(linked, path, posix.environ, is_made=bool(compare))
    except (_UncertainError, OSError, MemoryError):
        return DEFERRED
    except Exception as error:  # noqa: BLE001  a defect of ours must not end a build
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        say(f"kallsymsd: {reason}; nm runs instead\n".encode("utf-8", "backslashreplace"))
        return DEFERRED


def _run(linked: bytes, path: bytes, environment: Environment, *, is_made: bool) -> int:
    text, key = _map_text(linked, environment)
    if environment.get(b"KALLSYMSD") == b"verify":
        return _compare(text, path, environment)
    from kallsyms_client.failures import ClientError
    from kallsyms_client.output import FileArgument, write
    from kallsymsd.kbuild.trial import verdicts
    from kallsymsd.protocol.received import Piece

    place = verdicts.place(environment)
    if not place:
        raise _UncertainError
    if is_made:
        _decide(text, path, place, key, environment)
        return 0
    verdict = verdicts.find(place, key)
    if verdict is None:
        return UNTRIED
    if verdict.result != verdicts.SAME:
        raise _UncertainError
    try:
        write(FileArgument(path, Piece(text, 0, len(text))))
    except ClientError as error:
        raise _UncertainError from error
    return 0


def _decide(text: bytes, path: bytes, place: bytes, key: str, environment: Environment) -> None:
    """Save the verdict from a comparison with the map of the script's own command."""
    from kallsymsd.kbuild.trial.verdicts import DIFFERENT, MAP, SAME, Verdict, keep

    difference = _difference(text, path)
    verdict = Verdict(
        MAP,
        DIFFERENT if difference else SAME,
        reason=difference,
        subject=environment.get(_NM, b"").partition(b"\n")[0].decode("utf-8", "replace"),
        tree=posix.getcwdb().decode("utf-8", "surrogateescape"),
    )
    keep(place, key, verdict)


def _map_text(linked: bytes, environment: Environment) -> tuple[bytes, str]:
    """The map, and the key of its verdict; _UncertainError if we must not make it."""
    try:
        from kallsymsd.elf import vmlinux
    except ImportError:
        from kallsyms_client.locate import import_with_site

        import_with_site("kallsymsd.elf.vmlinux")
        from kallsymsd.elf import vmlinux
    from kallsymsd.core.dialects import SymbolFilter
    from kallsymsd.core.errors import InputError
    from kallsymsd.elf import nm

    flavour = nm.of_version(environment.get(_NM, b""))
    locale = next(filter(None, (environment.get(name) for name in (b"LC_ALL", b"LC_COLLATE", b"LANG"))), b"")
    if flavour is None or locale not in _LOCALES:
        raise _UncertainError
    dropped = SymbolFilter(*environment[_RULES].decode("ascii").split())
    descriptor = open_regular(linked, follow=True)
    try:
        reader = Reader(descriptor, posix.fstat(descriptor).st_size)
        elf = vmlinux.linked(reader.read, reader.size)
        text = nm.filtered_map(elf, flavour, dropped)
    except InputError as error:
        raise _UncertainError from error
    finally:
        posix.close(descriptor)
    # grep and sed treat an empty result, and bytes that are no characters, in ways of their own.
    if not text or not text.isascii() or (flavour == nm.LLVM and _AMBIGUOUS.search(text)):
        raise _UncertainError
    return text, _key(elf, environment)


def _key(elf: "ElfFile", environment: Environment) -> str:
    """The key of a verdict: nm, rules, machine, and the kinds of sections and symbols in the file."""
    from kallsymsd.kbuild.trial import verdicts

    kinds = sorted({(section.type, section.flags) for section in elf.sections})
    return verdicts.key(
        verdicts.MAP,
        environment[_NM],
        environment[_RULES],
        repr((elf.machine, elf.bits, elf.big_endian, kinds, sorted(set(elf.symbols().infos)))).encode(),
    )


def _compare(text: bytes, path: bytes, environment: Environment) -> int:
    """Compare with the map ``path`` of the script's own command; returns the exit status."""
    from kallsymsd.protocol import notes, places

    difference = _difference(text, path)
    if not difference:
        return 0
    say(f"kallsymsd: KALLSYMSD=verify: {difference}\n".encode("utf-8", "surrogateescape"))
    if place := places.made_cache_directory(environment):
        notes.count(place, "wrong", 0.0)
    return FAILED


def _difference(text: bytes, path: bytes) -> str:
    """The first difference between the map in a file and ``text``, ours; "" if there is none."""
    theirs = read_regular(path, _LARGEST_MAP, follow=True)
    if text == theirs:
        return ""
    ours, others = text.splitlines(), theirs.splitlines()
    pairs = zip(ours, others, strict=False)
    at = next((at for at, (one, other) in enumerate(pairs) if one != other), min(len(ours), len(others)))
    here, there = (lines[at] if at < len(lines) else b"(end)" for lines in (ours, others))
    difference = b"%b: line %d is '%b', ours is '%b'" % (path, at + 1, there, here)
    return difference.decode("utf-8", "surrogateescape")
