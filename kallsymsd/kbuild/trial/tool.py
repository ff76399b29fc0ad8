# SPDX-License-Identifier: GPL-2.0-only
"""How far a tree's scripts/kallsyms is known: its text is looked at, and it is tried once (tooltrial)."""

import posix

from kallsymsd.kbuild.trial import verdicts
from kallsymsd.protocol.messages import strerror
from kallsymsd.protocol.regular import read_regular

# Bytes that a tool may have; with debugging information it has 200 kB.
_LARGEST_TOOL = 1 << 26

Environment = dict[bytes, bytes]


class Trust:
    """A tool that makes what a dialect of ours makes.

    dialect  its name
    trial    key of the verdict that a first real input has to decide; "" where that is done
    """

    __slots__ = ("dialect", "trial")

    def __init__(self, dialect: str, trial: str) -> None:
        self.dialect = dialect
        self.trial = trial


class UntrustedError(Exception):
    """The tree's own tool has to make its tables; the text says why."""


def trust(source: bytes, tool: bytes, environment: Environment) -> Trust:
    """The dialect of the tool at the path ``tool``; ``source`` is the text of scripts/kallsyms.c beside it.

    A trial is made if none was: that takes a tenth of a second, once. Raises UntrustedError where the tool is
    of no dialect. Where no verdict can be kept, a text that is known in full is believed, and no other.
    """
    try:
        program = read_regular(tool, _LARGEST_TOOL, follow=True)
    except OSError as error:
        raise UntrustedError((tool + b": " + strerror(error)).decode("utf-8", "replace")) from error
    if not posix.access(tool, posix.X_OK):
        raise UntrustedError(tool.decode("utf-8", "replace") + ": is not a program")
    place = verdicts.place(environment)
    if not place:
        return _by_text(source)
    name = verdicts.key(verdicts.TOOL, source, program)
    verdict = verdicts.find(place, name)
    if verdict is None:
        try:
            from kallsymsd.kbuild.trial.tooltrial import tried
        except ImportError:
            from kallsyms_client.locate import import_with_site

            import_with_site("kallsymsd.kbuild.trial.tooltrial")
            from kallsymsd.kbuild.trial.tooltrial import tried
        verdict = tried(source, tool)
        verdict.tree = posix.getcwdb().decode("utf-8", "surrogateescape")
        if not verdicts.keep(place, name, verdict):
            return _by_text(source)
    if verdict.result == verdicts.DIFFERENT:
        raise UntrustedError(verdict.reason)
    return Trust(verdict.dialect, name if verdict.result == verdicts.BEGUN else "")


def _by_text(source: bytes) -> Trust:
    from kallsymsd.core.toolsource import of_source

    dialect = of_source(source)
    if dialect is None:
        raise UntrustedError("its text is not known, and what a trial finds cannot be kept")
    return Trust(dialect.name, "")
