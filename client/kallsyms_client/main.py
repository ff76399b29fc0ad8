# SPDX-License-Identifier: GPL-2.0-only
"""Entry of the program ``kallsyms``: ends with an exit status and whole lines on standard error."""

import posix
import sys

from kallsyms_client.report import ClientError, say


def main() -> int:
    """Run the program with the process's arguments and environment; the exit status, 0 or 1."""
    encoding = sys.getfilesystemencoding()
    program, *arguments = [argument.encode(encoding, "surrogateescape") for argument in sys.argv]
    if program.endswith((b"/__main__.py", b"kallsyms_client")):  # python3 -m, or started by path
        program = b"kallsyms"
    try:
        try:
            from kallsyms_client.session import run
        except ImportError:
            from kallsyms_client.locate import import_session

            import_session()
            from kallsyms_client.session import run
        run(program, arguments, posix.environ)
    except ClientError as failure:
        say(failure.message)
        return 1
    except (
        OSError,
        MemoryError,
    ) as error:  # nothing that has a message of its own: all is short on this machine
        say(
            f"kallsyms: {error if isinstance(error, OSError) else 'out of memory'}\n".encode(
                encoding, "surrogateescape"
            )
        )
        return 1
    except KeyboardInterrupt:
        # make must see that we died of the signal.
        import signal

        signal.signal(signal.SIGINT, signal.SIG_DFL)
        posix.kill(posix.getpid(), signal.SIGINT)
        return 1
    return 0
