# SPDX-License-Identifier: GPL-2.0-only
"""Explains why no daemon runs, as far as that is known, and where its log is."""

import os
from pathlib import Path

from kallsymsd.ctl.command import Context
from kallsymsd.protocol.paths import notes_directory
from kallsymsd.service.config import ConfigurationError, load

#: The log of a daemon that a build started, in the default cache directory.
LOG = "log"


def problem() -> str:
    """The error in the configuration that keeps a daemon from starting; "" if there is none."""
    try:
        load({}, os.environ)
    except ConfigurationError as error:
        return str(error)
    return ""


def describe(context: Context) -> str:
    """One line: no daemon runs, why none can start, and where its log is."""
    wrong = problem()
    advice = f"none can start: {wrong}" if wrong else "builds work without one; to start one, run kallsymsd"
    log = _log()
    where = f"; its log is {log}" if log is not None and (wrong or os.access(log, os.F_OK)) else ""
    return f"no daemon serves {context.socket}; {advice}{where}"


def _log() -> Path | None:
    directory = notes_directory(os.environ)
    return directory / LOG if directory is not None else None
