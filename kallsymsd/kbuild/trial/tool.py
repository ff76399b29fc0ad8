# SPDX-License-Identifier: GPL-2.0-only
"""Decides whether a tree's scripts/kallsyms is trusted, by its source text and a trial (tooltrial)."""

import posix

from kallsymsd.kbuild.trial import verdicts
from kallsymsd.protocol.messages import strerror
from kallsymsd.protocol.regular import read_regular

# Size limit of a tool in bytes; with debug information it has 200 kB.
_LARGEST_TOOL = 1 << 26

Environment = dict[bytes, bytes]


class Trust:
    """A tool whose output is that of a dialect.

    dialect  name of the dialect
    trial    key of the verdict that a first real input must decide; "" if it is decided
    """

    __slots__ = ("dialect", "trial")

    def __init__(self, dialect: str, trial: str) -> None:
        self.dialect = dialect
        self.trial = trial


class UntrustedError(Exception):
    """The build must use its own tool; the text says why."""


def trust(source: bytes, tool: bytes, environment: Environment) -> Trust:
    """The dialect of the tool at the path ``tool``; ``source`` is the text of its scripts/kallsyms.c.

    Runs a trial unless there is a verdict; that takes a tenth of a second. Raises UntrustedError for a tool
    of no dialect. If verdicts cannot be saved, only a known text is trusted.
    """
    try:
        program = read_regular(tool, _LARGEST_TOOL, follow=True)
    except OSError as error:
        raise UntrustedError((tool + b": " + strerror(error)).decode("utf-8", "replace")) from error
    if not posix.access(tool, posix.X_OK):
        raise UntrustedError(tool.decode("utf-8", "replace") + ": is not executable")
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
        raise UntrustedError("its text is not recognized, and the verdict of a trial cannot be saved")
    return Trust(dialect.name, "")
