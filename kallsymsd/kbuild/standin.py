# SPDX-License-Identifier: GPL-2.0-only
"""Stands in for scripts/kallsyms in a hooked build."""

import posix
import sys

from kallsyms_client.failures import ClientError, DeferError
from kallsyms_client.main import run, say

#: Exit statuses of :func:`main`. Not 1, which an interpreter returns if it cannot start.
FAILED = 100
DEFERRED = 101


def main() -> int:
    """Run in place of scripts/kallsyms.

    Returns the exit status: 0, FAILED if the build must fail, DEFERRED to fall back to the kernel's own tool.
    """
    encoding = sys.getfilesystemencoding()
    arguments = [argument.encode(encoding, "surrogateescape") for argument in sys.argv[1:]]
    try:
        if b"KALLSYMSD_TRIAL" in posix.environ:
            return _try(arguments)
        run(b"scripts/kallsyms", arguments)
    except DeferError as error:
        if not error.repeated:
            say(error.message)
        return DEFERRED
    except ClientError as error:
        say(error.message)
        return FAILED
    return 0


def _try(arguments: list[bytes]) -> int:
    """Run the tree's own tool, which is on trial, and compare; returns the exit status, as main()."""
    try:
        from kallsymsd.kbuild.trial import firstinput
    except ImportError:
        from kallsyms_client.locate import import_with_site

        import_with_site("kallsymsd.kbuild.trial.firstinput")
        from kallsymsd.kbuild.trial import firstinput
    return FAILED if firstinput.run(arguments, posix.environ) else 0
