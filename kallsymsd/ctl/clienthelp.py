# SPDX-License-Identifier: GPL-2.0-only
"""What ``kallsyms --help`` prints, which its manual page and its completion are made of."""

import subprocess
import sys

# Seconds for a program that only prints.
_PATIENCE = 20


def help_text() -> str:
    """The text, as the client of this installation prints it."""
    start = (
        "import sys; sys.path[:] = sys.argv.pop().split(':'); from kallsyms_client.main import main; main()"
    )
    done = subprocess.run(  # noqa: S603  the client
        [sys.executable, "-c", start, "--help", ":".join(sys.path)],
        capture_output=True,
        timeout=_PATIENCE,
        check=True,
    )
    return done.stdout.decode("ascii")
