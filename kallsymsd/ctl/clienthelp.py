# SPDX-License-Identifier: GPL-2.0-only
"""The output of ``kallsyms --help``, from which its manual page and its completion are made."""

import subprocess
import sys

# Seconds allowed for a program that only prints.
_PATIENCE = 20


def help_text() -> str:
    """The help text of this installation's client."""
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
