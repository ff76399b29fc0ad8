# SPDX-License-Identifier: GPL-2.0-only
"""Entry point of ``kallsyms``: turns errors into messages and an exit status."""

import posix
import sys

from kallsyms_client import signals
from kallsyms_client.failures import ClientError, DeferError


def main() -> int:
    """Run the program with the process's arguments and environment; returns the exit status."""
    signals.restore()  # for callers other than __main__
    encoding = sys.getfilesystemencoding()
    program, *arguments = [argument.encode(encoding, "surrogateescape") for argument in sys.argv]
    if program.endswith((b"/__main__.py", b"kallsyms_client")):  # python3 -m, or started by path
        program = b"kallsyms"
    try:
        run(program, arguments)
    except ClientError as error:
        say(error.message)
        return error.status
    return 0


def run(program: bytes, arguments: list[bytes]) -> None:
    """Execute the command line; ClientError on errors, DeferError if the kernel's own tool may succeed."""
    try:
        try:
            from kallsyms_client import session
        except ImportError:
            from kallsyms_client.locate import import_with_site

            import_with_site("kallsyms_client.session")
            from kallsyms_client import session
        session.run(program, arguments, posix.environ)
    except (
        OSError,
        MemoryError,
    ) as error:  # not an error with its own message: the machine is out of some resource
        reason = str(error) if isinstance(error, OSError) else "out of memory"
        message = f"kallsyms: {reason}\n".encode(sys.getfilesystemencoding(), "surrogateescape")
        raise DeferError(message) from error


def say(lines: bytes) -> None:
    """Write to standard error, also if kallsymsd is missing or descriptors have run out."""
    try:
        from kallsymsd.protocol import messages
    except (ImportError, OSError):
        posix.write(2, lines)
    else:
        messages.say(lines)
