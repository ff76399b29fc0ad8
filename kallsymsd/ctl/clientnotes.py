# SPDX-License-Identifier: GPL-2.0-only
"""Records that clients left for the daemon and that it has not taken yet."""

import os

from kallsymsd.protocol import notes
from kallsymsd.protocol.notes import Note
from kallsymsd.protocol.paths import notes_directory


def read() -> list[Note]:
    """The records."""
    directory = notes_directory(os.environ)
    return notes.read(os.fsencode(directory)) if directory is not None else []


def take() -> list[Note]:
    """The records, which are removed."""
    directory = notes_directory(os.environ)
    return notes.take(os.fsencode(directory)) if directory is not None else []
