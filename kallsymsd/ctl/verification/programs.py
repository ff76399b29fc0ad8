# SPDX-License-Identifier: GPL-2.0-only
"""Runs the programs that ``kallsymsctl verify`` needs: the kernel's own tool and a compiler."""

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from kallsymsd.ctl.command import CommandError

# Seconds allowed for a program; with some maps the tool of 6.1 never ends.
_PATIENCE = 300


def run(
    command: Sequence[str | Path],
    hint: str,
    *,
    out: int | IO[bytes] = subprocess.PIPE,
    where: Path | None = None,
) -> tuple[int, list[str]]:
    """Run ``command`` in the C locale, without the daemon; returns its exit status and error lines.

    There is at least one such line. Standard output goes to ``out``. CommandError if the program takes too
    long or cannot be run; the latter ends with ``hint``.
    """
    try:
        done = subprocess.run(  # noqa: S603  what a build would run
            command,
            cwd=where,
            env={**os.environ, "LC_ALL": "C", "KALLSYMSD": "off"},
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.PIPE,
            timeout=_PATIENCE,
            check=False,
        )
    except OSError as error:
        raise CommandError(f"{command[0]}: {error.strerror}; {hint}") from error
    except subprocess.TimeoutExpired as error:
        raise CommandError(f"{command[0]}: no exit within {_PATIENCE} s") from error
    return done.returncode, done.stderr.decode("utf-8", "replace").splitlines() or ["no message"]
