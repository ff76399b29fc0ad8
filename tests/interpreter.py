# SPDX-License-Identifier: GPL-2.0-only
"""Another interpreter, which imports the code under test from where this one does."""

import os
import subprocess
import sys

_PATIENCE = 60


def python(program: str, *, check: bool = True) -> "subprocess.CompletedProcess[str]":
    """Run the text of a program; with ``check`` CalledProcessError unless it succeeds."""
    return subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=check,
        timeout=_PATIENCE,
    )
