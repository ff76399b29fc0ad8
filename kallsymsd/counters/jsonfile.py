# SPDX-License-Identifier: GPL-2.0-only
"""Small files in the cache directory that keep one JSON value each across restarts."""

import json
from pathlib import Path

from kallsymsd.protocol.regular import read_regular, write_new


def save(path: Path, value: object) -> None:
    """Replace the file with ``value``, atomically; OSError on failure."""
    temporary = path.with_name(path.name + ".new")
    write_new(str(temporary), json.dumps(value).encode("ascii"))
    temporary.replace(path)


def load(path: Path, limit: int) -> object:
    """The value that :func:`save` wrote last; None if missing, longer than ``limit`` bytes or not JSON."""
    try:
        value: object = json.loads(read_regular(str(path), limit, follow=False))
    except (OSError, ValueError, RecursionError):
        return None
    return value
