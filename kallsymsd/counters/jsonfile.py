# SPDX-License-Identifier: GPL-2.0-only
"""A small file in the cache directory that keeps one JSON value across restarts."""

import json
from pathlib import Path

from kallsymsd.protocol.regular import read_regular, write_new


def save(path: Path, value: object) -> None:
    """Write ``value``, whole or not at all; OSError when that fails."""
    temporary = path.with_name(path.name + ".new")
    write_new(str(temporary), json.dumps(value).encode("ascii"))
    temporary.replace(path)


def load(path: Path, limit: int) -> object:
    """What :func:`save` wrote last; None if there is none, or more than ``limit`` bytes, or no JSON."""
    try:
        value: object = json.loads(read_regular(str(path), limit, follow=False))
    except (OSError, ValueError, RecursionError):
        return None
    return value
