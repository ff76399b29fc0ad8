# SPDX-License-Identifier: GPL-2.0-only
"""Entry of the program ``kallsyms``: ends with an exit status and whole lines on standard error."""

import posix
import sys

from kallsyms_client import signals
from kallsyms_client.failures import ClientError, DeferError


def main() -> int:
    """Run the program with the process's arguments and environment; the exit status."""
    signals.restore()  # for those who did not come by __main__
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
    """Do what the command line says; ClientError for exit status 1, DeferError if the tool might do it."""
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
    ) as error:  # nothing that has a message of its own: all is short on this machine
        reason = str(error) if isinstance(error, OSError) else "out of memory"
        message = f"kallsyms: {reason}\n".encode(sys.getfilesystemencoding(), "surrogateescape")
        raise DeferError(message) from error


def say(lines: bytes) -> None:
    """Write to standard error, also if the package kallsymsd is missing or descriptors have run out."""
    try:
        from kallsymsd.protocol import messages
    except (ImportError, OSError):
        posix.write(2, lines)
    else:
        messages.say(lines)
