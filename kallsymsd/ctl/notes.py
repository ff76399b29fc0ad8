# SPDX-License-Identifier: GPL-2.0-only
"""What clients have noted for the daemon, and it has not taken yet."""

import os

from kallsyms_client import tally
from kallsyms_client.tally import Note
from kallsymsd.service.paths import notes_directory


def read() -> list[Note]:
    """The notes; they stay."""
    directory = notes_directory(os.environ)
    return tally.read(os.fsencode(directory)) if directory is not None else []


def take() -> list[Note]:
    """The notes; they are gone then."""
    directory = notes_directory(os.environ)
    return tally.take(os.fsencode(directory)) if directory is not None else []
