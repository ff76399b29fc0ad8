# SPDX-License-Identifier: GPL-2.0-only
"""Entry of the program ``kallsyms``: ends with an exit status and whole lines on standard error."""

import posix
import sys

from kallsyms_client import signals
from kallsyms_client.report import ClientError, DeferError, say

#: Exit statuses of :func:`hooked`. Not 1, which an interpreter has that cannot start.
FAILED = 100
DEFERRED = 101


def main() -> int:
    """Run the program with the process's arguments and environment; the exit status."""
    signals.restore()  # for those who did not come by __main__
    encoding = sys.getfilesystemencoding()
    program, *arguments = [argument.encode(encoding, "surrogateescape") for argument in sys.argv]
    if program.endswith((b"/__main__.py", b"kallsyms_client")):  # python3 -m, or started by path
        program = b"kallsyms"
    try:
        _run(program, arguments)
    except ClientError as error:
        say(error.message)
        return error.status
    return 0


def hooked() -> int:
    """Run in the place of scripts/kallsyms.

    The exit status: 0, FAILED where the build must end, DEFERRED where it must run its own tool.
    """
    encoding = sys.getfilesystemencoding()
    arguments = [argument.encode(encoding, "surrogateescape") for argument in sys.argv[1:]]
    try:
        if b"KALLSYMSD_TRIAL" in posix.environ:
            return _try(arguments)
        _run(b"scripts/kallsyms", arguments)
    except DeferError as error:
        if not error.repeated:
            say(error.message)
        return DEFERRED
    except ClientError as error:
        say(error.message)
        return FAILED
    return 0


def _try(arguments: list[bytes]) -> int:
    """Run the tree's own tool, which is not known yet, and compare; the exit status as hooked() has it."""
    try:
        from kallsyms_client.kbuild import firstinput
    except ImportError:
        from kallsyms_client.locate import import_with_site

        import_with_site("kallsyms_client.kbuild.firstinput")
        from kallsyms_client.kbuild import firstinput
    return FAILED if firstinput.run(arguments, posix.environ) else 0


def _run(program: bytes, arguments: list[bytes]) -> None:
    try:
        try:
            from kallsyms_client.session import run
        except ImportError:
            from kallsyms_client.locate import import_with_site

            import_with_site("kallsyms_client.session")
            from kallsyms_client.session import run
        run(program, arguments, posix.environ)
    except (
        OSError,
        MemoryError,
    ) as error:  # nothing that has a message of its own: all is short on this machine
        reason = str(error) if isinstance(error, OSError) else "out of memory"
        message = f"kallsyms: {reason}\n".encode(sys.getfilesystemencoding(), "surrogateescape")
        raise DeferError(message) from error
